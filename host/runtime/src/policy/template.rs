//! Path templates of routes: a small part of RFC 6570.

use super::path::RequestPath;

/// The values of a template's variables, decoded, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// The value of this variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl<const N: usize> From<[(&str, String); N]> for Variables {
    fn from(values: [(&str, String); N]) -> Self {
        Self(values.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

/// A path with variables: `{name}` is one segment or a part of one, `{+name}` any number of whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    folder: bool,
    specificity: Vec<u8>,
}

/// One segment of a template, or a variable for many.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable { prefix: String, name: String, suffix: String },
    Rest(String),
}

impl Template {
    /// Reads `/v1/{mount}/data/{+path}`; without the leading slash too, as objects are written.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |rule: &str| format!("`{}` is no path template: {rule}", super::path::shown(text));
        let body = text.strip_prefix('/').unwrap_or(text);
        let (body, folder) = body.strip_suffix('/').map_or((body, false), |body| (body, true));
        let parts: Vec<Part> = match body {
            "" if folder => return Err(wrong("it has an empty segment")),
            "" => Vec::new(),
            body => body.split('/').map(part).collect::<Result<_, _>>().map_err(wrong)?,
        };
        let mut names: Vec<&str> = parts.iter().filter_map(Part::name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        if names.len() < count {
            return Err(wrong("a variable is used twice"));
        }
        if parts.iter().filter(|part| matches!(part, Part::Rest(_))).count() > 2 {
            return Err(wrong("more than two `{+name}`"));
        }
        let specificity = parts.iter().map(Part::specificity).collect();
        Ok(Self { text: text.to_owned(), parts, folder, specificity })
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the variables, and whether each stands for many segments.
    pub fn variables(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parts.iter().filter_map(|part| part.name().map(|name| (name, matches!(part, Part::Rest(_)))))
    }

    /// Every way in which the path fits; none if it does not. More than one is possible only with two `{+name}`.
    ///
    /// A template that ends in `{+name}` fits folders (a trailing slash) and others, else the slash must agree.
    #[must_use]
    pub fn matches(&self, path: &RequestPath) -> Vec<Variables> {
        let mut out = Vec::new();
        if self.fits(path) {
            walk(&self.parts, path.segments(), &mut Variables::default(), &mut out);
        }
        out
    }

    /// Whether the path fits in any way: for routes that are passed over, which most are.
    #[must_use]
    pub fn fits(&self, path: &RequestPath) -> bool {
        (self.folder == path.is_folder() || matches!(self.parts.last(), Some(Part::Rest(_)))) && fit(&self.parts, path.segments())
    }

    /// The template with its variables filled in, without slashes around it. A missing variable is empty.
    #[must_use]
    pub fn expand(&self, variables: &Variables) -> String {
        let value = |name: &str| variables.get(name).unwrap_or_default();
        let segments = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Variable { prefix, name, suffix } => format!("{prefix}{}{suffix}", value(name)),
            Part::Rest(name) => value(name).to_owned(),
        });
        segments.filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// Sorts by how much a template says: literal before part of a segment before a segment before many.
    #[must_use]
    pub fn specificity(&self) -> &[u8] {
        &self.specificity
    }
}

impl Part {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Variable { name, .. } | Self::Rest(name) => Some(name),
        }
    }

    fn specificity(&self) -> u8 {
        match self {
            Self::Literal(_) => 3,
            Self::Variable { prefix, suffix, .. } if !prefix.is_empty() || !suffix.is_empty() => 2,
            Self::Variable { .. } => 1,
            Self::Rest(_) => 0,
        }
    }

    /// What a variable of one segment is there; a literal has none.
    fn value<'s>(&self, segment: &'s str) -> Option<&'s str> {
        let Self::Variable { prefix, suffix, .. } = self else { return None };
        segment.strip_prefix(prefix.as_str())?.strip_suffix(suffix.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether it stands for this one segment.
    fn takes(&self, segment: &str) -> bool {
        if let Self::Literal(text) = self { text == segment } else { self.value(segment).is_some() }
    }
}

fn part(segment: &str) -> Result<Part, &'static str> {
    let Some((prefix, rest)) = segment.split_once('{') else {
        return literal(segment).and_then(|text| if text.is_empty() { Err("it has an empty segment") } else { Ok(Part::Literal(text)) });
    };
    let (name, suffix) = rest.split_once('}').ok_or("a `{` is not closed")?;
    let (prefix, suffix) = (literal(prefix)?, literal(suffix)?);
    let (many, name) = name.strip_prefix('+').map_or((false, name), |name| (true, name));
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("a variable's name has letters, digits and `_` only");
    }
    match many {
        true if prefix.is_empty() && suffix.is_empty() => Ok(Part::Rest(name.to_owned())),
        true => Err("`{+name}` stands alone between slashes"),
        false => Ok(Part::Variable { prefix, name: name.to_owned(), suffix }),
    }
}

