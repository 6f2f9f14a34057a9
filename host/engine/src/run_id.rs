//! The name of one execution.

use crate::{name::checked_name, timestamp::Timestamp};

checked_name! {
    /// A run's id: its start in UTC and four random characters, such as `20261122-014502-k3fd`. Ids sort by time.
    RunId, "run id", |text| {
        let form_fits = text.len() == 20
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 15 => byte == b'-',
                0..=14 => byte.is_ascii_digit(),
                _ => ALPHABET.contains(&byte),
            });
        if form_fits { Ok(()) } else { Err("it must look like `20261122-014502-k3fd`") }
    }
}

/// RFC 4648 base 32 in lower case: no character is mistaken for another.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl RunId {
    /// The id of a run that starts at `at`; `random` keeps runs of one second apart.
    #[must_use]
    pub fn generate(at: Timestamp, random: [u8; 4]) -> Self {
        // RFC 3339 in UTC without its separators; years beyond 9999 do not come from a clock.
        let digits: String = at.to_string().chars().filter(char::is_ascii_digit).collect();
        let (date, time) = digits.split_at_checked(8).filter(|(_, time)| time.len() == 6).unwrap_or(("99991231", "235959"));
        let tail: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        Self::new(format!("{date}-{time}-{tail}")).expect("the form is the one that the check wants")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_run_after_its_start() {
        let id = RunId::generate(Timestamp(1_795_000_000_000), [0, 31, 32, 255]);
        assert_eq!(id.as_str(), "20261118-110640-a7a7");
        assert_eq!(RunId::generate(Timestamp(u64::MAX), [0; 4]).as_str(), "99991231-235959-aaaa");
    }

    #[test]
    fn refuses_what_could_leave_the_folder() {
        for text in ["", "..", "20261122-014502-k3f/", "20261122-014502-K3FD", "20261122-014502-k3fd0", "2026112２-014502-k3f"] {
            assert!(RunId::new(text).is_err(), "{text}");
        }
    }
}
