//! Paths to values: what stands between `${` and `}`, and what predicates are about.

mod scope;
mod template;

use std::{fmt, ops::Range};

use serde_json::Value;

pub use scope::Scope;
pub(crate) use template::{Node, NodeKind, Piece};
pub use template::{ResolveError, Template};

use crate::expression::{SyntaxError, Token, Tokens, name_length};

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// The values of the workflow's `[inputs]`.
    Inputs,
    /// What earlier steps put out when they were planned, by step id; by key below that for steps with `for_each`.
    Steps,
    /// `key` and `value` of the instance of a step with `for_each`.
    Each,
    /// `name` and `owner` of the workflow.
    Run,
    /// What a probe observed.
    Result,
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Inputs, Self::Steps, Self::Each, Self::Run, Self::Result];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Steps => "steps",
            Self::Each => "each",
            Self::Run => "run",
            Self::Result => "result",
        }
    }
}

/// One move down a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// `.name` or `["name"]`.
    Field(String),
    /// `[0]`, counted from zero.
    Index(usize),
    /// `[each.key]`: the value of another path, a string or a number.
    Key(Box<Reference>),
}

/// A path such as `steps.issue[each.key].serial`.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Where it begins.
    pub root: Root,
    /// The moves from there.
    pub segments: Vec<Segment>,
    /// Bytes of the text it was read from.
    pub range: Range<usize>,
}

impl PartialEq for Reference {
    /// Two references to the same place are equal wherever they were written.
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root && self.segments == other.segments
    }
}

impl Eq for Reference {}

/// A path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

impl Reference {
    /// Reads a whole text as a path.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut tokens = Tokens::new(text)?;
        let reference = Self::read(&mut tokens, 0)?;
        tokens.finish()?;
        Ok(reference)
    }

    /// Reads a path from tokens.
    pub(crate) fn read(tokens: &mut Tokens, depth: usize) -> Result<Self, SyntaxError> {
        let start = tokens.range();
        if depth > 8 {
            return Err(SyntaxError::new(start, "paths inside paths go too deep"));
        }
        let Some(Token::Name(name)) = tokens.peek().cloned() else { return Err(tokens.wrong("a path")) };
        let Some(root) = Root::ALL.into_iter().find(|root| root.as_str() == name) else {
            return Err(unknown_root(&name, start));
        };
        tokens.take();
        let mut segments = Vec::new();
        loop {
            if tokens.takes(".") {
                let Some(Token::Name(name)) = tokens.peek().cloned() else { return Err(tokens.wrong("a name")) };
                tokens.take();
                segments.push(Segment::Field(name));
            } else if tokens.takes("[") {
                segments.push(Self::read_index(tokens, depth)?);
                tokens.expect("]")?;
            } else {
                return Ok(Self { root, segments, range: start.start..tokens.taken_to() });
            }
        }
    }

    fn read_index(tokens: &mut Tokens, depth: usize) -> Result<Segment, SyntaxError> {
        match tokens.peek() {
            Some(Token::Literal(Value::String(name))) => {
                let segment = Segment::Field(name.clone());
                tokens.take();
                Ok(segment)
            }
            Some(Token::Literal(Value::Number(number))) => {
                let index = number.to_string().parse().map_err(|_| tokens.wrong("a whole number"))?;
                tokens.take();
                Ok(Segment::Index(index))
            }
            _ => Ok(Segment::Key(Box::new(Self::read(tokens, depth + 1)?))),
        }
    }

    /// The step it is about, if it begins with `steps`.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match (self.root, self.segments.first()) {
            (Root::Steps, Some(Segment::Field(id))) => Some(id),
            _ => None,
        }
    }

    /// This path and those inside its brackets.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let inner = self.segments.iter().filter_map(|segment| if let Segment::Key(key) = segment { Some(key.all()) } else { None });
        std::iter::once(self).chain(inner.flatten()).collect()
    }

    /// The value at its end.
    ///
    /// # Errors
    /// Names the first move that leads nowhere.
    pub fn lookup<'s>(&self, scope: &'s Scope) -> Result<&'s Value, Missing> {
        let mut value = scope.root(self.root).ok_or_else(|| Missing(format!("there is no `{}` here", self.root.as_str())))?;
        let mut walked = self.root.as_str().to_owned();
        for segment in &self.segments {
            let next = match segment {
                Segment::Field(name) => value.get(name),
                Segment::Index(index) => value.get(index),
                Segment::Key(key) => match key.lookup(scope)? {
                    Value::String(name) => value.get(name),
                    Value::Number(number) => number.to_string().parse::<usize>().ok().and_then(|index| value.get(index)),
                    _ => return Err(Missing(format!("`{key}` is neither a string nor a whole number"))),
                },
            };
            value = next.ok_or_else(|| Missing(format!("`{walked}` has no {segment}")))?;
            walked.push_str(&segment.suffix());
        }
        Ok(value)
    }
}

fn unknown_root(name: &str, range: Range<usize>) -> SyntaxError {
    let roots = Root::ALL.map(Root::as_str);
    let near = crate::diagnostic::nearest(name, roots).map_or_else(
        || "paths begin with `inputs`, `steps`, `each`, `run` or `result`, and strings stand in quotes".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    SyntaxError::new(range, format!("`{name}` is no root of a path; {near}"))
}

impl Segment {
    /// As it is written behind a path.
    pub(crate) fn suffix(&self) -> String {
        match self {
            Self::Field(name) if !name.is_empty() && name_length(name) == name.len() => format!(".{name}"),
            Self::Field(name) => format!("[{}]", Value::from(name.as_str())),
            Self::Index(index) => format!("[{index}]"),
            Self::Key(key) => format!("[{key}]"),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "field `{name}`"),
            Self::Index(index) => write!(f, "element {index}"),
            Self::Key(key) => write!(f, "element at `{key}`"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root.as_str())?;
        self.segments.iter().try_for_each(|segment| f.write_str(&segment.suffix()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn walks_fields_indices_and_keys() {
        let steps = json!({"issue": {"eu": {"serial": [7, 8]}}});
        let scope = Scope::default().with_steps(steps).with_each("eu", json!(1));
        let path = Reference::parse(r#"steps.issue[each.key]["serial"][1]"#).expect("a path");
        assert_eq!(path.lookup(&scope), Ok(&json!(8)));
        assert_eq!(path.to_string(), "steps.issue[each.key].serial[1]");
        let missing = Reference::parse("steps.issue.us").expect("a path").lookup(&scope);
        assert_eq!(missing, Err(Missing("`steps.issue` has no field `us`".into())));
    }

    #[test]
    fn refuses_operators_and_unknown_roots() {
        for wrong in ["", "inputs.", "inputs + 1", "input.x", "inputs[", "inputs[-1]", "inputs.a b"] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
