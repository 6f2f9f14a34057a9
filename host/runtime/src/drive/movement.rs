//! What is different between what a change left and what stands there now, for the person who has to decide.

use serde_json::Value;

use crate::sealing::Scope;

/// Places named at most; the rest is counted.
const NAMED: usize = 3;

/// In words, as `/version is 9, ours was 4; /data/password holds another secret`. Only what a plan may show is shown:
/// no value at all if `shows` is false, because the plugin was granted secrets in plain and may have put one there.
pub(super) fn movement(now: Option<&Value>, ours: Option<&Value>, shows: bool) -> String {
    match (now, ours) {
        (None, None) => "nothing is there, as before".to_owned(),
        (None, Some(_)) => "it is gone".to_owned(),
        (Some(_), None) => "it is there, and this change left nothing there".to_owned(),
        (Some(now), Some(ours)) => {
            let mut found = Vec::new();
            compare(now, ours, shows, &mut String::new(), &mut found);
            let rest = found.len().saturating_sub(NAMED);
            found.truncate(NAMED);
            match rest {
                0 => {}
                1 => found.push("one more place differs".to_owned()),
                _ => found.push(format!("{rest} more places differ")),
            }
            found.join("; ")
        }
    }
}

fn compare(now: &Value, ours: &Value, shows: bool, place: &mut String, found: &mut Vec<String>) {
    let mut at = |name: &str, now: Option<&Value>, ours: Option<&Value>| {
        let length = place.len();
        place.push('/');
        place.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (now, ours) {
            (Some(now), Some(ours)) => compare(now, ours, shows, place, found),
            (Some(_), None) => found.push(format!("{place} is new")),
            (None, _) => found.push(format!("{place} is gone")),
        }
        place.truncate(length);
    };
    match (now, ours) {
        (Value::Object(now), Value::Object(ours)) => {
            let gone = ours.keys().filter(|name| !now.contains_key(*name));
            now.keys().chain(gone).for_each(|name| at(name, now.get(name), ours.get(name)));
        }
        (Value::Array(now), Value::Array(ours)) => {
            (0..now.len().max(ours.len())).for_each(|index| at(&index.to_string(), now.get(index), ours.get(index)));
        }
        _ if now == ours => {}
        _ if shows && is_short(now) && is_short(ours) => found.push(format!("{} is {now}, ours was {ours}", named(place))),
        _ if Scope::tokens_of(now).is_empty() => found.push(format!("{} is another", named(place))),
        _ => found.push(format!("{} holds another secret", named(place))),
    }
}

fn named(place: &str) -> &str {
    if place.is_empty() { "it" } else { place }
}

/// A scalar that can be shown: no secret, and not long.
fn is_short(value: &Value) -> bool {
    !value.is_object() && !value.is_array() && Scope::tokens_of(value).is_empty() && value.to_string().len() <= 40
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::movement;

    #[test]
    fn names_what_is_different_and_shows_no_secret() {
        let token = |text: &str| format!("{}{text}", crate::sealing::PREFIX);
        let ours = json!({"data": {"a/b": token("AAAA"), "same": 1}, "list": [1, 2], "version": 4});
        let now = json!({"data": {"a/b": token("BBBB"), "same": 1}, "list": [1], "version": 9, "who": "x"});
        let text = movement(Some(&now), Some(&ours), true);
        assert_eq!(text, "/data/a~1b holds another secret; /list/1 is gone; /version is 9, ours was 4; one more place differs");
        assert_eq!(movement(None, Some(&ours), true), "it is gone");
        assert_eq!(movement(Some(&now), None, true), "it is there, and this change left nothing there");
    }

    #[test]
    fn shows_no_value_where_a_plugin_may_know_secrets() {
        let (now, ours) = (json!({"pin": "4711-is-my-pin"}), json!({"pin": "0815-was-my-pin"}));
        assert_eq!(movement(Some(&now), Some(&ours), false), "/pin is another");
    }
}
