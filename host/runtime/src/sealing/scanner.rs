//! The last net: finds live secrets in what a sink is about to write. Sealing is the wall; a hit is a defect.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

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
/// How many windows of secrets are watched; the oldest go first. About 10 MiB.
const MAX_WINDOWS: usize = 4096;
/// How many public texts are remembered.
const MAX_EXEMPT: usize = 65_536;
/// In whole lines of output shorter values are not looked for: a line has words of the host's own, and names.
const MIN_OF_LINES: usize = 16;
/// Every form is at least as long as a secret must be: so many bytes of it find it.
const HEAD: usize = MIN_BYTES;
/// Bits of the filter before the table of heads: with all windows watched one in twenty is set.
const FILTER_BITS: u32 = 20;

/// Knows live secrets and finds them raw, in JSON, in hex and in base64.
#[derive(Default)]
pub struct Scanner {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashSet<[u8; 32]>,
    exempt: HashSet<[u8; 32]>,
    /// Credentials: they stay live however many secrets come after them.
    kept: Net,
    /// Values that plugins were given in plain.
    granted: Watch,
    watched: Watch,
}

/// A net of bounded size.
#[derive(Default)]
struct Watch {
    net: Net,
    /// What is in it, oldest first.
    order: VecDeque<Zeroizing<Vec<u8>>>,
}

/// Forms of secrets by their heads. One more costs the same however many there are.
#[derive(Default)]
struct Net {
    forms: HashMap<[u8; HEAD], Vec<Zeroizing<Vec<u8>>>>,
    /// A bit per hash of a head: most bytes of a text need no look at the table. Bits stay when a form goes.
    filter: Vec<u64>,
}

impl Scanner {
    /// Watches for a secret, unless it is too short or too plain.
    pub fn watch(&self, secret: &[u8]) {
        if is_plain(secret) {
            return;
        }
        let digest = *cutover_engine::Digest::of(secret).as_bytes();
        let mut state = self.state();
        if state.exempt.contains(&digest) || !state.seen.insert(digest) {
            return;
        }
        if state.seen.len() > MAX_EXEMPT {
            state.seen.clear();
        }
        state.watched.add(secret);
    }

    /// Watches for a value that a plugin was given in plain, unless it is too short or too plain.
    pub fn grant(&self, value: &[u8]) {
        self.watch(value);
        let mut state = self.state();
        if !is_plain(value) && windows(value).iter().any(|window| !state.granted.net.hit(window)) {
            state.granted.add(value);
        }
    }

    /// Watches for a credential of the host's own, until the end.
    pub fn keep(&self, credential: &[u8]) {
        let mut state = self.state();
        if credential.len() >= MIN_BYTES {
            for window in windows(credential) {
                if !state.kept.hit(window) {
                    state.kept.add(window);
                }
            }
        }
    }

    /// A text that is public: a secret that equals it is not watched any more.
    pub fn exempt(&self, text: &str) {
        if text.len() < MIN_BYTES {
            return;
        }
        let digest = *cutover_engine::Digest::of(text.as_bytes()).as_bytes();
        let mut state = self.state();
        let is_news = state.exempt.len() >= MAX_EXEMPT || state.exempt.insert(digest);
        if !is_news || !state.seen.contains(&digest) {
            return;
        }
        state.watched.remove(text.as_bytes());
    }

    /// Whether a live secret stands in `bytes`.
    #[must_use]
    pub fn hit(&self, bytes: &[u8]) -> bool {
        let state = self.state();
        state.kept.hit(bytes) || state.granted.net.hit(bytes) || state.watched.net.hit(bytes)
    }

    /// Whether one stands there that left the host: a credential, or what a plugin was given in plain.
    #[must_use]
    pub fn hit_outside(&self, bytes: &[u8]) -> bool {
        let state = self.state();
        state.kept.hit(bytes) || state.granted.net.hit(bytes)
    }

