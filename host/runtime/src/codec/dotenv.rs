//! `NAME=value` lines as shells and the dotenv libraries agree on them.
//!
//! Single quotes keep everything; double quotes know `\n \r \t \" \\ \$` and leave other backslashes alone; both may
//! span lines. Nothing is expanded. Unquoted values end at the line or at a `#` after white space.

use serde_json::{Map, Value};

use super::CodecError;
use crate::hook::Form;

pub(super) fn parse(text: &str) -> Result<Value, CodecError> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 } };
    let mut map = Map::new();
    loop {
        reader.skip(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        match reader.rest().chars().next() {
            None => return Ok(Value::Object(map)),
            Some('#') => reader.skip(|c| c != '\n'),
            Some(_) => {
                let (name, value) = reader.assignment()?;
                map.insert(name, Value::String(value));
            }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn assignment(&mut self) -> Result<(String, String), CodecError> {
        let mut name = self.name();
        if name == "export" && self.rest().starts_with([' ', '\t']) {
            self.blank();
            name = self.name();
        }
        self.blank();
        if !is_name(name) || !self.rest().starts_with('=') {
            return Err(self.error("a line is `NAME=value`"));
        }
        self.at += 1;
        self.blank();
        let value = match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => return Ok((name.to_owned(), self.bare().to_owned())),
        };
        self.blank();
        if self.rest().starts_with('#') {
            self.skip(|c| c != '\n');
        }
        if self.rest().is_empty() || self.rest().starts_with('\n') || self.rest().starts_with("\r\n") {
            Ok((name.to_owned(), value))
        } else {
            Err(self.error("there is text after the closing quote"))
        }
    }

    fn name(&mut self) -> &'t str {
        let start = self.at;
        self.skip(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        &self.text[start..self.at]
    }

    fn bare(&mut self) -> &'t str {
        let line = self.rest().split('\n').next().unwrap_or_default();
        self.at += line.len();
        let is_comment = |&(at, _): &(usize, &str)| at == 0 || line[..at].ends_with([' ', '\t']);
        let end = line.match_indices('#').find(is_comment).map_or(line.len(), |(at, _)| at);
        line[..end].trim_end_matches([' ', '\t', '\r'])
    }

    fn quoted(&mut self, quote: char) -> Result<String, CodecError> {
        let mut out = String::new();
        let mut chars = self.text[self.at + 1..].char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += 1 + offset + 1;
                    return Ok(out);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$'))) => out.push(c),
                    Some((_, c)) => out.extend(['\\', c]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(self.error("a quote does not end"))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t'));
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        self.at += self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
    }

    fn error(&self, problem: &'static str) -> CodecError {
        CodecError::at(Form::Dotenv, self.text, self.at, problem)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

pub(super) fn render(document: &Value) -> Result<String, CodecError> {
    let error = |problem| Err(CodecError::new(Form::Dotenv, problem));
    let Some(map) = document.as_object() else { return error("an object is expected") };
    let mut out = String::new();
    for (name, value) in map {
        match value {
            _ if !is_name(name) => return error("a name has letters, digits and `_`, `.`, `-`, and begins with a letter or `_`"),
            Value::String(value) => {
                out.extend([name, "="]);
                write_value(value, &mut out);
                out.push('\n');
            }
            _ => return error("only strings can be values; `concat` makes one of a number"),
        }
    }
    Ok(out)
}

/// Bare where no shell and no library sees anything in it, then single quotes, where nothing is expanded, then double.
fn write_value(value: &str, out: &mut String) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+' | ',' | '=');
    if value.chars().all(is_bare) {
        out.push_str(value);
    } else if !value.contains(['\'', '\\', '\n', '\r', '\t']) {
        out.extend(["'", value, "'"]);
    } else {
        out.push('"');
        for c in value.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '"' | '\\' | '$' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_dialect_of_quotes() {
        let text =
            "# c\r\nexport A=1 # x\r\nB = 'a # \\n $X'\nC=\"two\r\nlines\\n\\$\\q\" # c\nD=\nE=a#b\nF= #c\nexport=1\nA.b-c=last\nG=p=q'r\n";
        assert_eq!(
            parse(text),
            Ok(
                json!({"A": "1", "B": "a # \\n $X", "C": "two\r\nlines\n$\\q", "D": "", "E": "a#b", "F": "", "export": "1", "A.b-c": "last", "G": "p=q'r"})
            )
        );
    }

    #[test]
    fn the_last_of_duplicates_wins() {
        assert_eq!(parse("A=1\nA=2"), Ok(json!({"A": "2"})));
    }

    #[test]
    fn refuses_what_is_no_assignment() {
        for text in ["A", "export A", "1A=b", "A='b", "A=\"b\\\"", "A='b'c", "A B=c", "é=1", "=1"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        for document in [json!({"A": 1}), json!({"A": null}), json!({"A B": "c"}), json!({"": "c"}), json!(["a"]), json!({"A": {}})] {
            assert!(render(&document).is_err(), "{document}");
        }
    }

    #[test]
    fn quotes_only_where_needed() {
        let text = render(&json!({"A": "https://u:p@h/x?", "B": "plain-1", "C": "it's $5\n", "D": ""})).expect("dotenv");
        assert_eq!(text, "A='https://u:p@h/x?'\nB=plain-1\nC=\"it's \\$5\\n\"\nD=\n");
    }
}
