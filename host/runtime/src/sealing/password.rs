//! Random passwords.

use cutover_engine::Failure;
use zeroize::Zeroizing;

use super::{code, unusable};
use crate::{entropy::Entropy, secret::Secret};

const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Printable characters; a control character would break the files that passwords are put into.
const MAX_ALPHABET: usize = 256;

/// `length` characters (16 to 1024) of an alphabet of 2 to 256 different characters, each equally likely.
pub(super) fn generate(length: u32, alphabet: Option<&str>, entropy: &dyn Entropy) -> Result<Secret, Failure> {
    if !(16..=1024).contains(&length) {
        return Err(unusable(code::GENERATE, "a password has 16 to 1024 characters"));
    }
    let mut alphabet: Vec<char> = alphabet.unwrap_or(LETTERS_AND_DIGITS).chars().collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    // Few characters must not make a password that can be guessed: 64 bits at least.
    let bits = f64::from(length) * f64::from(u32::try_from(alphabet.len()).unwrap_or(u32::MAX)).log2();
    if !(2..=MAX_ALPHABET).contains(&alphabet.len()) || alphabet.iter().any(|c| c.is_control()) || bits < 64.0 {
        return Err(unusable(code::GENERATE, "an alphabet has 2 to 256 printable characters and the password at least 64 bits"));
    }
    // Bytes beyond the last whole multiple would prefer the first characters.
    let limit = 256 - 256 % alphabet.len();
    let mut bytes = Zeroizing::new([0; 64]);
    let mut left = length;
    let mut out = String::with_capacity(length as usize * 4);
    while left > 0 {
        entropy.fill(bytes.as_mut());
        for byte in bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit).take(left as usize) {
            out.push(alphabet[byte % alphabet.len()]);
            left -= 1;
        }
    }
    Ok(Secret::text(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn every_character_is_about_as_likely() {
        let mut counts = [0_i32; 3];
        for _ in 0..30 {
            let secret = generate(1000, Some("aabc"), &SystemEntropy).expect("a password");
            secret.expose().iter().for_each(|byte| counts[usize::from(byte - b'a')] += 1);
        }
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 700), "{counts:?}");
    }

    #[test]
    fn refuses_weak_requests() {
        for (length, alphabet) in [(15, None), (1025, None), (16, Some("a")), (16, Some("ab")), (32, Some("ab\n")), (16, Some(""))] {
            assert!(generate(length, alphabet, &SystemEntropy).is_err());
        }
        assert_eq!(
            generate(16, Some("äöü€ß"), &SystemEntropy).map(|_| ()),
            Err(unusable(code::GENERATE, "an alphabet has 2 to 256 printable characters and the password at least 64 bits"))
        );
        assert_eq!(
            generate(64, Some("äöü€ß"), &SystemEntropy).expect("a password").expose_text().map(|text| text.chars().count()),
            Some(64)
        );
    }
}
