//! What is wrong with a workflow: code, place, words and a way to mend it.

use std::ops::Range;

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A range of bytes of a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Place {
    /// As a range.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Line and column of the first character in `source`, both from 1; columns count characters.
    #[must_use]
    pub fn line_column(self, source: &str) -> (usize, usize) {
        let before = source.get(..source.floor_char_boundary(self.start)).unwrap_or(source);
        let line = before.rfind('\n').map_or(before, |newline| &before[newline + 1..]);
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

impl From<Range<usize>> for Place {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// Where a string of the file is, and whether positions in its value can be found in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anchor {
    /// The string with its quotes.
    pub place: Place,
    /// Where its first character is, if it was written without escapes.
    pub inner: Option<usize>,
}

impl Anchor {
    /// The place of a part of the string's value; the whole string if it has escapes.
    #[must_use]
    pub fn part(self, range: &Range<usize>) -> Place {
        self.inner.map_or(self.place, |inner| Place { start: inner + range.start, end: inner + range.end })
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it is in the file.
    pub place: Place,
}

impl<T> Placed<T> {
    /// The same place with another value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: convert(self.value), place: self.place }
    }
}

/// Whether a workflow can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A code of [`CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as a lower-case sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What to do about it.
    pub help: Option<String>,
    /// True if the lines at `place` may hold a secret: print none of their text.
    pub conceals: bool,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: &'static str, place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        debug_assert!(explanation(code).is_some(), "{code} is not in the list");
        Self { code, severity: Severity::Error, message: message.into(), place: place.into(), help: None, conceals: false }
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }

    /// With a way to mend it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// With a `did you mean`, if one of `names` is near to `name`; else with the list of names.
    #[must_use]
    pub fn suggest<'n>(self, name: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        match nearest(name, names.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => self,
            None => self.help(format!("there is {}", listed(&names))),
        }
    }

    /// With its source lines kept from view.
    #[must_use]
    pub fn concealed(self) -> Self {
        Self { conceals: true, ..self }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Diagnostic", 5)?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("place", &self.place.map(|place| [place.start, place.end]))?;
        out.serialize_field("help", &self.help)?;
        out.end()
    }
}

