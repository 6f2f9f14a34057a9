//! Keys: the state key that the operator holds, and the keys that it wraps.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use cutover_engine::{RunId, Timestamp};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    disk::{Disk, DiskError},
    entropy::Entropy,
};

/// The length of an extended nonce (draft-irtf-cfrg-xchacha-03, section 2.3): long enough to be drawn at random.
pub(crate) const NONCE_BYTES: usize = 24;

/// What authentication adds to a plaintext.
pub(crate) const TAG_BYTES: usize = 16;

/// A 256-bit key. It is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new random key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut bytes[..]);
        Self(bytes)
    }

    /// The bytes, for a MAC or a cipher.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for one purpose, such as `cutover etag`: as HKDF-Expand with one block (RFC 5869, section 2.3).
    #[must_use]
    pub fn derive(&self, label: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes keys of any length");
        mac.update(label.as_bytes());
        mac.update(&[1]);
        Self(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    /// A short public name of the key, to tell a wrong key from damaged data.
    fn fingerprint(&self) -> [u8; 8] {
        let full = self.derive("cutover key fingerprint");
        std::array::from_fn(|at| full.0[at])
    }

    /// Nonce and ciphertext of `plaintext`; the same `context` is needed to open it.
    pub(crate) fn seal(&self, entropy: &dyn Entropy, context: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: context };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("plaintexts are capped far below the cipher's limit");
        [&nonce[..], &ciphertext].concat()
    }

    /// Reverses [`Key::seal`]; none if key, context or a byte differ.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: context };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(&self.0[..]).expect("the key has the cipher's length")
    }

    /// Reads 64 hexadecimal digits or base64 of 32 bytes, white space around them ignored.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut bytes = Zeroizing::new([0; 32]);
        if hex::decode_to_slice(text, &mut bytes[..]).is_ok() {
            return Some(Self(bytes));
        }
        let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
        (decoded.len() == bytes.len()).then(|| {
            bytes.copy_from_slice(&decoded);
            Self(bytes)
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Where the state key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeySource {
    /// An environment variable: `env:NAME`.
    Env(String),
    /// A file: `file:PATH`.
    File(PathBuf),
    /// The output of a command, run without a shell, words split at white space: `exec:COMMAND`.
    Exec(String),
    /// The file `key` of the state folder, made at first use. It protects copies of the runs, not of the whole folder.
    #[default]
    Generated,
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("exec", command)) if !command.trim().is_empty() => Ok(Self::Exec(command.to_owned())),
            // The text may be a key that somebody pasted: it is not repeated.
            _ => Err("a key is never given as text; write `env:NAME`, `file:PATH` or `exec:COMMAND`".to_owned()),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Generated => f.write_str("the key file of the state folder"),
        }
    }
}

impl KeySource {
    /// Gets the state key; `generated` is the key file's path in the state folder.
    pub fn load(&self, disk: &dyn Disk, generated: &Path, entropy: &dyn Entropy) -> Result<Key, KeyError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map(String::into_bytes).map_err(|_| self.missing("the variable is not set"))?,
            Self::File(path) => disk.read(path).map_err(DiskError::io("read", path))?,
            Self::Exec(command) => self.run(command)?,
            Self::Generated => read_or_make(disk, generated, entropy)?,
        };
        Key::parse(&Zeroizing::new(text)).ok_or_else(|| KeyError::Malformed { from: self.clone() })
    }

    fn run(&self, command: &str) -> Result<Vec<u8>, KeyError> {
        let mut words = command.split_ascii_whitespace();
        let program = words.next().ok_or_else(|| self.missing("the command is empty"))?;
        let output = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| self.missing(format!("the command cannot be started: {source}")))?;
        let stdout = Zeroizing::new(output.stdout);
        if output.status.success() { Ok(stdout.to_vec()) } else { Err(self.missing(format!("the command ended with {}", output.status))) }
    }

    fn missing(&self, reason: impl Into<String>) -> KeyError {
        KeyError::Missing { from: self.clone(), reason: reason.into() }
    }
}

/// Two first runs may start together: whoever writes the file first decides, the other one reads.
fn read_or_make(disk: &dyn Disk, path: &Path, entropy: &dyn Entropy) -> Result<Vec<u8>, DiskError> {
    if !disk.exists(path) {
        let key = Key::generate(entropy);
        let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(key.as_bytes()))));
        match disk.create_new(path, text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(DiskError::io("write", path)(error)),
            _ => {}
        }
    }
    disk.read(path).map_err(DiskError::io("read", path))
}

