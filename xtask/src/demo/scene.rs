//! The folder of the demo: legacy files with made-up secrets, an empty store and its key.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    demo_application::files_below,
    demo_files::{IDENTITY, LEGACY},
    failed::Failed,
};

/// How every file encrypted with age begins.
const AGE: &[u8] = b"age-encryption.org/v1";

/// A folder that was made new.
pub(super) struct Scene {
    /// `target/demo`.
    pub(super) folder: PathBuf,
}

impl Scene {
    /// What a person is told about it.
    pub(super) fn told(&self) -> String {
        let (secrets, files) = (secrets().len(), LEGACY.len());
        format!("{secrets} made-up secrets in {files} files below {}/legacy", self.folder.display())
    }

    /// Makes the folder anew, with a copy of the workflow.
    pub(super) fn set(root: &Path, workflow: &str) -> Result<Self, Failed> {
        let folder = root.join("target/demo");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
        }
        let scene = Self { folder };
        fs::create_dir_all(scene.folder.join("store")).map_err(|error| Failed::at(&scene.folder, &error))?;
        for (name, text) in LEGACY {
            scene.write(&format!("legacy/{name}"), text)?;
        }
        scene.write("store.agekey", IDENTITY)?;
        let source = root.join("workflows").join(workflow);
        let text = fs::read_to_string(&source).map_err(|error| Failed::at(&source, &error))?;
        scene.write(workflow, &text)?;
        Ok(scene)
    }

    /// Nothing has moved, or everything is back.
    pub(super) fn is_as_set(&self) -> Result<(), Failed> {
        let mut found = Vec::new();
        for file in below(&self.folder.join("legacy"))? {
            let text = fs::read_to_string(&file).map_err(|error| Failed::at(&file, &error))?;
            found.push((self.name(&file, "legacy"), text));
        }
        let mut expected: Vec<(String, String)> = LEGACY.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        expected.sort();
        if found != expected {
            let names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
            return Err(Failed(format!("legacy/ is not what it was; it has {names:?}")));
        }
        match below(&self.folder.join("store"))?.as_slice() {
            [] => Ok(()),
            left => Err(Failed(format!("the store is not empty: {left:?}"))),
        }
    }

    /// Everything is in the store, encrypted, and nothing at its old place.
    pub(super) fn has_moved(&self) -> Result<(), Failed> {
        let stored = below(&self.folder.join("store"))?;
        if stored.len() != secrets().len() {
            return Err(Failed(format!("the store has {} files for {} secrets", stored.len(), secrets().len())));
        }
        for file in stored {
            let bytes = fs::read(&file).map_err(|error| Failed::at(&file, &error))?;
            if !bytes.starts_with(AGE) {
                return Err(Failed(format!("{} is not encrypted", file.display())));
            }
        }
        for (name, _) in LEGACY {
            let file = self.folder.join("legacy").join(name);
            if file.exists() {
                return Err(Failed(format!("{} is still there", file.display())));
            }
        }
        Ok(())
    }

    /// No file below this folder holds a secret in clear.
    pub(super) fn no_secret_below(&self, name: &str) -> Result<(), Failed> {
        no_secret_below(&self.folder.join(name), &secrets())
    }

    /// A file that only its owner can read.
    fn write(&self, name: &str, text: &str) -> Result<(), Failed> {
        let file = self.folder.join(name);
        let write = || {
            file.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
        };
        write().map_err(|error| Failed::at(&file, &error))
    }

    fn name(&self, file: &Path, folder: &str) -> String {
        file.strip_prefix(self.folder.join(folder)).unwrap_or(file).display().to_string()
    }
}

/// No file below this folder holds one of these in clear.
pub(super) fn no_secret_below(folder: &Path, secrets: &[impl AsRef<str>]) -> Result<(), Failed> {
    for file in below(folder)? {
        let bytes = fs::read(&file).map_err(|error| Failed::at(&file, &error))?;
        let holds = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        if secrets.iter().any(|secret| holds(secret.as_ref())) {
            return Err(Failed(format!("{} holds a secret in clear", file.display())));
        }
    }
    Ok(())
}

fn below(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    files_below(folder).map_err(|error| Failed::at(folder, &error))
}

/// The values of the legacy files: each has `made-up` in it and nothing else has.
fn secrets() -> Vec<&'static str> {
    let lines = LEGACY.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.contains("made-up"));
    lines.filter_map(|line| line.split_once(['=', ':'])).map(|(_, value)| value.trim().trim_matches([',', '"', '\''])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_are_found_in_the_legacy_files() {
        let secrets = secrets();
        assert_eq!(secrets.len(), 12);
        assert_eq!(secrets[0], "made-up 7Jq2 vTz9 correct horse");
        assert_eq!(secrets[5], "made-up-ab12cd34ef56ab78");
        assert!(secrets.iter().all(|secret| secret.len() >= 16 && !secret.contains(['"', '\''])), "{secrets:?}");
    }
}
