//! Where plugins are looked for, and which of those found is the one that a workflow asks for. No plugin code runs.

use std::path::{Path, PathBuf};

use cutover_engine::{Manifest, PluginOrigin};
use semver::Version;

use crate::{builtin_plugin::BuiltinPlugins, environment::Environment, settings::Settings};

/// Folders, first one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginPath(Vec<PathBuf>);

/// What a workflow asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// `namespace:name`.
    pub package: &'a str,
    /// The leading parts of the version: `0.1` is any `0.1.x`.
    pub version: &'a str,
}

/// A plugin that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    /// Its component.
    pub file: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What else was read of it.
    pub extra: T,
}

impl PluginPath {
    /// `--plugin-path`, `CUTOVER_PLUGIN_PATH`, the program's folder and its `plugins`, for an unpacked archive
    /// `lib/cutover/plugins` beside its `bin`, and for a checkout `target/plugins` beside `target/debug`.
    #[must_use]
    pub fn new(settings: &Settings, environment: &Environment) -> Self {
        let mut folders = settings.plugin_path.clone();
        if let Some(beside) = environment.program.as_deref().and_then(Path::parent) {
            folders.push(beside.to_owned());
            folders.push(beside.join("plugins"));
            if let Some(above) = beside.parent() {
                folders.push(above.join("lib/cutover/plugins"));
                folders.push(above.join("plugins"));
            }
        }
        Self(folders)
    }

    /// These folders before the others.
    #[must_use]
    pub fn after(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        self.0.splice(0..0, folders);
        self
    }

    /// The component with that digest, from whichever folder has it, or from the program itself.
    #[must_use]
    pub fn component(&self, digest: cutover_engine::Digest) -> Option<Vec<u8>> {
        let files = self.0.iter().flat_map(|folder| components(folder));
        files
            .filter_map(|file| crate::component::bytes(&file).ok())
            .find(|bytes| cutover_engine::Digest::of(bytes) == digest)
            .or_else(|| BuiltinPlugins::of_program().component(digest))
    }

    /// The newest plugin that fits in the first folder that has one. `read` takes a component's manifest without running it.
    pub fn find<T>(&self, wanted: Wanted<'_>, read: impl Fn(&Path) -> Result<(Manifest, T), String>) -> Result<Found<T>, Missing> {
        let mut passed_over = Vec::new();
        for folder in &self.0 {
            let mut fitting = Vec::new();
            for file in components(folder) {
                match read(&file) {
                    Ok((manifest, _)) if manifest.name != wanted.package => {}
                    Ok((manifest, extra)) => match Version::parse(&manifest.version) {
                        Ok(version) if PluginOrigin::admits_version(wanted.version, &manifest.version) => {
                            fitting.push((version, Found { file, manifest, extra }));
                        }
                        _ => passed_over.push(format!("`{}` is version {}", file.display(), manifest.version)),
                    },
                    Err(reason) => passed_over.push(format!("`{}`: {reason}", file.display())),
                }
            }
            if let Some((_, found)) = fitting.into_iter().max_by(|(left, _), (right, _)| left.cmp(right)) {
                return Ok(found);
            }
        }
        Err(Missing { folders: self.0.clone(), passed_over })
    }
}

/// No plugin fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    folders: Vec<PathBuf>,
    passed_over: Vec<String>,
}

impl Missing {
    /// Where it was looked for, what was found instead, and what to do.
    #[must_use]
    pub fn help(&self) -> String {
        let folders: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let mut help = format!("looked in {}", folders.join(", "));
        for passed_over in &self.passed_over {
            help.push_str("; passed over ");
            help.push_str(passed_over);
        }
        help + "; name its folder with `--plugin-path DIR` or its file with `path = \"plugins/NAME.wasm\"`"
    }
}

/// Files that end in `.wasm`, by name, so that the same folder always gives the same answer. A folder that is not there has none.
fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        folder
    }

    /// Files of these tests hold `name version`.
    fn read(file: &Path) -> Result<(Manifest, ()), String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let (name, version) = text.split_once(' ').ok_or("it has no manifest")?;
        let manifest =
            Manifest { name: name.into(), version: version.into(), summary: String::new(), operations: Vec::new(), losses: Vec::new() };
        Ok((manifest, ()))
    }

    const WANTED: Wanted<'static> = Wanted { package: "cutover:vault-migrator", version: "0.1" };

    #[test]
    fn the_first_folder_wins_and_in_it_the_newest_that_fits() {
        let first = folder_with(&[
            ("a.wasm", "cutover:vault-migrator 0.1.2"),
            ("b.wasm", "cutover:vault-migrator 0.1.10"),
            ("c.wasm", "cutover:vault-migrator 0.2.0"),
            ("d.txt", "cutover:vault-migrator 0.1.99"),
            ("e.wasm", "other:thing 0.1.99"),
            ("f.wasm", "broken"),
        ]);
        let second = folder_with(&[("a.wasm", "cutover:vault-migrator 0.1.99")]);
        let path = PluginPath(vec!["/nowhere".into(), first.path().into(), second.path().into()]);
        let found = path.find(WANTED, read).expect("found");
        assert_eq!((found.file, found.manifest.version.as_str()), (first.path().join("b.wasm"), "0.1.10"));
    }

    #[test]
    fn a_missing_plugin_says_where_it_was_looked_for_and_what_was_passed_over() {
        let folder = folder_with(&[("a.wasm", "cutover:vault-migrator 0.2.0"), ("b.wasm", "broken")]);
        let error = PluginPath(vec![folder.path().into()]).find(WANTED, read).expect_err("missing");
        let help = error.help().replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(help, @r#"looked in `DIR`; passed over `DIR/a.wasm` is version 0.2.0; passed over `DIR/b.wasm`: it has no manifest; name its folder with `--plugin-path DIR` or its file with `path = "plugins/NAME.wasm"`"#);
    }

    #[test]
    fn folders_come_in_the_written_order() {
        let mut environment = Environment::with_variables(&[("CUTOVER_PLUGIN_PATH", "/b:/c")]);
        environment.program = Some("/src/target/debug/cutover".into());
        let cli = <crate::args::Cli as clap::Parser>::try_parse_from(["cutover", "--plugin-path", "/a"]).expect("arguments");
        let settings = Settings::resolve(&cli.global, &environment).expect("settings");
        let own = ["/src/target/debug", "/src/target/debug/plugins", "/src/target/lib/cutover/plugins", "/src/target/plugins"];
        let expected: Vec<PathBuf> = ["/a", "/b", "/c"].into_iter().chain(own).map(PathBuf::from).collect();
        assert_eq!(PluginPath::new(&settings, &environment).0, expected);
    }
}