    /// Whether a live secret stands in a text that a plugin or backend had a hand in, other than what `is_public` says everybody
    /// may read: a source may hold as a value what is a name in the workflow.
    #[must_use]
    pub fn hit_in_text(&self, text: &[u8], is_public: impl Fn(&str) -> bool) -> bool {
        self.hit_unless(text, MIN_BYTES, is_public)
    }

    /// The same for a whole line of output. Short values are not looked for there.
    #[must_use]
    pub fn hit_in_line(&self, line: &[u8], is_public: impl Fn(&str) -> bool) -> bool {
        self.hit_unless(line, MIN_OF_LINES, is_public)
    }

    fn hit_unless(&self, text: &[u8], shortest: usize, is_public: impl Fn(&str) -> bool) -> bool {
        let mut public = Vec::new();
        let mut is_secret = |form: &[u8], shortest: usize| match std::str::from_utf8(form) {
            _ if form.len() < shortest => false,
            Ok(form) if is_public(form) => {
                public.push(form.to_owned());
                false
            }
            _ => true,
        };
        let state = self.state();
        // What a plugin was given in plain did leave the host, however short it is.
        let hit = state.kept.hit(text)
            || state.granted.net.hit_where(text, |form| is_secret(form, MIN_BYTES))
            || state.watched.net.hit_where(text, |form| is_secret(form, shortest));
        drop(state);
        public.iter().for_each(|text| self.exempt(text));
        hit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scanner(..)")
    }
}

impl Watch {
    fn add(&mut self, secret: &[u8]) {
        for window in windows(secret) {
            self.net.add(window);
            self.order.push_back(Zeroizing::new(window.to_vec()));
        }
        while self.order.len() > MAX_WINDOWS {
            let oldest = self.order.pop_front().unwrap_or_default();
            self.net.remove(&oldest);
        }
    }

    fn remove(&mut self, secret: &[u8]) {
        let public = windows(secret);
        let Self { net, order } = self;
        order.retain(|window| {
            let goes = public.contains(&window.as_slice());
            if goes {
                net.remove(window);
            }
            !goes
        });
    }
}

impl Net {
    fn add(&mut self, window: &[u8]) {
        if self.filter.is_empty() {
            self.filter = vec![0; 1 << (FILTER_BITS - u64::BITS.ilog2())];
        }
        for form in forms(window) {
            let Some(head) = form.first_chunk::<HEAD>().copied() else { continue };
            let (word, bit) = filter_place(head);
            self.filter[word] |= bit;
            self.forms.entry(head).or_default().push(Zeroizing::new(form));
        }
    }

    /// Takes one window out again; the same window of another secret stays.
    fn remove(&mut self, window: &[u8]) {
        for form in forms(window) {
            let Some(head) = form.first_chunk::<HEAD>() else { continue };
            let Some(known) = self.forms.get_mut(head) else { continue };
            if let Some(index) = known.iter().position(|known| **known == form) {
                known.swap_remove(index);
            }
            if known.is_empty() {
                self.forms.remove(head);
            }
        }
    }

    fn hit(&self, bytes: &[u8]) -> bool {
        self.hit_where(bytes, |_| true)
    }

    /// Whether a form stands in `bytes` that counts.
    fn hit_where(&self, bytes: &[u8], mut counts: impl FnMut(&[u8]) -> bool) -> bool {
        if self.forms.is_empty() {
            return false;
        }
        bytes.windows(HEAD).enumerate().any(|(start, head)| {
            let head: [u8; HEAD] = head.try_into().unwrap_or_default();
            let (word, bit) = filter_place(head);
            self.filter[word] & bit != 0
                && self.forms.get(&head).is_some_and(|forms| forms.iter().any(|form| bytes[start..].starts_with(form) && counts(form)))
        })
    }
}

