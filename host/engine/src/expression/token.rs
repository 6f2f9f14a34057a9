//! Predicates and references cut into tokens.

use std::ops::Range;

use serde_json::{Number, Value};

use crate::timestamp::Span;

/// The smallest part of a predicate that means something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A word; hyphens between its letters belong to it.
    Name(String),
    /// A string or number.
    Literal(Value),
    /// Such as `90s`.
    Duration(Span),
    /// One of the operators and brackets.
    Symbol(&'static str),
}

/// A text that does not fit the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Bytes of the text that was read.
    pub range: Range<usize>,
}

impl SyntaxError {
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), range }
    }
}

/// Longer symbols first.
const SYMBOLS: [&str; 18] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "(", ")", "[", "]", ",", ".", "="];

/// A reader of tokens that can look one ahead.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
}

impl Tokens {
    /// Cuts up a whole text.
    pub(crate) fn new(text: &str) -> Result<Self, SyntaxError> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            if first.is_whitespace() {
                at += first.len_utf8();
                continue;
            }
            let (token, length) = cut(&text[at..], first).map_err(|(length, message)| SyntaxError::new(at..at + length, message))?;
            tokens.push((token, at..at + length));
            at += length;
        }
        Ok(Self { tokens, next: 0, end: text.len() })
    }

    pub(crate) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// The place of the next token, or of the end.
    pub(crate) fn range(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.end..self.end, |(_, range)| range.clone())
    }

    /// Where the last taken token ended.
    pub(crate) fn taken_to(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.tokens[last].1.end)
    }

    pub(crate) fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    /// Takes the symbol if it is next.
    pub(crate) fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol);
        self.next += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.takes(symbol) { Ok(()) } else { Err(self.wrong(&format!("`{symbol}`"))) }
    }

    /// Nothing may be left.
    pub(crate) fn finish(&self) -> Result<(), SyntaxError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("the end")) }
    }

    /// That something else than the next token was expected.
    pub(crate) fn wrong(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Literal(value)) => format!("`{value}`"),
            Some(Token::Duration(span)) => format!("`{span}`"),
            Some(Token::Symbol(symbol)) => format!("`{symbol}`"),
        };
        SyntaxError::new(self.range(), format!("expected {expected}, found {found}"))
    }
}

type Cut = Result<(Token, usize), (usize, String)>;

fn cut(text: &str, first: char) -> Cut {
    match first {
        '"' | '\'' => cut_string(text, first),
        '0'..='9' => cut_number(text),
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = name_length(text);
            Ok((Token::Name(text[..length].to_owned()), length))
        }
        _ => match SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol)) {
            Some("=") => Err((1, "`=` is no operator; equality is `==`".to_owned())),
            Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
            None => Err((first.len_utf8(), format!("`{}` has no meaning here", first.escape_debug()))),
        },
    }
}

/// The length of the name at the beginning of a text; zero if there is none.
pub(crate) fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if !bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_') {
        return 0;
    }
    let belongs = |index: usize| is_word(&bytes[index]) || (bytes[index] == b'-' && bytes.get(index + 1).is_some_and(is_word));
    (1..bytes.len()).find(|index| !belongs(*index)).unwrap_or(bytes.len())
}

fn cut_string(text: &str, quote: char) -> Cut {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return Err((text.len(), "the string has no end".to_owned())) };
    let (inner, length) = (&text[1..=end], end + 2);
    let value = if quote == '"' { serde_json::from_str(&text[..length]).ok() } else { unescape(inner).map(Value::String) };
    value.map(|value| (Token::Literal(value), length)).ok_or_else(|| (length, "the string has an unknown escape".to_owned()))
}

/// In single quotes only the quote and the backslash are escaped.
fn unescape(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().filter(|next| matches!(next, '\\' | '\''))? } else { c });
    }
    Some(out)
}

fn cut_number(text: &str) -> Cut {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits(length + 1 + sign);
        length += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    let word = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'.').count();
    if text[length..].starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Span::parse(&text[..word]).map(|span| (Token::Duration(span), word)).map_err(|message| (word, message));
    }
    let number: Result<Number, _> = serde_json::from_str(&text[..length]);
    number
        .map(|number| (Token::Literal(Value::Number(number)), length))
        .map_err(|_| (length, format!("`{}` is no number", &text[..length])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_all(text: &str) -> Vec<Token> {
        Tokens::new(text).expect("tokens").tokens.into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn hyphens_belong_to_names_and_minus_needs_room() {
        assert_eq!(cut_all("copy-kv - x"), [Token::Name("copy-kv".into()), Token::Symbol("-"), Token::Name("x".into())]);
    }

    #[test]
    fn numbers_durations_and_strings() {
        let text = Token::Literal("a'\"".into());
        assert_eq!(
            cut_all(r#"1h30m 1.5 'a\'"' "a'\"""#),
            [Token::Duration(Span(5_400_000)), Token::Literal(serde_json::from_str("1.5").expect("a number")), text.clone(), text]
        );
        for wrong in ["'a", "01", "3 = 4", "9days", "#", "'\\n'"] {
            assert!(Tokens::new(wrong).is_err(), "{wrong}");
        }
    }
}