/// A key encrypted under another key. Serialized as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    const VERSION: u8 = 1;
    const PREFIX: usize = 1 + 8;

    /// Encrypts `key` under `under`; `purpose` names what the key is for and must be the same when it is unwrapped.
    #[must_use]
    pub fn wrap(key: &Key, under: &Key, purpose: &str, entropy: &dyn Entropy) -> Self {
        let sealed = under.seal(entropy, purpose.as_bytes(), &key.0[..]);
        Self([&[Self::VERSION][..], &under.fingerprint(), &sealed].concat())
    }

    /// Decrypts the key.
    ///
    /// # Errors
    /// [`KeyError::WrongStateKey`] if it was wrapped under another key, else [`KeyError::Damaged`].
    pub fn unwrap(&self, under: &Key, purpose: &str) -> Result<Key, KeyError> {
        let damaged = || KeyError::Damaged { purpose: purpose.to_owned() };
        let (prefix, sealed) = self.0.split_at_checked(Self::PREFIX).ok_or_else(damaged)?;
        if prefix[0] != Self::VERSION {
            return Err(damaged());
        }
        if prefix[1..] != under.fingerprint() {
            return Err(KeyError::WrongStateKey { wanted: hex::encode(&prefix[1..]), got: hex::encode(under.fingerprint()) });
        }
        let plain = under.open(purpose.as_bytes(), sealed).ok_or_else(damaged)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(damaged());
        }
        bytes.copy_from_slice(&plain);
        Ok(Key(bytes))
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedKey(..)")
    }
}

impl Serialize for WrappedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for WrappedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| de::Error::custom("a wrapped key must be base64"))
    }
}

/// What the file `data-key` of a run says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum DataKeyFile {
    Wrapped(WrappedKey),
    DestroyedAt(Timestamp),
}

/// Makes the data key of a new run and stores it, wrapped, at `path`.
pub fn create_data_key(disk: &dyn Disk, path: &Path, run: &RunId, state_key: &Key, entropy: &dyn Entropy) -> Result<Key, KeyError> {
    let key = Key::generate(entropy);
    let file = DataKeyFile::Wrapped(WrappedKey::wrap(&key, state_key, &data_key_purpose(run), entropy));
    let text = serde_json::to_vec(&file).expect("a wrapped key is text");
    disk.create_new(path, &text).map_err(DiskError::io("write", path))?;
    Ok(key)
}

/// Gets the data key of a run.
///
/// # Errors
/// [`KeyError::Destroyed`] if its pre-images were given up.
pub fn load_data_key(disk: &dyn Disk, path: &Path, run: &RunId, state_key: &Key) -> Result<Key, KeyError> {
    match read_data_key(disk, path, run)? {
        DataKeyFile::Wrapped(wrapped) => wrapped.unwrap(state_key, &data_key_purpose(run)),
        DataKeyFile::DestroyedAt(at) => Err(KeyError::Destroyed { run: run.clone(), at }),
    }
}

/// Gives up the pre-images and sealed values of a run: nothing can open its sealed log any more. Says whether the key was still there.
pub fn destroy_data_key(disk: &dyn Disk, path: &Path, run: &RunId, now: Timestamp) -> Result<bool, KeyError> {
    if matches!(read_data_key(disk, path, run), Ok(DataKeyFile::DestroyedAt(_))) {
        return Ok(false);
    }
    let text = serde_json::to_vec(&DataKeyFile::DestroyedAt(now)).expect("a time is a number");
    disk.write_atomic(path, &text).map_err(DiskError::io("write", path))?;
    Ok(true)
}

fn read_data_key(disk: &dyn Disk, path: &Path, run: &RunId) -> Result<DataKeyFile, KeyError> {
    let text = disk.read(path).map_err(DiskError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|_| KeyError::Damaged { purpose: data_key_purpose(run) })
}

