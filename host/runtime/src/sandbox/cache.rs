//! Compiled code on disk. Loading it is running it, so nothing is loaded that this host did not write itself.
#![expect(unsafe_code, reason = "loading compiled code; its origin is proven here, first")]

use std::{
    fs::{self, DirBuilder, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use cutover_engine::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};
use zeroize::Zeroizing;

/// Length of HMAC-SHA-256 (RFC 2104), in bytes.
const MAC: usize = 32;
/// Length of the manifest's digest, in bytes.
const DIGEST: usize = 32;
/// Largest file that is read, in bytes; a Python plugin has 35 MB of code.
const FILE_BYTES: u64 = 512 * 1024 * 1024;
/// Begins what is hashed for names and MACs; counts up when the form of the files changes.
const FORM: &str = "cutover compiled code 1";

/// Machine code that a compiler of ours has just made, or that carries our MAC.
pub(super) struct CompiledCode(Vec<u8>);

impl CompiledCode {
    /// Takes the output of a compiler this process has started.
    pub(super) fn from_own_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Maps it for running. Fails if it is for another engine.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes come from our own compiler, in this process or in one it started, or from a file whose MAC
        // under the host's key was checked: nobody else made them.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

/// A folder of compiled code that only its owner can read, each file under a MAC.
pub struct Cache {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

/// What is known of a component that was loaded before.
pub(super) struct Entry {
    pub(super) component: Component,
    /// The digest of the manifest that its `describe` returned.
    pub(super) described: Digest,
}

impl Cache {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// If it cannot be made, or belongs to somebody else or is open to others.
    pub fn open(folder: impl Into<PathBuf>, key: Zeroizing<[u8; 32]>) -> io::Result<Self> {
        let folder = folder.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let metadata = fs::symlink_metadata(&folder)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            let text = format!("{} is not a folder of mode 0700 that is yours", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(Self { folder, key })
    }

    /// The entry of a component; none if there is none that can be trusted and used.
    pub(super) fn get(&self, engine: &Engine, digest: Digest) -> Option<Entry> {
        let name = name(engine, digest);
        let bytes = read(&self.folder.join(&name))?;
        let (mac, content) = bytes.split_at_checked(MAC)?;
        self.mac(&name).chain_update(content).verify_slice(mac).ok()?;
        let (described, code) = content.split_at_checked(DIGEST)?;
        let described = Digest::from_bytes(described.try_into().ok()?);
        let component = CompiledCode(code.to_vec()).load(engine).ok()?;
        Some(Entry { component, described })
    }

    /// Keeps the code of a component whose `describe` has been checked.
    pub(super) fn put(&self, engine: &Engine, digest: Digest, described: Digest, code: &CompiledCode) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = name(engine, digest);
        let mac = self.mac(&name).chain_update(described.as_bytes()).chain_update(&code.0).finalize();
        // Beside its place first: a reader sees a whole file or none.
        let draft = self.folder.join(format!(".{name}.{}.{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(&mac.into_bytes())?;
            file.write_all(described.as_bytes())?;
            file.write_all(&code.0)
        });
        let kept = written.and_then(|()| fs::rename(&draft, self.folder.join(&name)));
        if kept.is_err() {
            // What is left over is only space.
            let _ = fs::remove_file(&draft);
        }
        kept
    }

    /// A MAC that has taken in the file's name, so that no file can stand in for another.
    fn mac(&self, name: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of any length");
        mac.chain_update(FORM).chain_update([0]).chain_update(name).chain_update([0])
    }
}

/// The file's bytes; none if it is no plain file or cannot be read.
fn read(path: &Path) -> Option<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).ok()?).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES), &mut bytes).ok()?;
    Some(bytes)
}

/// A name for component, engine settings and version together: a change of any is another file.
fn name(engine: &Engine, digest: Digest) -> String {
    struct Sink(Sha256);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sink = Sink(Sha256::new_with_prefix(FORM));
    sink.write(digest.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut sink);
    format!("{}.code", Digest::from_bytes(sink.0.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::engine::compiling_engine;

    fn key(byte: u8) -> Zeroizing<[u8; 32]> {
        Zeroizing::new([byte; 32])
    }

    #[test]
    fn only_what_this_host_wrote_is_loaded() {
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("code");
        let engine = compiling_engine().expect("engine");
        let code = CompiledCode(engine.precompile_component(b"\0asm\x0d\0\x01\0").expect("empty component"));
        let (digest, described) = (Digest::of(b"component"), Digest::of(b"manifest"));
        let cache = Cache::open(&place, key(1)).expect("cache");
        assert!(cache.get(&engine, digest).is_none());
        cache.put(&engine, digest, described, &code).expect("kept");
        assert_eq!(cache.get(&engine, digest).expect("there").described, described);

        assert!(Cache::open(&place, key(2)).expect("cache").get(&engine, digest).is_none(), "another key");
        assert!(cache.get(&engine, Digest::of(b"other")).is_none(), "another component");

        let file = place.join(name(&engine, digest));
        let good = fs::read(&file).expect("file");
        for position in [0, MAC - 1, MAC, MAC + DIGEST, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&file, bad).expect("flipped");
            assert!(cache.get(&engine, digest).is_none(), "bit flipped at {position}");
        }
        for end in [0, MAC - 1, MAC, MAC + DIGEST, good.len() - 1] {
            fs::write(&file, &good[..end]).expect("cut");
            assert!(cache.get(&engine, digest).is_none(), "cut at {end}");
        }
        // A file that is good for one component cannot stand in for another.
        fs::write(place.join(name(&engine, Digest::of(b"other"))), &good).expect("moved");
        assert!(cache.get(&engine, Digest::of(b"other")).is_none());
        fs::write(&file, &good).expect("restored");
        assert!(cache.get(&engine, digest).is_some());
    }

    #[test]
    fn the_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("folder");
        let place = folder.path().join("code");
        let engine = compiling_engine().expect("engine");
        let cache = Cache::open(&place, key(1)).expect("cache");
        cache.put(&engine, Digest::of(b"c"), Digest::of(b"m"), &CompiledCode(vec![1])).expect("kept");
        assert_eq!(fs::metadata(&place).expect("folder").mode() & 0o777, 0o700);
        let files: Vec<_> = fs::read_dir(&place).expect("folder").map(|entry| entry.expect("entry")).collect();
        assert_eq!(files.len(), 1, "no drafts are left");
        assert_eq!(files[0].metadata().expect("file").mode() & 0o777, 0o600);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o750)).expect("opened to others");
        assert!(Cache::open(&place, key(1)).is_err());
    }
}
