//! The last net: finds live secrets in what a sink is about to write. Sealing is the wall; a hit is a defect.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

/// Shorter values (PINs, `true`, small numbers) stand in harmless text too.
const MIN_BYTES: usize = 8;
/// Fewer different bytes, such as `00000000`, likewise.
const MIN_DISTINCT: usize = 5;
/// Of longer secrets two windows of this size are watched: beginnings are often the same (`-----BEGIN`).
const WINDOW: usize = 32;
/// How many secrets are watched; the oldest go first. About 10 MiB with their automaton.
const MAX_SECRETS: usize = 4096;
/// How many public texts are remembered.
const MAX_EXEMPT: usize = 65_536;
/// Fresh secrets have an automaton of their own until there are so many.
const MAX_FRESH: usize = 256;
/// So many are looked for one by one in short texts, before the automaton is built again.
const MAX_SINGLE: usize = 32;
/// What a short text is, in bytes: a record of the journal, a line of output.
const SHORT: usize = 4096;

/// Knows live secrets and finds them raw, in JSON, in hex and in base64.
#[derive(Default)]
pub struct Scanner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashSet<[u8; 32]>,
    exempt: HashSet<[u8; 32]>,
    settled: Tier,
    fresh: Tier,
}

#[derive(Default)]
struct Tier {
    secrets: Vec<Zeroizing<Vec<u8>>>,
    /// Knows so many of the secrets, from the first on.
    automaton: Option<(usize, AhoCorasick)>,
}

impl Scanner {
    /// Watches for a secret, unless it is too short or too plain.
    pub fn watch(&self, secret: &[u8]) {
        let digest = *cutover_engine::Digest::of(secret).as_bytes();
        let mut state = self.state();
        if !is_telling(secret) || state.exempt.contains(&digest) || !state.seen.insert(digest) {
            return;
        }
        for window in windows(secret) {
            state.fresh.secrets.push(Zeroizing::new(window.to_vec()));
        }
        if state.fresh.secrets.len() > MAX_FRESH {
            state.settle();
        }
    }

    /// A text that is public: a secret that equals it is not watched any more.
    pub fn exempt(&self, text: &str) {
        if text.len() < MIN_BYTES {
            return;
        }
        let digest = *cutover_engine::Digest::of(text.as_bytes()).as_bytes();
        let mut state = self.state();
        if state.exempt.len() >= MAX_EXEMPT || !state.exempt.insert(digest) || !state.seen.contains(&digest) {
            return;
        }
        let State { settled, fresh, .. } = &mut *state;
        for tier in [settled, fresh] {
            tier.secrets.retain(|secret| !windows(text.as_bytes()).contains(&secret.as_slice()));
            tier.automaton = None;
        }
    }