/// Word and bit of a head in the filter (multiplicative hashing, Knuth, TAOCP 3, 6.4).
fn filter_place(head: [u8; HEAD]) -> (usize, u64) {
    let hash = u64::from_le_bytes(head).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - FILTER_BITS);
    (usize::try_from(hash / 64).unwrap_or_default(), 1 << (hash % 64))
}

/// Whether a value is too short to be looked for, or has too few different bytes to be told from harmless text.
fn is_plain(value: &[u8]) -> bool {
    let mut known = Vec::with_capacity(MIN_DISTINCT);
    let is_varied = value.iter().any(|byte| {
        if !known.contains(byte) {
            known.push(*byte);
        }
        known.len() >= MIN_DISTINCT
    });
    value.len() < MIN_BYTES || !is_varied
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
    fn a_value_that_is_a_name_or_a_word_of_the_host_holds_no_line_back() {
        let scanner = Scanner::default();
        for value in ["payments", "completed", "payments-to-openbao"] {
            scanner.watch(value.as_bytes());
            assert!(scanner.hit(value.as_bytes()) && !scanner.hit_outside(value.as_bytes()), "{value}");
        }
        let line = b"run payments-to-openbao: completed, under payments/";
        assert!(scanner.hit_in_line(line, |_| false), "a long one that nobody published is a secret");
        assert!(!scanner.hit_in_line(line, |form| form == "payments-to-openbao"));
        assert!(scanner.hit_in_text(b"it is completed", |_| false), "a plugin's text has no words of the host");
        assert!(!scanner.hit_in_text(b"PUT /payments/db", |form| form == "payments"));
        scanner.grant(b"granted-value");
        scanner.keep(b"s.token-of-the-host");
        assert!(scanner.hit_outside(b"a granted-value") && scanner.hit_outside(b"s.token-of-the-host"));
    }

    #[test]
    fn every_form_is_long_enough_to_be_found() {
        for length in MIN_BYTES..=2 * WINDOW {
            let secret: Vec<u8> = (0..length).map(|index| u8::try_from(index * 37 % 251).expect("a byte")).collect();
            assert!(forms(&secret).iter().all(|form| form.len() >= HEAD), "{length}");
        }
    }

    #[test]
    fn a_window_of_two_secrets_is_watched_until_both_are_gone() {
        let (mut net, window) = (Net::default(), b"window-of-two");
        net.add(window);
        net.add(window);
        net.remove(window);
        assert!(net.hit(b"a window-of-two secrets"));
        net.remove(window);
        assert!(!net.hit(b"a window-of-two secrets"));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let scanner = Scanner::default();
        let secret = |index: usize| format!("secret-number-{index:08}");
        (0..2 * MAX_WINDOWS).for_each(|index| scanner.watch(secret(index).as_bytes()));
        let state = scanner.state();
        let Watch { net, order } = &state.watched;
        let forms: usize = net.forms.values().map(Vec::len).sum();
        assert!(order.len() <= MAX_WINDOWS && forms <= 10 * MAX_WINDOWS, "{} windows, {forms} forms", order.len());
        drop(state);
        assert!(scanner.hit(secret(2 * MAX_WINDOWS - 1).as_bytes()) && !scanner.hit(secret(0).as_bytes()));
    }

    #[test]
    fn long_secrets_are_found_by_their_middle() {
        let scanner = Scanner::default();
        let secret: Vec<u8> = (0..2000_u32).map(|index| (index * 7919 % 251) as u8).collect();
        scanner.watch(&secret);
        assert!(scanner.hit(&secret) && scanner.hit(&secret[900..1100]) && !scanner.hit(&secret[..100]));
    }

    #[test]
    fn credentials_stay_watched_however_much_comes_after_them() {
        let scanner = Scanner::default();
        scanner.keep(b"s.credential-of-the-host");
        for number in 0..5_000 {
            scanner.watch(format!("another secret {number}").as_bytes());
        }
        assert!(scanner.hit(b"token=s.credential-of-the-host"));
        assert!(!scanner.hit(b"another secret 1 "), "the oldest others went");
    }
}
