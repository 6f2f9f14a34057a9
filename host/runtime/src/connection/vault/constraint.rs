//! What a policy limits besides verbs, read from its text.
//!
//! Rules on the parameters of a request hold for KV v1 only: a v2 request has other parameters, and Vault and OpenBao say that
//! they are not supported there. So who moves secrets from v1 to v2 must know of them. A policy's text may quote values
//! (`allowed_parameters = { "user" = ["app"] }`), so it stays sealed and only the names are told.

use std::iter::Peekable;

use serde_json::{Value, json};

/// The paths of a policy whose rules do more than give verbs: a JSON array of `{"path", "rules"}`; absent if there is none.
pub(super) const CONSTRAINTS_HEADER: &str = "cutover-policy-constraints";

/// Rules on parameters, and on how long a wrapped answer lives.
const RULES: [&str; 5] = ["allowed_parameters", "denied_parameters", "required_parameters", "min_wrapping_ttl", "max_wrapping_ttl"];

/// The header for the text of a policy, HCL or JSON.
pub(super) fn header(policy: &str) -> Option<(String, String)> {
    let mut tokens = Tokens { rest: policy }.peekable();
    let mut found = Vec::new();
    for entry in body(&mut tokens) {
        match entry.keys.as_slice() {
            [name, path] if name == "path" => found.extend(rules(path, &entry.body)),
            [name] if name == "path" => found.extend(entry.body.iter().filter_map(|entry| rules(entry.keys.first()?, &entry.body))),
            _ => {}
        }
    }
    (!found.is_empty()).then(|| (CONSTRAINTS_HEADER.to_owned(), Value::from(found).to_string()))
}

fn rules(path: &str, entries: &[Entry]) -> Option<Value> {
    let of = |name: &&&str| entries.iter().any(|entry| entry.keys.first().is_some_and(|key| key == **name));
    let rules: Vec<&str> = RULES.iter().filter(of).copied().collect();
    (!rules.is_empty()).then(|| json!({ "path": path, "rules": rules }))
}

/// `KEY… { … }`, `KEY = { … }` or `KEY = VALUE`, whose value is dropped.
struct Entry {
    keys: Vec<String>,
    body: Vec<Entry>,
}

#[derive(PartialEq)]
enum Token {
    Word(String),
    Mark(char),
}

/// The entries up to the end of a block. The server took the text, so nothing is checked here.
fn body(tokens: &mut Peekable<Tokens>) -> Vec<Entry> {
    let (mut entries, mut keys) = (Vec::new(), Vec::new());
    while let Some(token) = tokens.next() {
        let inner = match token {
            Token::Word(word) => {
                keys.push(word);
                continue;
            }
            Token::Mark('}') => break,
            // The braces around a JSON document.
            Token::Mark('{') if keys.is_empty() => {
                entries.extend(body(tokens));
                continue;
            }
            Token::Mark('{') => body(tokens),
            Token::Mark('=' | ':') => value(tokens),
            Token::Mark(_) => continue,
        };
        entries.push(Entry { keys: std::mem::take(&mut keys), body: inner });
    }
    entries
}

/// What is after a `=`: the entries of a block; nothing of a word or a list.
fn value(tokens: &mut Peekable<Tokens>) -> Vec<Entry> {
    match tokens.next() {
        Some(Token::Mark('{')) => body(tokens),
        Some(Token::Mark('[')) => {
            let mut depth = 1;
            while depth > 0 {
                match tokens.next() {
                    Some(Token::Mark('[')) => depth += 1,
                    Some(Token::Mark(']')) => depth -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Words, quoted or not, and marks; without spaces and comments.
struct Tokens<'t> {
    rest: &'t str,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.rest = self.rest.trim_start();
            let comment = if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest.find('\n')
            } else if self.rest.starts_with("/*") {
                self.rest.find("*/").map(|end| end + 2)
            } else {
                break;
            };
            self.rest = &self.rest[comment.unwrap_or(self.rest.len())..];
        }
        let first = self.rest.chars().next()?;
        if first == '"' {
            return Some(Token::Word(self.quoted()));
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(if end == 0 { first.len_utf8() } else { end });
        self.rest = rest;
        Some(if end == 0 { Token::Mark(first) } else { Token::Word(taken.to_owned()) })
    }
}

impl Tokens<'_> {
    fn quoted(&mut self) -> String {
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '"' if !escaped => {
                    self.rest = &self.rest[at + 1..];
                    return text;
                }
                '\\' if !escaped => escaped = true,
                _ => {
                    text.push(c);
                    escaped = false;
                }
            }
        }
        self.rest = "";
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(policy: &str) -> Value {
        header(policy).map_or(Value::Null, |(_, value)| serde_json::from_str(&value).expect("JSON"))
    }

    #[test]
    fn rules_beyond_verbs_are_told_by_path() {
        let policy = r#"
            # path "kv/comment" { allowed_parameters = {} }
            path "kv/app/*" {
              capabilities = ["create", "allowed_parameters"] // as a value it is none
              allowed_parameters = { "user" = ["app", "{"], "*" = [] }
              min_wrapping_ttl   = "1s" /* denied_parameters = {} */
            }
            path "kv/plain/+" { capabilities = ["read"] }
            path "kv/\"odd\"" { capabilities = ["update"]
              denied_parameters { "root" = [] } required_parameters = ["reason"] }
        "#;
        let expected = json!([
            { "path": "kv/app/*", "rules": ["allowed_parameters", "min_wrapping_ttl"] },
            { "path": "kv/\"odd\"", "rules": ["denied_parameters", "required_parameters"] },
        ]);
        assert_eq!(told(policy), expected);
    }

    #[test]
    fn json_and_assigned_blocks_are_read_too() {
        let rule = json!([{ "path": "kv/*", "rules": ["max_wrapping_ttl"] }]);
        assert_eq!(told(r#"{"path": {"kv/*": {"capabilities": ["read"], "max_wrapping_ttl": "9s"}, "a": {"policy": "read"}}}"#), rule);
        assert_eq!(told(r#"path = { "kv/*" = { max_wrapping_ttl = 9 } }"#), rule);
        assert_eq!(told(r#"path "kv/*" = { capabilities = ["read"]  max_wrapping_ttl = "9s" }"#), rule);
    }

    #[test]
    fn what_is_no_rule_or_breaks_off_is_nothing() {
        for policy in ["", "path", "path \"a", "path \"a\" { capabilities = [\"read\"", "}", "name = \"x\"", "allowed_parameters = {}"] {
            assert_eq!(told(policy), Value::Null, "{policy}");
        }
    }
}
