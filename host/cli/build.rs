//! Takes files of other rooms into the program, as text.
//!
//! The table of pages that `cutover explain` shows: every file of `docs/src/codes` and `docs/src/exit-codes`. A new page is
//! a new file; nothing lists them by hand but the book's `SUMMARY.md`, which a test compares.
//!
//! In a release, the packed plugins of `target/plugins`, so that `cargo install` leaves a program that needs nothing else. In
//! other builds they are looked up beside the program: their change must not compile it anew.
//!
//! What `cutover plugin new` writes beside a plugin: the contract, and for Rust the SDK, which is on no registry.

#![expect(clippy::print_stdout, reason = "a build script speaks with cargo on stdout")]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let docs = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../docs/src");
    let mut table = String::new();
    for (name, folder) in [("CODES", "codes"), ("EXIT_CODES", "exit-codes")] {
        let folder = docs.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(table, "const {name}: &[(&str, &str)] = &[")?;
        for file in pages(&folder)? {
            let key = file.file_stem().and_then(|stem| stem.to_str()).ok_or("a page without a name")?;
            writeln!(table, "    ({key:?}, include_str!({:?})),", file.canonicalize()?)?;
        }
        writeln!(table, "];")?;
    }
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("pages.rs"), table)?;
    fs::write(Path::new(&out).join("author_files.rs"), author_files()?)?;
    let plugins = if env::var("PROFILE")? == "release" { packed_plugins()? } else { Vec::new() };
    let table = plugins.iter().map(|file| format!("include_bytes!({file:?}), ")).collect::<String>();
    fs::write(Path::new(&out).join("builtin_plugins.rs"), format!("const PACKED: &[&[u8]] = &[{table}];\n"))?;
    Ok(())
}

/// The SDK and the contract, file by file, and what a plugin's own workspace needs so that the SDK builds in it unchanged.
fn author_files() -> Result<String, Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let (sdk, wit) = (root.join("plugins/sdk"), root.join("wit"));
    let mut table = String::new();
    for (name, folder) in [("SDK", &sdk), ("WIT", &wit)] {
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(table, "const {name}: &[(&str, &str)] = &[")?;
        for file in tree(folder)? {
            let inside = file.strip_prefix(folder)?.to_str().ok_or("a file without a name")?;
            writeln!(table, "    ({inside:?}, include_str!({:?})),", file.canonicalize()?)?;
        }
        writeln!(table, "];")?;
    }
    let workspace = root.join("plugins/Cargo.toml");
    let lock = root.join("plugins/Cargo.lock");
    println!("cargo::rerun-if-changed={}", workspace.display());
    println!("cargo::rerun-if-changed={}", lock.display());
    writeln!(table, "const WORKSPACE: &str = {:?};", tables(&fs::read_to_string(workspace)?)?)?;
    writeln!(table, "const LOCKED: &[(&str, &str)] = &{:?};", locked(&fs::read_to_string(lock)?))?;
    Ok(table)
}

/// The plugins that are shipped, packed. Without them the program is built all the same, and looks for them in folders.
fn packed_plugins() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../target/plugins");
    let mut found = Vec::new();
    for name in ["http-probe.wasm", "vault-migrator.wasm"] {
        let file = folder.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        if file.is_file() {
            found.push(file.canonicalize()?);
        } else {
            println!(
                "cargo::warning=target/plugins/{name} is not there and will not be inside the program: type `cargo xtask plugins` first"
            );
        }
    }
    Ok(found)
}

/// Every file below a folder, in order.
fn tree(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() { files.extend(tree(&entry)?) } else { files.push(entry) }
    }
    Ok(files)
}

/// The shared tables of the guests' workspace, without its members and without comments.
fn tables(manifest: &str) -> Result<String, Box<dyn Error>> {
    let start = manifest.find("[workspace.package]").ok_or("the guests' workspace has no [workspace.package]")?;
    let shared = manifest[start..].lines().filter(|line| !line.starts_with('#') && !line.starts_with("cutover-plugin "));
    Ok(shared.fold(String::new(), |text, line| text + line + "\n"))
}

/// Name and entry of each crate that the SDK needs, the SDK included, as the guests' lock file has them.
fn locked(lock: &str) -> Vec<(&str, &str)> {
    let entries: Vec<(&str, &str)> = lock
        .split("[[package]]\n")
        .skip(1)
        .filter_map(|entry| Some((entry.lines().next()?.strip_prefix("name = ")?.trim_matches('"'), entry.trim_end())))
        .collect();
    let mut needed = vec!["cutover-plugin"];
    let mut next = 0;
    while let Some(&name) = needed.get(next) {
        next += 1;
        let lines = entries.iter().filter(|(other, _)| *other == name).flat_map(|(_, entry)| entry.lines());
        for line in lines.filter_map(|line| line.strip_prefix(" \"")) {
            // `"serde 1.0.2",` where there are several of that name.
            let dependency = line.split(['"', ' ']).next().unwrap_or(line);
            if !needed.contains(&dependency) {
                needed.push(dependency);
            }
        }
    }
    entries.into_iter().filter(|(name, _)| needed.contains(name)).collect()
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let mut pages: Vec<PathBuf> = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    Ok(pages)
}
