//! `cargo xtask plugins`: every crate of the guests' workspace, built for wasm and packed as a component.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    failed::{Failed, run},
    program,
    sysroot::{self, TARGET},
};

/// Builds all guests in one go; idempotent. The core modules, in order of their names.
pub(crate) fn build(root: &Path) -> Result<Vec<PathBuf>, Failed> {
    let toolchain = sysroot::find(root)?;
    let target = root.join("target/guests");
    let mut build = toolchain.cargo(&root.join("plugins"));
    build.args(["build", "--quiet", "--locked", "--release", "--workspace", "--exclude", "cutover-plugin", "--target", TARGET]);
    run(build.arg("--target-dir").arg(&target))?;
    wasm_files(&target.join(TARGET).join("release"))
}

/// Makes a component with its manifest of each module that is newer than its component: `target/plugins/NAME.wasm`.
/// The program must be built.
pub(crate) fn pack(root: &Path, modules: &[PathBuf]) -> Result<(), Failed> {
    let folder = root.join("target/plugins");
    fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    let stale: Vec<(&PathBuf, PathBuf)> = modules
        .iter()
        .map(|module| (module, folder.join(component_name(module))))
        .filter(|(module, component)| is_newer(module, component))
        .collect();
    for (module, component) in &stale {
        run(Command::new(program::path(root)).args(["plugin", "pack"]).arg(module).arg("--out").arg(component))?;
    }
    Ok(())
}

fn wasm_files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let entries = fs::read_dir(folder).map_err(|error| Failed::at(folder, &error))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some(OsStr::new("wasm"))).collect();
    files.sort();
    Ok(files)
}

/// `http_probe.wasm`, as cargo names it, is the plugin `http-probe.wasm`.
fn component_name(module: &Path) -> String {
    module.file_name().unwrap_or_default().to_string_lossy().replace('_', "-")
}

fn is_newer(module: &Path, component: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    match (changed(module), changed(component)) {
        (Some(module), Some(component)) => module > component,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_the_name_of_its_crate() {
        assert_eq!(component_name(Path::new("target/http_probe.wasm")), "http-probe.wasm");
    }

    #[test]
    fn a_missing_component_is_packed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(is_newer(&here, Path::new("no/such/component.wasm")));
        assert!(!is_newer(&here, &here));
    }
}