/// The name that was probably meant: at most a third of its letters differ.
#[must_use]
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (name.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A kind of problem, for `cutover explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Such as `CUT0104`.
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it means and how it is mended.
    pub text: &'static str,
}

/// The explanation of a code, if it is one.
#[must_use]
pub fn explanation(code: &str) -> Option<&'static Explanation> {
    CODES.iter().find(|explanation| explanation.code == code)
}

const fn code(code: &'static str, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code, title, text }
}

/// Every code of the workflow language: 01 syntax and shape, 02 names, references and types, 03 rules.
pub const CODES: &[Explanation] = &[
    code("CUT0101", "not TOML", "The file breaks the grammar of TOML 1.1. Everything that could be read is checked all the same."),
    code(
        "CUT0102",
        "file too large",
        "A workflow file has at most 1 MiB, 10,000 keys and 32 levels. Move large sets into a file of members or a map input.",
    ),
    code(
        "CUT0103",
        "unknown language edition",
        "`cutover = 1` names the edition of the workflow language. Another number needs another version of cutover; nothing else of the file is read.",
    ),
    code(
        "CUT0104",
        "unknown key",
        "Keys are a closed list, so that a slip of the pen cannot switch off a check. The help names the nearest key.",
    ),
    code("CUT0105", "wrong type of value", "The key wants another type of value, for example a string instead of a number."),
    code("CUT0106", "missing key", "A key without a default is missing."),
    code("CUT0107", "value not allowed", "The value has the right type but is none of those allowed, or is out of range."),
    code(
        "CUT0108",
        "bad name",
        "Names that people write have lower-case letters, digits, `-` and `_`, begin with a letter and have at most 64 characters.",
    ),
    code(
        "CUT0109",
        "not yet supported",
        "The word is reserved for a later version. It is refused rather than ignored, because ignoring it would run something else than what was written.",
    ),
    code(
        "CUT0110",
        "bad duration",
        "Durations are a number and a unit: `250ms`, `90s`, `10m`, `72h`, `1h 30m`. Days and longer are written in hours.",
    ),
    code("CUT0111", "keys exclude each other", "Two keys say different things about the same matter; keep one."),
    code(
        "CUT0112",
        "bad predicate",
        "A predicate of `when` or `expect` breaks the grammar: paths, literals, `== != < <= > >= && || ! in + -`, `len()`, `has()` and parentheses. A minus needs a space on its left, since names may have hyphens.",
    ),
    code(
        "CUT0113",
        "bad reference",
        "A `${...}` holds one path such as `inputs.prefix` or `steps.copy.items[0]`; no operators, filters or calls. A literal `${` is written `$${`.",
    ),
    code("CUT0114", "value without a JSON form", "Input of plugins is JSON: it has no infinity and no NaN."),
    code(
        "CUT0115",
        "bad JSON pointer",
        "Places in documents are JSON pointers (RFC 6901): empty, or each segment after a slash; `*` stands for any one segment.",
    ),
    code("CUT0201", "unknown plugin", "The word before the dot in `uses` is an alias of the `[plugins]` table."),
    code(
        "CUT0202",
        "unknown operation",
        "The word after the dot in `uses` is an operation of the plugin; `cutover plugin inspect` lists them.",
    ),
    code("CUT0203", "unknown connection", "The name is not in the `[connections]` table."),
    code("CUT0204", "unknown role", "The operation has no role of that name."),
    code("CUT0205", "role without a connection", "Every role of an operation needs a connection: the plugin reaches nothing else."),
    code("CUT0206", "connection of the wrong kind", "The role cannot be played by a connection of that kind."),
    code("CUT0207", "one or many", "A role for one connection got a set with members, or the reverse."),
    code("CUT0208", "unknown step", "There is no step of that id."),
    code(
        "CUT0209",
        "step does not come before",
        "A step can use only what an earlier step has done: one it comes after in the file, or names in `needs`, directly or not.",
    ),
    code("CUT0210", "unknown input", "The name is not in the `[inputs]` table."),
    code(
        "CUT0211",
        "reference out of reach",
        "References begin with `inputs`, `steps`, `each` or `run`, and in `expect` with `result`. `each` is there only with `for_each`; `expect` cannot see `steps`, `when` cannot see `run`.",
    ),
    code(
        "CUT0212",
        "types do not fit",
        "Predicates are strictly typed: both sides of a comparison have one type, `when` and `expect` are boolean, there is no truthiness.",
    ),
    code(
        "CUT0213",
        "reference of the wrong type",
        "The value behind the reference has a type that its place cannot take. Inside a longer text only strings, numbers and booleans fit.",
    ),
    code("CUT0214", "input does not fit the plugin", "`with` is checked against the operation's JSON Schema."),
    code("CUT0215", "plugin not found", "The plugin of this entry could not be found or read."),
    code("CUT0216", "unknown loss code", "`accept` names material losses of the plugin's closed list."),
    code("CUT0217", "no such field", "The value is known not to have a field of that name."),
    code("CUT0218", "plugin with a broken schema", "The plugin's JSON Schema is itself invalid; that is a defect of the plugin."),
    code("CUT0219", "another plugin than asked for", "What was found has another name, version or digest than its `[plugins]` entry says."),
    code("CUT0301", "step id used twice", "Step ids are unique: journal, references and evidence name steps by them."),
    code("CUT0302", "steps wait for each other", "`needs`, together with the file order of steps without `needs`, forms a circle."),
    code(
        "CUT0303",
        "`changes` and purpose",
        "A step that retires an old path says which step's changes it is about: `changes = \"steps.X\"`. No other step has `changes`.",
    ),
    code(
        "CUT0304",
        "dual run the wrong way round",
        "`dual_run.from` is the step with which both ways begin to work, `until` the later one that ends the old way.",
    ),
    code(
        "CUT0305",
        "waits do not fit the dual run",
        "The waits between `from` and `until`, or `min`, are longer than `max`: the deadline would always pass.",
    ),
    code("CUT0306", "cohorts do not grow", "Each cohort holds the ones before it: counts, then percentages, each larger than the last."),
    code("CUT0307", "cohorts leave changes out", "The last cohort must be everything."),
    code(
        "CUT0308",
        "secret in the file",
        "Credentials never stand in a workflow file: name where they come from, as `env:NAME`, `file:PATH` or `exec:COMMAND`.",
    ),
    code(
        "CUT0309",
        "verification of something else",
        "`verify_with` swaps the credential, not the place: its connection has the same kind, authority and namespace as the one it stands for.",
    ),
    code("CUT0310", "probe that does not only look", "`[[step.verify]]` takes operations whose purpose is to observe."),
    code(
        "CUT0311",
        "step without a probe",
        "The plugin's own check and the host's comparison still run, but nothing of the workflow looks at the outcome. Add a `[[step.verify]]`.",
    ),
    code(
        "CUT0312",
        "plaintext without a reason",
        "A grant of plaintext names role, pointer and reason; the reason stands in plan and evidence.",
    ),
    code("CUT0313", "step that only looks", "An operation that observes changes nothing: it belongs into `[[step.verify]]`."),
    code("CUT0314", "connection without encryption", "Plain http is allowed to loopback only, or with `insecure = true`."),
    code(
        "CUT0315",
        "bad URL",
        "A connection's URL has a scheme (http or https), a host, perhaps a port and a path; no user, query or fragment. It grants exactly its own authority.",
    ),
    code("CUT0316", "credentials do not fit together", "A connection has one way to log in, and all parts of it."),
    code("CUT0317", "bad value of an input", "The value does not have the input's declared type, or a required input has none."),
    code(
        "CUT0318",
        "bad fan-out",
        "`for_each` goes over a list or a map that is known at plan time; every instance needs a key of its own, at most 10,000 of them.",
    ),
    code(
        "CUT0319",
        "rate of waiting",
        "`every`, `timeout`, `deadline` and `backoff` are longer than zero, and a hook's timeout is not longer than the step's deadline.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = "a\nüü x";
        assert_eq!(Place { start: 7, end: 8 }.line_column(source), (2, 4));
        assert_eq!(Place { start: 0, end: 0 }.line_column(source), (1, 1));
        assert_eq!(Place { start: 99, end: 99 }.line_column(source), (2, 5));
    }

    #[test]
    fn codes_are_unique_and_sorted() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn suggests_near_names_only() {
        assert_eq!(nearest("copi", ["copy", "retire"]), Some("copy"));
        assert_eq!(nearest("xyz", ["copy", "retire"]), None);
    }
}
