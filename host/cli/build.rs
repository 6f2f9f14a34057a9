//! Makes the table of pages that `cutover explain` shows: every file of `docs/src/codes` and `docs/src/exit-codes`.
//! A new page is a new file; nothing lists them by hand but the book's `SUMMARY.md`, which a test compares.

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
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), table)?;
    Ok(())
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let mut pages: Vec<PathBuf> = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    Ok(pages)
}
