//! Made-up secrets of every kind that a KV v2 mount can hold, the same for the same seed.

use serde_json::{Map, Value, json};

use crate::plain_http::{PlainHttp, escaped, over_connections};

/// How many connections write at once.
const WRITERS: usize = 16;
/// What a name can hold, apart from letters. `{}` is the number of the key.
const NAMES: [&str; 9] =
    ["db-{}", "with space {}", "100%{}", "per%2fcent{}", "ключ-日本-{}", "a+b&c=d-{}", "q?m#{}", " edge {} ", "data/metadata/{}"];

/// Requests that make keys of one mount.
pub struct KvWorkload {
    keys: Vec<Key>,
    /// Every string of at least 16 bytes that is secret.
    pub secrets: Vec<String>,
}

struct Key {
    path: String,
    /// The part of the API and the body, in order.
    requests: Vec<(&'static str, Value)>,
}

impl KvWorkload {
    /// So many keys with 1 to 12 versions: live, scheduled, soft-deleted, destroyed and dropped ones, keys without any, names of
    /// every kind, and documents of every kind.
    #[must_use]
    pub fn mixed(keys: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut secrets = Vec::new();
        let keys = (0..keys).map(|number| Key::mixed(number, &mut dice, &mut secrets)).collect();
        Self { keys, secrets }
    }

    /// So many keys with so many live versions each.
    #[must_use]
    pub fn plain(keys: usize, versions: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut secrets = Vec::new();
        let mut requests = || (0..versions).map(|_| ("data", json!({"data": {"password": secret(&mut dice, &mut secrets)}}))).collect();
        let keys = (0..keys).map(|number| Key { path: format!("team{}/db-{number}", number % 17), requests: requests() }).collect();
        Self { keys, secrets }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The paths of all keys.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.path.as_str())
    }

    /// Makes them.
    ///
    /// # Panics
    /// If a request is refused.
    pub fn seed(&self, url: &str, token: &str, mount: &str) {
        over_connections(url, token, WRITERS, &self.keys, |client, key| key.seed(client, mount));
    }
}

impl Key {
    fn mixed(number: usize, dice: &mut Dice, secrets: &mut Vec<String>) -> Self {
        // A key and a folder of one name, for each eleventh.
        let path = match number % 11 {
            0 => format!("team{}/both-{number}", number % 7),
            1 => format!("team{}/both-{}/below", (number - 1) % 7, number - 1),
            _ => format!("team{}/{}", number % 7, NAMES[dice.below(NAMES.len())].replace("{}", &number.to_string())),
        };
        let mut requests = Vec::new();
        let custom = json!({"owner": format!("team-{}", number % 7), "note": "für alle, 100 %"});
        if dice.below(40) == 0 {
            requests.push(("metadata", json!({"custom_metadata": custom, "max_versions": 7, "delete_version_after": "3h"})));
            return Self { path, requests };
        }
        let most = [0, 0, 5, 15][dice.below(4)];
        if most > 0 || dice.below(4) == 0 {
            requests.push(("metadata", json!({"max_versions": most, "custom_metadata": custom})));
        }
        let versions = 1 + dice.below(12);
        let scheduled = if dice.below(10) == 0 { dice.below(versions) } else { versions };
        for version in 0..versions {
            if version == scheduled {
                requests.push(("metadata", json!({"delete_version_after": "720h"})));
            }
            requests.push(("data", json!({"data": document(version, dice, secrets)})));
        }
        if scheduled < versions && dice.below(2) == 0 {
            requests.push(("metadata", json!({"delete_version_after": "0s"})));
        }
        for (verb, one_in) in [("delete", 12), ("destroy", 14)] {
            let numbers: Vec<usize> = (1..=versions).filter(|_| dice.below(one_in) == 0).collect();
            if !numbers.is_empty() {
                requests.push((verb, json!({"versions": numbers})));
            }
        }
        if dice.below(20) == 0 {
            requests.push(("metadata", json!({"cas_required": true})));
        }
        Self { path, requests }
    }

    fn seed(&self, client: &mut PlainHttp, mount: &str) {
        for (infix, body) in &self.requests {
            let answer = client.ask("PUT", &format!("/v1/{mount}/{infix}/{}", escaped(&self.path)), body);
            assert!(answer.status < 300, "{infix} of `{}`: {} {}", self.path, answer.status, answer.body);
        }
    }
}

fn document(version: usize, dice: &mut Dice, secrets: &mut Vec<String>) -> Value {
    match dice.below(12) {
        0 => json!({}),
        1 => json!({"empty": "", "nothing": null, "none": [], "open": {}}),
        2 => json!({"big": 9_007_199_254_740_993_u64 + version as u64, "id": secret(dice, secrets)}),
        3 => json!({"nested": {"deep": [{"key": secret(dice, secrets)}, null, true, -3, 0.5]}}),
        4 => json!({"текст 🐤": format!("пароль-{}", secret(dice, secrets)), "quote\"d": secret(dice, secrets)}),
        5 => {
            let many: Map<String, Value> = (0..12).map(|number| (format!("K{number}"), secret(dice, secrets).into())).collect();
            many.into()
        }
        _ => json!({"user": "app", "password": secret(dice, secrets), "version": version}),
    }
}

/// 24 characters that nothing else has.
fn secret(dice: &mut Dice, secrets: &mut Vec<String>) -> String {
    let text = format!("c{:07}-{:016x}", secrets.len(), dice.next());
    secrets.push(text.clone());
    text
}

/// `xorshift64*` (Vigna 2016).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }
}
