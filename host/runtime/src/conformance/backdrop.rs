//! What stands behind a role while a case is played: a server in memory, or a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use serde_json::Value;

use super::memory_server::MemoryServer;
use crate::{
    connection::{Backend, ConnectionConfig, FileKind, Kind as _, Opening},
    entropy::Entropy,
};

/// What a place holds, by path. In a folder the text of each file.
pub(super) type Documents = BTreeMap<String, Value>;

/// One place.
pub(super) enum Backdrop {
    /// For kind `http`.
    Server(Arc<MemoryServer>),
    /// For kind `file`.
    Folder(TemporaryFolder, Arc<dyn Backend>),
}

impl Backdrop {
    /// One for a role that takes these kinds; none if the kit plays none of them.
    pub(super) async fn of(role: &str, kinds: &[String], opening: &Opening, entropy: &dyn Entropy) -> Result<Option<Self>, String> {
        if kinds.iter().any(|kind| kind == "http") {
            return Ok(Some(Self::Server(Arc::new(MemoryServer::new(role)))));
        }
        if !kinds.iter().any(|kind| kind == "file") {
            return Ok(None);
        }
        let folder = TemporaryFolder::make(entropy).map_err(|error| format!("no folder for role `{role}`: {error}"))?;
        let text = |text: String| Value::from(text);
        let settings = [
            ("path".to_owned(), text(folder.world().display().to_string())),
            ("identity".to_owned(), text(format!("file:{}", folder.root.join(IDENTITY).display()))),
            ("recipients".to_owned(), vec![text(folder.identity.to_public().to_string())].into()),
        ];
        let settings = settings.into_iter().collect();
        let config = ConnectionConfig { name: role.to_owned(), kind: "file".to_owned(), settings, ..ConnectionConfig::default() };
        let backend = FileKind::default().open(&config, opening).await.map_err(|error| error.to_string())?;
        Ok(Some(Self::Folder(folder, backend)))
    }

    /// The kind that it plays.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) => "http",
            Self::Folder(..) => "file",
        }
    }

    /// What answers requests.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        match self {
            Self::Server(server) => Arc::clone(server) as Arc<dyn Backend>,
            Self::Folder(_, backend) => Arc::clone(backend),
        }
    }

    /// What is there.
    pub(super) fn documents(&self) -> Documents {
        match self {
            Self::Server(server) => server.documents(),
            Self::Folder(folder, _) => folder.documents(),
        }
    }

    /// Makes this be there and nothing else.
    pub(super) fn replace(&self, documents: &Documents) {
        match self {
            Self::Server(server) => server.replace(documents),
            Self::Folder(folder, _) => folder.replace(documents),
        }
    }
}

/// The file with the key of encrypted files, beside the folder that is played.
const IDENTITY: &str = "identity";

/// A folder that is gone when this is. Its encrypted files can be read.
pub(super) struct TemporaryFolder {
    root: PathBuf,
    identity: Identity,
}

impl TemporaryFolder {
    fn make(entropy: &dyn Entropy) -> io::Result<Self> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let root = std::env::temp_dir().join(format!("cutover-conformance-{}", hex::encode(bytes)));
        let folder = Self { root, identity: Identity::generate() };
        fs::create_dir_all(folder.world())?;
        fs::write(folder.root.join(IDENTITY), folder.identity.to_string().expose_secret())?;
        Ok(folder)
    }

    /// What the role's connection sees.
    fn world(&self) -> PathBuf {
        self.root.join("world")
    }

    fn documents(&self) -> Documents {
        let mut documents = Documents::new();
        self.collect(&self.world(), "", &mut documents);
        documents
    }

    fn replace(&self, documents: &Documents) {
        let old = self.documents();
        for name in old.keys().filter(|name| !documents.contains_key(*name)) {
            let _ = fs::remove_file(self.world().join(name));
        }
        for (name, document) in documents.iter().filter(|(name, document)| old.get(*name) != Some(document)) {
            let file = self.world().join(name);
            let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
            // What cannot be written is missing, and the plugin's hooks tell so.
            let _ = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, self.stored(name, text)));
        }
    }

    /// A file's text as it is stored.
    fn stored(&self, name: &str, text: String) -> Vec<u8> {
        let cipher = is_encrypted(name).then(|| age::encrypt(&self.identity.to_public(), text.as_bytes()).ok());
        cipher.flatten().unwrap_or_else(|| text.into_bytes())
    }

    /// The text of what is stored: of an encrypted file its plain text, which alone is the same from write to write.
    fn text(&self, name: &str, stored: Vec<u8>) -> String {
        let plain = is_encrypted(name).then(|| age::decrypt(&self.identity, &stored).ok());
        String::from_utf8_lossy(&plain.flatten().unwrap_or(stored)).into_owned()
    }

    fn collect(&self, folder: &Path, prefix: &str, documents: &mut Documents) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.collect(&entry.path(), &format!("{name}/"), documents);
            } else if let Ok(bytes) = fs::read(entry.path()) {
                documents.insert(name.clone(), Value::from(self.text(&name, bytes)));
            }
        }
    }
}

fn is_encrypted(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "age")
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_folder_holds_what_it_is_given_and_is_gone_afterwards() {
        let folder = TemporaryFolder::make(&SystemEntropy).expect("a folder");
        let names = ["a/b.env", "c.json", "d.json.age"].map(str::to_owned);
        let documents: Documents = names.into_iter().zip([json!("K=1\n"), json!({"x": 1}), json!("{}")]).collect();
        folder.replace(&documents);
        assert_eq!(folder.documents()["d.json.age"], json!("{}"));
        assert_ne!(fs::read(folder.world().join("d.json.age")).expect("a file"), b"{}", "it is encrypted");
        assert_eq!(folder.documents()["c.json"], json!("{\"x\":1}"));
        let before = folder.documents();
        fs::write(folder.world().join("more"), "x").expect("written");
        folder.replace(&before);
        assert_eq!(folder.documents(), before);
        let path = folder.root.clone();
        drop(folder);
        assert!(!path.exists());
    }
}
