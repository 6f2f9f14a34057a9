//! Packed components of the guests.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use cutover_runtime::sandbox::{Compiler, Limits, Sandbox};

/// Where the checkout is.
#[must_use]
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout").to_owned()
}

/// The component of a guest, packed once per process from what `cargo xtask plugins` built.
///
/// # Panics
/// If the guest is not built; the message says what to type.
pub async fn component(name: &str) -> Vec<u8> {
    static PACKED: OnceLock<Mutex<HashMap<String, Vec<u8>>>> = OnceLock::new();
    let packed = PACKED.get_or_init(Mutex::default);
    if let Some(component) = packed.lock().expect("no test panics while it holds this").get(name) {
        return component.clone();
    }
    let module = root().join("target/guests/wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")));
    let module = std::fs::read(&module).unwrap_or_else(|error| panic!("{}: {error}; type `cargo xtask plugins`", module.display()));
    let sandbox = Sandbox::new(Limits::default(), Compiler::InProcess, None).expect("a sandbox");
    let component = sandbox.pack(&module).await.unwrap_or_else(|error| panic!("guest `{name}` cannot be packed: {error}"));
    packed.lock().expect("no test panics while it holds this").insert(name.to_owned(), component.clone());
    component
}

/// A guest in another language, as its own tools made it: `js` or `python`. It is not packed.
///
/// # Panics
/// If it is not built; the message says what to type.
#[must_use]
pub fn foreign_component(language: &str) -> Vec<u8> {
    let file = root().join("target/polyglot").join(format!("{language}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; type `cargo xtask polyglot`", file.display()))
}

/// The folder with the tools for guests in a language, as `cargo xtask polyglot` installed them.
///
/// # Panics
/// If they are not installed; the message says what to type.
#[must_use]
pub fn tools(language: &str) -> PathBuf {
    let folder = root().join("target/tools").join(language);
    assert!(folder.join("installed").is_file(), "{} is not there; type `cargo xtask polyglot`", folder.display());
    folder
}

/// The workspace of guests.
#[must_use]
pub fn guests_workspace() -> PathBuf {
    root().join("plugins")
}
