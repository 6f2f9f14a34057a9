//! What an author writes for the kit: `conformance.toml`.

use std::collections::BTreeMap;

use cutover_engine::{Pointer, Span};
use serde::Deserialize;
use serde_json::Value;

/// The cases to be played.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// In the file's order; never empty.
    pub cases: Vec<Case>,
}

/// One operation with its input and the world around it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// For people.
    pub name: String,
    /// An operation of the manifest.
    pub operation: String,
    /// Its input, as a step's `with`.
    #[serde(default = "nothing")]
    pub with: Value,
    /// An earlier case whose changes are made first, and are what this one is about: what it retires.
    #[serde(default)]
    pub changes: Option<String>,
    /// What is there: role → path → document, or the text of a file. A role that the earlier case has, too, is as that one
    /// left it.
    #[serde(default)]
    pub world: BTreeMap<String, BTreeMap<String, Value>>,
    /// Further places of responses that are public, by role: what a workflow's `public` would say.
    #[serde(default)]
    pub public: BTreeMap<String, Vec<Pointer>>,
    /// How long a hook may take; 10 s if it is not said.
    #[serde(default, deserialize_with = "span")]
    pub timeout: Option<Span>,
}

/// What is wrong with a fixture, where, and what to write.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FixtureError(pub String);

impl Fixture {
    /// Reads a fixture.
    ///
    /// # Errors
    /// With line and column where it is no TOML or has a key that no fixture has.
    pub fn parse(text: &str) -> Result<Self, FixtureError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default)]
            case: Vec<Case>,
        }
        let written: Written = toml::from_str(text).map_err(|error| FixtureError(error.to_string().trim_end().to_owned()))?;
        if written.case.is_empty() {
            return Err(FixtureError("it has no case: begin one with `[[case]]`, `name`, `operation` and `with`".to_owned()));
        }
        for (index, case) in written.case.iter().enumerate() {
            if let Some(first) = case.changes.as_ref().filter(|first| written.case[..index].iter().all(|earlier| earlier.name != **first)) {
                return Err(FixtureError(format!(
                    "case `{}` is about the changes of `{first}`, and no case above it has that name",
                    case.name
                )));
            }
        }
        Ok(Self { cases: written.case })
    }
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Span::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fixture_is_read() {
        let text = r#"
[[case]]
name = "a"
operation = "put"
with = { path = "x", n = 1 }
timeout = "2s"

[case.world.target]
"x/y" = { on = true }
"#;
        let fixture = Fixture::parse(text).expect("a fixture");
        let case = &fixture.cases[0];
        assert_eq!((&case.with, case.timeout), (&json!({"path": "x", "n": 1}), Some(Span::seconds(2))));
        assert_eq!(case.world["target"]["x/y"], json!({"on": true}));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |text: &str| Fixture::parse(text).expect_err("refused").to_string();
        assert!(wrong("").contains("no case"));
        assert!(wrong("[[case]]\nname = \"a\"\noperaton = \"put\"\n").contains("operaton"));
        assert!(wrong("[[case]]\nname = \"a\"\noperation = \"end\"\nchanges = \"a\"\n").contains("no case above it"));
        assert!(wrong("[[case]]\nname = \"a\"\noperation = \"put\"\ntimeout = \"soon\"\n").contains("line 4"));
    }
}
