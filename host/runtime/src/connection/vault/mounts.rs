//! Which secrets engine a path leads to, as the server says.

use std::sync::{Mutex, PoisonError};

use cutover_engine::{Span, Timestamp};
use serde_json::Value;

use super::table::{FOREIGN, KV1, KV2};
use crate::policy::Ground;

/// How long an answer counts: a mount can be upgraded or moved while a run waits.
const VALID: Span = Span::seconds(300);
/// Beginnings of paths that are no mounts of secrets engines a plugin could have a route for.
const SYSTEM: [&str; 4] = ["sys", "auth", "identity", "cubbyhole"];

/// The mounts that were asked for.
#[derive(Default)]
pub(super) struct Mounts(Mutex<Vec<(Ground, Timestamp)>>);

impl Mounts {
    /// The mount above `path` (without slashes around it) if it is known. Mounts never lie in one another.
    pub(super) fn known(&self, path: &str, now: Timestamp) -> Option<Ground> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(ground, until)| now < *until && is_below(path, &ground.mount)).map(|(ground, _)| ground.clone())
    }

    /// Takes over what `sys/internal/ui/mounts/PATH` answered; nothing if it does not fit what was asked.
    pub(super) fn learn(&self, path: &str, answer: &Value, now: Timestamp) -> Option<Ground> {
        let data = answer.get("data")?;
        let mount = data.get("path")?.as_str()?.trim_matches('/').to_owned();
        let sort = match (data.get("type")?.as_str()?, version(data)) {
            ("kv" | "generic", Some("2")) => KV2,
            // Without the option it is the first version.
            ("kv" | "generic", None | Some("1" | "")) => KV1,
            _ => FOREIGN,
        };
        if mount.is_empty() || !is_below(path, &mount) {
            return None;
        }
        let ground = Ground { sort, mount };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| other.mount != ground.mount);
        known.push((ground.clone(), now.after(VALID)));
        Some(ground)
    }
}

/// Whether a path without `/v1` could be below a mount of a secrets engine.
pub(super) fn is_mountable(path: &str) -> bool {
    !SYSTEM.contains(&path.split('/').next().unwrap_or_default()) && !path.is_empty()
}

fn version(data: &Value) -> Option<&str> {
    data.get("options")?.get("version")?.as_str()
}

fn is_below(path: &str, mount: &str) -> bool {
    path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn learnt(path: &str, mount: &str, kind: &str, options: Value) -> Option<(&'static str, String)> {
        let answer = json!({"data": {"path": mount, "type": kind, "options": options}});
        Mounts::default().learn(path, &answer, NOW).map(|ground| (ground.sort, ground.mount))
    }

    #[test]
    fn the_option_decides_the_version() {
        let of = |sort| Some((sort, "kv".to_owned()));
        assert_eq!(learnt("kv/a", "kv/", "kv", json!({"version": "2"})), of(KV2));
        assert_eq!(learnt("kv/a", "kv/", "kv", json!({"version": "1"})), of(KV1));
        assert_eq!(learnt("kv/a", "kv/", "kv", json!(null)), of(KV1));
        assert_eq!(learnt("kv/a", "kv/", "generic", json!({})), of(KV1));
        assert_eq!(learnt("kv/a", "kv/", "kv", json!({"version": "3"})), of(FOREIGN));
        assert_eq!(learnt("kv/a", "kv/", "database", json!(null)), of(FOREIGN));
        assert_eq!(learnt("other/a", "kv/", "kv", json!(null)), None, "an answer about another path");
        assert_eq!(learnt("kvx/a", "kv/", "kv", json!(null)), None);
        assert_eq!(learnt("kv/a", "", "kv", json!(null)), None);
    }

    #[test]
    fn a_mount_is_known_for_whole_segments_and_a_while() {
        let mounts = Mounts::default();
        mounts.learn("team/kv/a", &json!({"data": {"path": "team/kv/", "type": "kv"}}), NOW);
        let known = |path: &str, at: u64| mounts.known(path, Timestamp(at)).is_some();
        assert!(known("team/kv", NOW.0) && known("team/kv/b/c", NOW.0 + 299_999));
        assert!(!known("team/kvb", NOW.0) && !known("team", NOW.0) && !known("team/kv/a", NOW.0 + 300_000));
    }

    #[test]
    fn system_paths_are_no_mounts() {
        assert!(is_mountable("secret/x") && is_mountable("system/x"));
        for path in ["sys/raw", "auth/token/create", "identity/entity", "cubbyhole/x", "sys", ""] {
            assert!(!is_mountable(path), "{path}");
        }
    }
}
