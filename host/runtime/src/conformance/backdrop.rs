//! What stands behind a role while a case is played: a server in memory, or a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

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
        let settings = [("path".to_owned(), Value::from(folder.0.display().to_string()))].into_iter().collect();
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

/// A folder that is gone when this is.
pub(super) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make(entropy: &dyn Entropy) -> io::Result<Self> {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let folder = std::env::temp_dir().join(format!("cutover-conformance-{}", hex::encode(bytes)));
        fs::create_dir(&folder)?;
        Ok(Self(folder.canonicalize()?))
    }

    fn documents(&self) -> Documents {
        let mut documents = Documents::new();
        collect(&self.0, "", &mut documents);
        documents
    }

    fn replace(&self, documents: &Documents) {
        let old = self.documents();
        for name in old.keys().filter(|name| !documents.contains_key(*name)) {
            let _ = fs::remove_file(self.0.join(name));
        }
        for (name, document) in documents.iter().filter(|(name, document)| old.get(*name) != Some(document)) {
            let file = self.0.join(name);
            let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
            // What cannot be written is missing, and the plugin's hooks tell so.
            let _ = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn collect(folder: &Path, prefix: &str, documents: &mut Documents) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), documents);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            documents.insert(name, Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        }
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
        let documents: Documents = [("a/b.env".to_owned(), json!("K=1\n")), ("c.json".to_owned(), json!({"x": 1}))].into();
        folder.replace(&documents);
        assert_eq!(folder.documents()["c.json"], json!("{\"x\":1}"));
        let before = folder.documents();
        fs::write(folder.0.join("more"), "x").expect("written");
        folder.replace(&before);
        assert_eq!(folder.documents(), before);
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists());
    }
}