fn literal(text: &str) -> Result<String, &'static str> {
    match text {
        "." | ".." => Err("it has a dot segment"),
        _ if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)) => Ok(text.to_owned()),
        _ => Err("one variable per segment, and no characters that need an escape"),
    }
}

/// Whether there is a way, without finding the variables.
fn fit(parts: &[Part], segments: &[String]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return segments.is_empty() };
    match (part, segments.split_first()) {
        (Part::Rest(_), _) if rest.is_empty() => true,
        (Part::Rest(_), _) => (0..=segments.len()).any(|count| fit(rest, &segments[count..])),
        (_, Some((segment, others))) => part.takes(segment) && fit(rest, others),
        (_, None) => false,
    }
}

fn walk(parts: &[Part], segments: &[String], variables: &mut Variables, out: &mut Vec<Variables>) {
    let Some((part, rest)) = parts.split_first() else {
        if segments.is_empty() {
            out.push(variables.clone());
        }
        return;
    };
    if let Part::Rest(name) = part {
        for count in (0..=segments.len()).filter(|count| fit(rest, &segments[*count..])) {
            variables.0.push((name.clone(), segments[..count].join("/")));
            walk(rest, &segments[count..], variables, out);
            variables.0.pop();
        }
        return;
    }
    let Some((segment, others)) = segments.split_first() else { return };
    match (part, part.value(segment)) {
        (Part::Literal(text), _) if text == segment => walk(rest, others, variables, out),
        (Part::Variable { name, .. }, Some(value)) => {
            variables.0.push((name.clone(), value.to_owned()));
            walk(rest, others, variables, out);
            variables.0.pop();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, expected: &[&str]) {
        let template = Template::parse(template).expect(template);
        let path = RequestPath::parse(path).expect(path);
        let found = template.matches(&path);
        assert_eq!(template.fits(&path), !found.is_empty(), "{} {path}", template.as_str());
        let found: Vec<String> =
            found.iter().map(|vars| vars.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(found, expected, "{} {path}", template.as_str());
    }

    #[test]
    fn variables_take_what_they_may() {
        check("/v1/{mount}/data/{+path}", "/v1/secret/data/a/b%20c", &["mount=secret path=a/b c"]);
        check("/v1/{mount}/data/{+path}", "/v1/secret/data", &["mount=secret path="]);
        check("/v1/{mount}/data/{+path}", "/v1/secret/data/a/", &["mount=secret path=a"]);
        check("/v1/{mount}/data/{+path}", "/v1/a/b/data/c", &[]);
        check("/v1/{mount}/data/{+path}", "/v1/secret/Data/a", &[]);
        check("/{+path}", "/", &["path="]);
        check("/", "/", &[""]);
        check("/a/{id}", "/a/x/", &[]);
        check("/a/{id}/", "/a/x/", &["id=x"]);
        check("/a/{id}", "/a/x/y", &[]);
        check("/a/{id}", "/a", &[]);
        check("/{name}.json", "/a.b.json", &["name=a.b"]);
        check("/{name}.json", "/.json", &[]);
        check("/u/{+dir}/{file}", "/u/a/b/c", &["dir=a/b file=c"]);
    }

    #[test]
    fn two_long_variables_show_every_reading() {
        check("/{+mount}/data/{+path}", "/kv/data/data/x", &["mount=kv path=data/x", "mount=kv/data path=x"]);
        check("/{+mount}/data/{+path}", "/team/kv/data/x", &["mount=team/kv path=x"]);
    }

    #[test]
    fn malformed_templates_are_refused() {
        for text in [
            "/{a",
            "/{}",
            "/{+}",
            "/a{+b}",
            "/{a}{b}",
            "/{a}/{a}",
            "/a//b",
            "//",
            "/{a-b}",
            "/a b",
            "/%2e",
            "/../x",
            "/a?b",
            "/{+a}/x/{+b}/y/{+c}",
            "/a}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn literals_say_more_than_variables() {
        let specificity = |text: &str| Template::parse(text).expect(text).specificity().to_vec();
        let order = ["/{+a}", "/{a}", "/{a}/{+b}", "/{a}/x", "/x{a}", "/x", "/x/{a}", "/x/y"];
        assert!(order.windows(2).all(|pair| specificity(pair[0]) < specificity(pair[1])));
    }

    #[test]
    fn objects_are_filled_in() {
        let object = Template::parse("{mount}/{+path}").expect("a template");
        let variables = Variables::from([("mount", "kv".to_owned()), ("path", "a/b".to_owned())]);
        assert_eq!(object.expand(&variables), "kv/a/b");
        assert_eq!(object.expand(&Variables::from([("mount", "kv".to_owned())])), "kv");
    }
}