    /// Whether a live secret stands in `bytes`.
    #[must_use]
    pub fn hit(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        let State { settled, fresh, .. } = &mut *state;
        [settled, fresh].into_iter().any(|tier| tier.hit(bytes))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a value is long and mixed enough that an equal one elsewhere is no accident.
pub(super) fn is_telling(value: &[u8]) -> bool {
    value.len() >= MIN_BYTES && value.iter().collect::<HashSet<_>>().len() >= MIN_DISTINCT
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scanner(..)")
    }
}

impl State {
    fn settle(&mut self) {
        self.settled.secrets.append(&mut self.fresh.secrets);
        self.fresh.automaton = None;
        let surplus = self.settled.secrets.len().saturating_sub(MAX_SECRETS);
        self.settled.secrets.drain(..surplus);
        self.settled.automaton = None;
        if self.seen.len() > MAX_EXEMPT {
            self.seen.clear();
        }
    }
}

impl Tier {
    fn hit(&mut self, bytes: &[u8]) -> bool {
        let known = self.automaton.as_ref().map_or(0, |(known, _)| *known);
        let rest = self.secrets.len() - known;
        if rest > MAX_SINGLE || rest > 0 && bytes.len() > SHORT {
            let patterns = self.secrets.iter().flat_map(|secret| forms(secret));
            let automaton = AhoCorasick::new(patterns).expect("a few thousand short patterns fit an automaton");
            self.automaton = Some((self.secrets.len(), automaton));
        }
        let known = self.automaton.as_ref().map_or(0, |(known, _)| *known);
        let stands = |form: &Vec<u8>| bytes.windows(form.len()).any(|part| part == form.as_slice());
        self.automaton.as_ref().is_some_and(|(_, automaton)| automaton.is_match(bytes))
            || self.secrets[known..].iter().any(|secret| forms(secret).iter().any(stands))
    }
}

fn windows(secret: &[u8]) -> Vec<&[u8]> {
    let window = |start: usize| &secret[start..start + WINDOW];
    if secret.len() < 2 * WINDOW {
        vec![secret]
    } else {
        vec![window(secret.len() / 2 - WINDOW / 2), window(secret.len() * 3 / 4 - WINDOW / 2)]
    }
}

/// Raw, inside JSON, hex in both cases, base64 in both alphabets at every offset.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), hex::encode(secret).into_bytes(), hex::encode_upper(secret).into_bytes()];
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::Value::from(text).to_string();
        forms.push(quoted.as_bytes()[1..quoted.len() - 1].to_vec());
    }
    for offset in 0..3 {
        let padded = [&[0; 2][..offset], secret].concat();
        // Characters that also hold bits of a neighbour are left out.
        let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(text.as_bytes()[first..last].to_vec());
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"hunter2/\"+\xc3\xbf\xc3\xbe>?";

    #[test]
    fn finds_every_form_at_every_offset() {
        let scanner = Scanner::default();
        scanner.watch(SECRET);
        for prefix in 0..4 {
            let text = [&b"abc"[..prefix.min(3)], SECRET, b"tail"].concat();
            for form in [
                text.clone(),
                hex::encode(&text).into_bytes(),
                hex::encode_upper(&text).into_bytes(),
                STANDARD_NO_PAD.encode(&text).into_bytes(),
                URL_SAFE_NO_PAD.encode(&text).into_bytes(),
            ] {
                assert!(scanner.hit(&form));
            }
        }
        assert!(scanner.hit(serde_json::Value::from(std::str::from_utf8(SECRET).expect("text")).to_string().as_bytes()));
        assert!(!scanner.hit(b"hunter2 is not all of it"));
    }

    #[test]
    fn short_plain_and_public_values_are_left_out() {
        let scanner = Scanner::default();
        for text in ["true", "1234567", "00000000000", ""] {
            scanner.watch(text.as_bytes());
            assert!(!scanner.hit(text.as_bytes()));
        }
        scanner.watch(b"https://app.corp");
        assert!(scanner.hit(b"GET https://app.corp/x"));
        scanner.exempt("https://app.corp");
        assert!(!scanner.hit(b"GET https://app.corp/x"));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let scanner = Scanner::default();
        let secret = |index: usize| format!("secret-number-{index:08}");
        (0..2 * MAX_SECRETS).for_each(|index| scanner.watch(secret(index).as_bytes()));
        let state = scanner.state();
        assert!(state.settled.secrets.len() <= MAX_SECRETS && state.fresh.secrets.len() <= MAX_FRESH + 2);
        drop(state);
        assert!(scanner.hit(secret(2 * MAX_SECRETS - 1).as_bytes()) && !scanner.hit(secret(0).as_bytes()));
    }

    #[test]
    fn long_secrets_are_found_by_their_middle() {
        let scanner = Scanner::default();
        let secret: Vec<u8> = (0..2000_u32).map(|index| (index * 7919 % 251) as u8).collect();
        scanner.watch(&secret);
        assert!(scanner.hit(&secret) && scanner.hit(&secret[900..1100]) && !scanner.hit(&secret[..100]));
    }
}
