//! How much of a cluster's writes this process has seen. Since `OpenBao` 2.5 a standby answers reads by itself and can be behind:
//! a request that names the newest index seen is answered by a node that has it (`X-Vault-Index`, `OpenBao` RFC "Support
//! client-indicated minimum storage indices"), and so never with less than an earlier answer showed to this process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;

/// The header of answers and requests.
pub(super) const INDEX: &str = "x-vault-index";
/// What a node does that is behind; otherwise it refuses.
pub(super) const BEHIND: (&str, &str) = ("x-vault-inconsistent", "forward-active-node");

/// The newest index of each cluster that any connection of this process has seen: what one writes another one reads.
#[derive(Default)]
pub(super) struct Indices(Mutex<BTreeMap<String, Newest>>);

struct Newest {
    value: u64,
    /// As a server writes it.
    text: String,
}

/// What `OpenBao` writes, in base64.
#[derive(Deserialize)]
struct Written {
    cluster: String,
    value: String,
}

impl Indices {
    /// Takes what an answer says; the cluster that it is from. None for what other servers write.
    pub(super) fn learn(&self, text: &str) -> Option<String> {
        let written: Written = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
        let value: u64 = written.value.parse().ok()?;
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(&written.cluster).is_none_or(|newest| newest.value < value) {
            // Nothing else of what one server says goes to another.
            let text = STANDARD.encode(json!({ "cluster": written.cluster, "value": value.to_string() }).to_string());
            newest.insert(written.cluster.clone(), Newest { value, text });
        }
        Some(written.cluster)
    }

    /// The newest index of a cluster, as it goes into a request.
    pub(super) fn newest(&self, cluster: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(cluster).map(|newest| newest.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(cluster: &str, value: u64) -> String {
        STANDARD.encode(format!(r#"{{"cluster":"{cluster}","value":"{value}"}}"#))
    }

    #[test]
    fn the_newest_counts_whatever_the_order_of_the_answers() {
        let indices = Indices::default();
        for value in [7, 12, 9] {
            assert_eq!(indices.learn(&index("a", value)).as_deref(), Some("a"));
        }
        indices.learn(&index("b", 99));
        assert_eq!(indices.newest("a"), Some(index("a", 12)));
        assert_eq!(indices.newest("c"), None);
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let indices = Indices::default();
        for text in [
            "",
            "junk",
            &STANDARD.encode("v1:a:1:2:x"),
            &STANDARD.encode(r#"{"cluster":"a","value":"-1"}"#),
            &STANDARD.encode(r#"{"cluster":"a"}"#),
        ] {
            assert_eq!(indices.learn(text), None, "{text}");
        }
        assert_eq!(indices.newest("a"), None);
    }
}
