//! The plugins that a workflow names: found, read, not run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cutover_engine::{Catalog, Digest, Manifest, Offer, PluginEntry, PluginOrigin, Workflow};

use crate::{
    component,
    error::CommandError,
    plugin_path::{PluginPath, Wanted},
    report::diagnostics::Problem,
};

/// What was found for a workflow.
#[derive(Debug, Default)]
pub struct Library {
    /// By alias, for the engine.
    pub catalog: Catalog,
    /// By alias: where each component is.
    pub files: BTreeMap<String, PathBuf>,
    /// One for each that was not found or cannot be used.
    pub problems: Vec<Problem>,
}

impl Library {
    /// Looks for every plugin of `workflow`, whose file is `file`.
    #[must_use]
    pub fn of(workflow: &Workflow, file: &Path, path: &PluginPath) -> Self {
        let mut library = Self::default();
        for (alias, entry) in &workflow.plugins {
            match find(entry, file, path) {
                Ok((file, offer)) => {
                    library.files.insert(alias.clone(), file);
                    library.catalog.plugins.insert(alias.clone(), offer);
                }
                Err(problem) => library.problems.push(problem),
            }
        }
        library
    }

    /// Everything that is wrong with the workflow: what `parse` found, what its plugins forbid, which of them are missing.
    #[must_use]
    pub fn check(self, workflow: &Workflow, parsed: &[cutover_engine::Diagnostic]) -> (Catalog, Vec<Problem>) {
        let checked = workflow.check(&self.catalog);
        // What is missing is told by `find`, which knows where it looked.
        let checked = checked.iter().filter(|diagnostic| diagnostic.code != NOT_FOUND);
        let mut problems: Vec<Problem> = parsed.iter().chain(checked).map(Problem::from).chain(self.problems).collect();
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.start));
        (self.catalog, problems)
    }
}

/// The engine's code for a plugin that is not in the catalog.
const NOT_FOUND: &str = "CUT0215";

fn find(entry: &PluginEntry, file: &Path, path: &PluginPath) -> Result<(PathBuf, Offer), Problem> {
    let problem = |code: &str, message: String, help: Option<String>| Problem {
        code: code.to_owned(),
        is_error: true,
        message,
        place: Some(entry.place.range()),
        help,
        conceals: false,
    };
    match &entry.origin {
        PluginOrigin::Package { name, version } => {
            let found = path.find(Wanted { package: name, version }, |file| read(file).map_err(|error| error.summary()));
            let found =
                found.map_err(|missing| problem(NOT_FOUND, format!("no plugin `{name}` {version} was found"), Some(missing.help())))?;
            Ok((found.file, Offer { digest: found.extra, manifest: found.manifest }))
        }
        PluginOrigin::Path(relative) => {
            let file = file.parent().unwrap_or(Path::new("")).join(relative);
            let found = read(&file);
            let (manifest, digest) = found.map_err(|error| problem(error.code(), error.summary(), error.hints().first().cloned()))?;
            Ok((file, Offer { digest, manifest }))
        }
    }
}

fn read(file: &Path) -> Result<(Manifest, Digest), CommandError> {
    component::inspect(file).map(|inspection| (inspection.manifest, inspection.digest))
}