fn data_key_purpose(run: &RunId) -> String {
    format!("data key of run {run}")
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The source gives nothing.
    #[error("no state key from {from}: {reason}")]
    Missing {
        /// The source.
        from: KeySource,
        /// What went wrong.
        reason: String,
    },
    /// The source gives something else.
    #[error("{from} holds no key: 64 hexadecimal digits or base64 of 32 bytes are needed; `openssl rand -hex 32` makes a key")]
    Malformed {
        /// The source.
        from: KeySource,
    },
    /// Another key wrapped this.
    #[error(
        "this is not the state key of this run: it was sealed with key {wanted}, the given key is {got}; give the first one with `--key`"
    )]
    WrongStateKey {
        /// The fingerprint of the key that would fit.
        wanted: String,
        /// The fingerprint of the given key.
        got: String,
    },
    /// A wrapped key was changed.
    #[error("the {purpose} is damaged and opens with no key; restore the state folder from a copy")]
    Damaged {
        /// What the key is for.
        purpose: String,
    },
    /// The pre-images are gone on purpose.
    #[error("the pre-images of run {run} were destroyed at {at}, as `keep_pre_images` asks: it cannot be rolled back any more")]
    Destroyed {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
    /// A file could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl KeyError {
    /// The code under which `cutover explain` tells more.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "CUT4020",
            Self::Malformed { .. } => "CUT4021",
            Self::WrongStateKey { .. } => "CUT4022",
            Self::Damaged { .. } => "CUT4023",
            Self::Destroyed { .. } => "CUT4024",
            Self::Disk(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{disk::MemoryDisk, entropy::SystemEntropy};

    fn run() -> RunId {
        RunId::new("20261122-014502-k3fd").unwrap()
    }

    fn disk() -> Arc<MemoryDisk> {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/s")).unwrap();
        Arc::new(disk)
    }

    #[test]
    fn a_wrapped_key_opens_only_with_its_key_and_purpose() {
        let (state, key) = (Key::from_bytes([1; 32]), Key::from_bytes([2; 32]));
        let wrapped = WrappedKey::wrap(&key, &state, "sealing", &SystemEntropy);
        assert_eq!(wrapped.unwrap(&state, "sealing").unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(wrapped.unwrap(&state, "other"), Err(KeyError::Damaged { .. })));
        assert!(matches!(wrapped.unwrap(&Key::from_bytes([3; 32]), "sealing"), Err(KeyError::WrongStateKey { .. })));
        for at in 0..wrapped.0.len() {
            let mut damaged = wrapped.clone();
            damaged.0[at] ^= 1;
            assert!(damaged.unwrap(&state, "sealing").is_err(), "byte {at}");
        }
        let text = serde_json::to_string(&wrapped).unwrap();
        assert_eq!(serde_json::from_str::<WrappedKey>(&text).unwrap(), wrapped);
    }

    #[test]
    fn the_generated_key_stays() {
        let disk = disk();
        let path = Path::new("/s/key");
        let first = KeySource::Generated.load(&*disk, path, &SystemEntropy).unwrap();
        let second = KeySource::Generated.load(&*disk, path, &SystemEntropy).unwrap();
        assert_eq!(first.as_bytes(), second.as_bytes());
        assert_eq!(KeySource::File(path.to_owned()).load(&*disk, path, &SystemEntropy).unwrap().as_bytes(), first.as_bytes());
    }

    #[test]
    fn reads_hex_and_base64_and_nothing_else() {
        assert_eq!(Key::parse(format!("{}\n", "ab".repeat(32)).as_bytes()).unwrap().as_bytes(), &[0xab; 32]);
        assert_eq!(Key::parse(STANDARD.encode([7; 32]).as_bytes()).unwrap().as_bytes(), &[7; 32]);
        for text in ["", "hunter2", &"a".repeat(63), &STANDARD.encode([7; 31])] {
            assert!(Key::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn takes_the_key_from_a_command_without_a_shell() {
        let source: KeySource = format!("exec:echo {}", "0f".repeat(32)).parse().unwrap();
        assert_eq!(source.load(&*disk(), Path::new("/s/key"), &SystemEntropy).unwrap().as_bytes(), &[0x0f; 32]);
        let error = KeySource::Exec("false".to_owned()).load(&*disk(), Path::new("/s/key"), &SystemEntropy).unwrap_err();
        assert_eq!(error.code(), "CUT4020");
        assert!(!"secret-pasted-key".parse::<KeySource>().unwrap_err().contains("secret"));
    }

    #[test]
    fn a_destroyed_data_key_says_so_for_ever() {
        let (disk, path, state) = (disk(), Path::new("/s/data-key"), Key::from_bytes([1; 32]));
        let key = create_data_key(&*disk, path, &run(), &state, &SystemEntropy).unwrap();
        assert_eq!(load_data_key(&*disk, path, &run(), &state).unwrap().as_bytes(), key.as_bytes());
        let other = RunId::new("20261122-014502-aaaa").unwrap();
        assert!(matches!(load_data_key(&*disk, path, &other, &state), Err(KeyError::Damaged { .. })), "a key of another run");
        assert!(destroy_data_key(&*disk, path, &run(), Timestamp(5)).unwrap());
        assert!(!destroy_data_key(&*disk, path, &run(), Timestamp(9)).unwrap());
        let error = load_data_key(&*disk, path, &run(), &state).unwrap_err();
        assert_eq!(error.to_string().matches("1970-01-01T00:00:00Z").count(), 1, "{error}");
    }

    #[test]
    fn keys_are_never_printed_and_purposes_differ() {
        let key = Key::from_bytes([0x41; 32]);
        assert_eq!(format!("{key:?}"), "Key(..)");
        assert_ne!(key.derive("etag").as_bytes(), key.derive("cache").as_bytes());
    }
}
