//! Sealed values: secrets as the plugins see them.
//!
//! A response goes through [`Call::seal`], which puts a token in place of every scalar that is not public; a request
//! goes through [`Scope::unseal`], which turns tokens back where they may go. A [`Scope`] is one change: tokens of
//! another mean nothing in it. A token is a keyed MAC of the value, so tokens are equal exactly where values are; one
//! made from anything the plugin chose is salted, so that it never equals one that was read and guesses cannot be tried.
//! What a change writes is remembered by place, and read back as it was written.
//!
//! `null`, `{}` and `[]` are not sealed: they say no more than absence does. Object keys are not sealed either; therefore
//! text that a plugin joined cannot be parsed, nor text it rendered in one form be read in another: a secret would
//! become a key.
//!
//! Codes: [`code`].

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cutover_engine::{Failure, FailureCase, Object};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

#[cfg(test)]
mod attacks;
mod call;
mod entry;
mod keypair;
mod password;
mod public_facts;
mod scanner;
mod scope;
mod writes;

pub use call::{Call, Shown};
pub use entry::SealedEntry;
pub use scanner::Scanner;
pub use scope::Scope;
pub use writes::{Leaf, Written};

/// What every token begins with.
pub const PREFIX: &str = "sealed:v1:";

/// The codes of sealing, as `cutover explain` knows them.
pub mod code {
    /// A token that was not minted in this change.
    pub const UNKNOWN: &str = "CUT3301";
    /// No flow of the operation leads from the value's origin to this role.
    pub const NO_FLOW: &str = "CUT3302";
    /// A plain value at a place that takes only tokens, generated values or empty documents.
    pub const LITERAL: &str = "CUT3303";
    /// A token in a path, query, header, key or inside a longer string.
    pub const MISPLACED: &str = "CUT3304";
    /// A sealed value of the wrong kind: bytes in a document, a credential that is no text.
    pub const WRONG_KIND: &str = "CUT3305";
    /// Text that the plugin put together and now wants to read as something else.
    pub const CRAFTED: &str = "CUT3306";
    /// A sealed text that is not of the form asked for, or a document that the form cannot hold.
    pub const FORM: &str = "CUT3307";
    /// A request to `generate`, `sign` or `csr` that cannot be met.
    pub const GENERATE: &str = "CUT3308";
}

/// Where a value was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The role of the connection.
    pub role: String,
    /// The object of the route, if it has one.
    pub object: Option<Object>,
}

/// The key of all tokens of a plan and its runs.
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    numbers: Option<Mutex<HashMap<[u8; MAC_BYTES], usize>>>,
    scanner: Arc<Scanner>,
}

/// 192 bits: no two values of any run meet.
const MAC_BYTES: usize = 24;

/// What keeps a token apart from those of read values.
pub(crate) type Salt = [u8; MAC_BYTES];

impl SealingKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self::from_bytes(bytes)
    }

    /// The key that an earlier process stored.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes, numbers: None, scanner: Arc::default() }
    }

    /// A fixed key whose tokens are numbered by first appearance: `sealed:v1:0001`. For tests only.
    #[must_use]
    pub fn deterministic() -> Self {
        Self { numbers: Some(Mutex::default()), ..Self::from_bytes(Zeroizing::new([7; 32])) }
    }

    /// The bytes, for the encrypted state.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The last net: it knows every secret that was sealed under this key.
    #[must_use]
    pub fn scanner(&self) -> &Arc<Scanner> {
        &self.scanner
    }

    pub(crate) fn token(&self, salt: Option<&Salt>, kind: &str, value: &[u8]) -> String {
        let mac = match salt {
            None => self.mac(&[b"token", kind.as_bytes(), value]),
            Some(salt) => self.mac(&[b"salted", salt, kind.as_bytes(), value]),
        };
        let Some(numbers) = &self.numbers else { return format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(mac)) };
        let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.len() + 1;
        format!("{PREFIX}{:04}", numbers.entry(mac).or_insert(next))
    }

    pub(crate) fn salt(&self, scope: &str, parts: &[&[u8]]) -> Salt {
        let inner = self.mac(parts);
        self.mac(&[b"salt", scope.as_bytes(), &inner])
    }

    /// Each part goes in with its length, so that no two lists of parts give the same text.
    fn mac(&self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut out = [0; MAC_BYTES];
        out.copy_from_slice(&mac.finalize().into_bytes()[..MAC_BYTES]);
        out
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Ways a value came here: it may go where any one way's roles all have a flow to. Generated values need none.
pub(crate) type Origins = BTreeSet<BTreeSet<String>>;

fn refused(code: &str, text: impl Into<String>) -> Failure {
    Failure { case: FailureCase::Refused, code: Some(code.to_owned()), text: text.into() }
}

/// For what depends on the data and not on a right: the plugin may go on another way.
fn unusable(code: &str, text: impl Into<String>) -> Failure {
    Failure { case: FailureCase::InvalidInput, code: Some(code.to_owned()), text: text.into() }
}
