//! RFC 8259, read strictly: one value, no duplicate keys, numbers as written.

use serde_json::{Map, Value};

use super::{CodecError, MAX_DEPTH, RESERVED_KEY, number};
use crate::hook::Form;

/// `serde_json` itself keeps the last of duplicate keys and takes a reserved object for a number.
pub(super) fn parse(text: &str) -> Result<Value, CodecError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() { Err(reader.error("there is text after the value")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, CodecError> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(self.error("it nests deeper than 64")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::from),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
                .into_iter()
                .find(|(word, _)| self.eat(word))
                .map(|(_, value)| value)
                .ok_or_else(|| self.error("a value is expected here")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, CodecError> {
        let mut map = Map::new();
        self.at += 1;
        self.space();
        if self.eat("}") {
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            let start = self.at;
            let key = self.string()?;
            let refuse = |problem| Err(CodecError::at(Form::Json, self.text, start, problem));
            if key == RESERVED_KEY {
                return refuse("a key is reserved");
            }
            if map.contains_key(&key) {
                return refuse("a key occurs twice");
            }
            self.space();
            if !self.eat(":") {
                return Err(self.error("a colon is expected here"));
            }
            map.insert(key, self.value(depth + 1)?);
            if self.ends("}")? {
                return Ok(Value::Object(map));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, CodecError> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.eat("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.ends("]")? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn ends(&mut self, close: &str) -> Result<bool, CodecError> {
        self.space();
        match () {
            () if self.eat(close) => Ok(true),
            () if self.eat(",") => Ok(false),
            () => Err(self.error("a comma or the end is expected here")),
        }
    }

    fn string(&mut self) -> Result<String, CodecError> {
        let start = self.at;
        if !self.eat("\"") {
            return Err(self.error("a string is expected here"));
        }
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(CodecError::at(Form::Json, self.text, start, "the string does not end")),
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at);
        quoted
            .and_then(|quoted| serde_json::from_str(quoted).ok())
            .ok_or_else(|| CodecError::at(Form::Json, self.text, start, "the string has a wrong escape or a control character"))
    }

    fn number(&mut self) -> Result<Value, CodecError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        number(&self.text[start..self.at]).ok_or_else(|| CodecError::at(Form::Json, self.text, start, "this is no number"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at.min(self.text.len())..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn error(&self, problem: &'static str) -> CodecError {
        CodecError::at(Form::Json, self.text, self.at, problem)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_json_is() {
        assert_eq!(
            parse(" {\"a\\u00e9\": [1, -2.5e3, true, null, \"\\ud83d\\ude00\"], \"\": {}} "),
            Ok(json!({"aé": [1, parse("-2.5e3").expect("a number"), true, null, "😀"], "": {}}))
        );
    }

    #[test]
    fn refuses_what_json_is_not() {
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "\"\n\"",
            "\"\\x\"",
            "\"\\",
            "\"",
            "nul",
            "1 2",
            "[1 2]",
            "NaN",
            "\u{feff}1",
            "--1",
            "1e5e5",
            "\"\\ud800\"",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
