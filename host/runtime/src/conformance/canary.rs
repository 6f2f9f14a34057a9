//! Secrets that must show nowhere.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::{entropy::Entropy, sealing::Scanner};

/// How a secret of a fixture begins.
const MARK: &str = "canary-";
/// How the secret begins that the kit's places put into the body of a refusal.
const IN_REFUSALS: &str = "canary-of-a-refusal";

/// The canaries of one case, and where they showed.
pub(super) struct Canaries {
    scanner: Scanner,
    refusal: String,
    leaks: Mutex<Vec<String>>,
}

impl Canaries {
    /// With one for refusals.
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let canaries = Self { scanner: Scanner::default(), refusal: unique(IN_REFUSALS, entropy), leaks: Mutex::default() };
        canaries.scanner.keep(canaries.refusal.as_bytes());
        canaries
    }

    /// The secret that stands in the body of a refusal.
    pub(super) fn of_refusals(&self) -> &str {
        &self.refusal
    }

    /// Makes each `canary-…` of a text a secret of its own.
    pub(super) fn hatch(&self, text: &str, entropy: &dyn Entropy) -> String {
        let mut hatched = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(MARK) {
            let from = &rest[start..];
            let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(from.len());
            let secret = unique(&from[..end], entropy);
            self.scanner.keep(secret.as_bytes());
            hatched.push_str(&rest[..start]);
            hatched.push_str(&secret);
            rest = &from[end..];
        }
        hatched.push_str(rest);
        hatched
    }

    /// The same for every text of a document.
    pub(super) fn hatch_document(&self, document: &Value, entropy: &dyn Entropy) -> Value {
        match document {
            Value::String(text) => self.hatch(text, entropy).into(),
            Value::Array(items) => items.iter().map(|item| self.hatch_document(item, entropy)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.hatch_document(value, entropy)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Looks for canaries in what the plugin said at `place`.
    pub(super) fn watch(&self, place: &str, said: &str) {
        if self.scanner.hit(said.as_bytes()) {
            let mut leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
            let kind = if said.contains(IN_REFUSALS) { "the body of a refusal" } else { "a secret of the fixture" };
            leaks.push(format!("{place} shows {kind}"));
        }
    }

    /// Where they showed, in order.
    pub(super) fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name with randomness behind it: nobody says it by chance.
fn unique(name: &str, entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    format!("{name}-{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_canary_is_found_where_it_shows_and_its_name_alone_is_none() {
        let canaries = Canaries::new(&SystemEntropy);
        let document = canaries.hatch_document(&json!({"a": ["KEY=canary-db\nB=1", 7]}), &SystemEntropy);
        let text = document["a"][0].as_str().expect("a text").to_owned();
        assert!(text.starts_with("KEY=canary-db-") && text.ends_with("\nB=1"), "{text}");
        canaries.watch("the summary", "canary-db is its name");
        assert!(canaries.leaks().is_empty());
        canaries.watch("the summary", &text);
        canaries.watch("a failure", &format!("403: {}", canaries.of_refusals()));
        assert_eq!(canaries.leaks(), ["the summary shows a secret of the fixture", "a failure shows the body of a refusal"]);
    }
}
