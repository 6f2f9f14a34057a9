//! Policies of the source that limit more than verbs: KV v2 takes no rules on parameters, so a copy from v1 loses them.

use cutover_plugin::{Failure, Loss, Request};
use serde::{Deserialize, Serialize};

use super::{SOURCE, key::Key};

/// The public header of a policy's read: a JSON array of `{"path", "rules"}`. Its text stays sealed.
const HEADER: &str = "cutover-policy-constraints";

/// The code of what is lost.
const LOSS: &str = "policy-constraints";

/// Policies that are read in one call of a plan, with room for its lists.
const MOST: usize = 300;

/// One path of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraint {
    policy: String,
    path: String,
    /// Such as `allowed_parameters`.
    rules: Vec<String>,
}

/// What is known of the source's policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Constraints {
    /// All of them; so many more are only counted.
    #[serde(rename_all = "kebab-case")]
    Known { found: Vec<Constraint>, further: u32 },
    /// They may not be read, or are too many.
    Unread(String),
}

/// What the host tells of a policy.
#[derive(Deserialize)]
struct Told {
    path: String,
    rules: Vec<String>,
}

impl Constraints {
    /// Reads the policies of the source.
    pub(crate) fn read() -> Result<Self, Failure> {
        let refused = |what: &str, status: u16| Self::Unread(format!("{what} of the source may not be read (status {status})"));
        let response = Request::list("v1/sys/policies/acl").send(SOURCE)?;
        if matches!(response.status, 401 | 403) {
            return Ok(refused("the list of policies", response.status));
        }
        let body = response.expect_success("list the policies of the source")?.body.unwrap_or_default();
        let names: Vec<&str> = body["data"]["keys"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
        if names.len() > MOST {
            return Ok(Self::Unread(format!("{} policies of the source are more than are read", names.len())));
        }
        let mut found = Vec::new();
        for name in &names {
            let response = Request::get(&format!("v1/sys/policies/acl/{name}")).send(SOURCE)?;
            match response.status {
                401 | 403 => return Ok(refused(&format!("the policy `{name}`"), response.status)),
                // It has no text, or was removed just now.
                404 => continue,
                _ => {}
            }
            let response = response.expect_success(&format!("read the policy `{name}` of the source"))?;
            let told: Vec<Told> = response.header(HEADER).and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default();
            found.extend(told.into_iter().map(|told| Constraint { policy: (*name).to_owned(), path: told.path, rules: told.rules }));
        }
        Ok(Self::Known { found, further: 0 })
    }

    /// Those that are for one of these keys.
    pub(crate) fn of(&self, keys: &[Key]) -> Self {
        let of_one = |constraint: &&Constraint| keys.iter().any(|key| constraint.covers(&key.full()));
        match self {
            Self::Unread(why) => Self::Unread(why.clone()),
            Self::Known { found, further } => Self::Known { found: found.iter().filter(of_one).cloned().collect(), further: *further },
        }
    }

    /// The first ones, as far as they fit into so many bytes of JSON, and the number of the rest.
    pub(crate) fn within(self, bytes: usize) -> Self {
        let Self::Known { mut found, further } = self else { return self };
        let mut left = bytes;
        let fits = |constraint: &Constraint| {
            let text = serde_json::to_string(constraint).map_or(usize::MAX, |text| text.len() + 1);
            left.checked_sub(text).map(|rest| left = rest).is_some()
        };
        let kept = found.iter().map(fits).take_while(|fits| *fits).count();
        let rest = u32::try_from(found.len() - kept).unwrap_or(u32::MAX);
        found.truncate(kept);
        Self::Known { found, further: further.saturating_add(rest) }
    }

    /// What the copy of a v1 key loses by them.
    pub(crate) fn losses(&self, key: &Key) -> Vec<Loss> {
        let (found, further) = match self {
            Self::Unread(why) => return vec![Loss::new("policies-unread", why)],
            Self::Known { found, further } => (found, *further),
        };
        let of_key = found.iter().filter(|constraint| constraint.covers(&key.full()));
        let loss = |constraint: &Constraint| {
            let (policy, rules, path) = (&constraint.policy, constraint.rules.join(", "), &constraint.path);
            Loss::new(LOSS, format!("{rules} of `{path}` in the policy `{policy}`"))
        };
        // They are counted only for a key that has its portion to itself.
        let rest = (further > 0).then(|| Loss { count: further, ..Loss::new(LOSS, format!("{further} more like these")) });
        of_key.map(loss).chain(rest).collect()
    }
}

impl Constraint {
    /// Whether the path is for this one: `+` is one segment, a `*` at the end any rest, a template any text.
    fn covers(&self, path: &str) -> bool {
        let rule = self.path.trim_start_matches('/');
        let (rule, open) = match rule.split_once("{{") {
            Some((before, _)) => (before, true),
            None => rule.strip_suffix('*').map_or((rule, false), |before| (before, true)),
        };
        let (mut rules, mut parts) = (rule.split('/').peekable(), path.split('/'));
        while let Some(rule) = rules.next() {
            let Some(part) = parts.next() else { return false };
            let fits =
                if open && rules.peek().is_none() { return part.starts_with(rule) || rule == "+" } else { rule == "+" || rule == part };
            if !fits {
                return false;
            }
        }
        parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_policies_cover_keys_as_the_servers_match_them() {
        let covers = |path: &str| Constraint { policy: "p".to_owned(), path: path.to_owned(), rules: Vec::new() }.covers("kv/app/db");
        assert!(
            ["kv/app/db", "kv/app/*", "kv/*", "*", "kv/+/db", "kv/app/d*", "/kv/app/db", "kv/+/*", "kv/{{identity.x}}/db"]
                .map(covers)
                .iter()
                .all(|is| *is)
        );
        assert!(
            ["kv/app", "kv/app/db/", "kv/app/db/x", "kv/+", "secret/*", "kv/app/e*", "kv/app/db/*", ""].map(covers).iter().all(|is| !*is)
        );
    }
}
