//! The files of the checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where it is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout").to_owned()
}

/// The text of a file of the checkout.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every file below these folders, named from the checkout, without what is built.
pub(crate) fn files(folders: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    for folder in folders {
        gather(&root().join(folder), &mut files);
    }
    let mut names: Vec<String> =
        files.iter().map(|file| file.strip_prefix(root()).expect("below the root").display().to_string()).collect();
    names.sort();
    assert!(!names.is_empty(), "{folders:?}");
    names
}

/// The Rust files among them.
pub(crate) fn sources(folders: &[&str]) -> Vec<String> {
    files(folders).into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "rs")).collect()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            files.push(path);
        } else if !["target", "node_modules", ".cutover", "__pycache__"].iter().any(|name| path.ends_with(name)) {
            gather(&path, files);
        }
    }
}
