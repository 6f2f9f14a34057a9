//! A Pratt parser (V. Pratt, "Top Down Operator Precedence", 1973).

use serde_json::Value;

use super::{COMPARISON, Kind, Node, Operator, PREFIX, SyntaxError, Token, Tokens};
use crate::reference::Reference;

/// Longest predicate in bytes: people read them.
const MAX_TEXT: usize = 4_096;
/// Most nodes of a tree; also bounds its depth, so that no walk of it can overflow the stack.
const MAX_NODES: usize = 256;
/// Deepest nesting of parentheses and prefixes while parsing.
const MAX_DEPTH: usize = 64;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > MAX_TEXT {
        return Err(SyntaxError::new(0..text.len(), format!("a predicate has at most {MAX_TEXT} bytes")));
    }
    let mut parser = Parser { tokens: Tokens::new(text)?, nodes: 0, depth: 0 };
    let root = parser.expression(0)?;
    parser.tokens.finish()?;
    Ok(root)
}

struct Parser {
    tokens: Tokens,
    nodes: usize,
    depth: usize,
}

impl Parser {
    /// Reads as long as operators bind tighter than `power`.
    fn expression(&mut self, power: u8) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::new(self.tokens.range(), "the predicate is nested too deep"));
        }
        let mut left = self.prefix()?;
        while let Some(operator) = self.operator().filter(|operator| operator.power() > power) {
            self.tokens.take();
            let right = self.expression(operator.power())?;
            left = self.node(left.range.start, Kind::Binary(operator, Box::new(left), Box::new(right)))?;
            if let Some(next) = self.operator().filter(|next| operator.power() == COMPARISON && next.power() == COMPARISON) {
                let message = format!("comparisons do not chain; put one side of `{}` into parentheses", next.symbol());
                return Err(SyntaxError::new(self.tokens.range(), message));
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        match self.tokens.peek()? {
            Token::Symbol(symbol) => Operator::ALL.iter().find(|(text, _)| text == symbol).map(|(_, operator)| *operator),
            Token::Name(name) if name == "in" => Some(Operator::In),
            _ => None,
        }
    }

    fn prefix(&mut self) -> Result<Node, SyntaxError> {
        let start = self.tokens.range().start;
        if self.tokens.takes("!") {
            let inner = self.expression(PREFIX)?;
            return self.node(start, Kind::Not(Box::new(inner)));
        }
        if self.tokens.takes("-") {
            let inner = self.expression(PREFIX)?;
            return self.node(start, Kind::Negative(Box::new(inner)));
        }
        if self.tokens.takes("(") {
            let inner = self.expression(0)?;
            self.tokens.expect(")")?;
            return Ok(inner);
        }
        if self.tokens.takes("[") {
            return self.list(start);
        }
        match self.tokens.peek().cloned() {
            Some(Token::Literal(value)) => {
                self.tokens.take();
                self.node(start, Kind::Literal(value))
            }
            Some(Token::Duration(span)) => {
                self.tokens.take();
                self.node(start, Kind::Duration(span))
            }
            Some(Token::Name(name)) => self.word(start, &name),
            _ => Err(self.tokens.wrong("a path, a literal or `(`")),
        }
    }

    fn word(&mut self, start: usize, name: &str) -> Result<Node, SyntaxError> {
        let kind = match name {
            "true" | "false" => {
                self.tokens.take();
                Kind::Literal(Value::Bool(name == "true"))
            }
            "len" => {
                self.tokens.take();
                self.tokens.expect("(")?;
                let inner = self.expression(0)?;
                self.tokens.expect(")")?;
                Kind::Len(Box::new(inner))
            }
            "has" => {
                self.tokens.take();
                self.tokens.expect("(")?;
                let reference = Reference::read(&mut self.tokens, 0)?;
                self.tokens.expect(")")?;
                Kind::Has(reference)
            }
            _ => Kind::Path(Reference::read(&mut self.tokens, 0)?),
        };
        self.node(start, kind)
    }

    fn list(&mut self, start: usize) -> Result<Node, SyntaxError> {
        let mut items = Vec::new();
        while !self.tokens.takes("]") {
            if !items.is_empty() {
                self.tokens.expect(",")?;
            }
            items.push(self.expression(0)?);
        }
        self.node(start, Kind::List(items))
    }

    fn node(&mut self, start: usize, kind: Kind) -> Result<Node, SyntaxError> {
        self.nodes += 1;
        let range = start..self.tokens.taken_to();
        if self.nodes > MAX_NODES { Err(SyntaxError::new(range, "the predicate has too many parts")) } else { Ok(Node { kind, range }) }
    }
}
