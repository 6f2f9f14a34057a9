//! The plugins that a workflow names: found, read, not run.

use std::{collections::BTreeMap, path::Path};

use cutover_engine::{Catalog, Digest, Manifest, Offer, PluginEntry, PluginOrigin, Workflow};
use cutover_runtime::sandbox;

use crate::{
    builtin_plugin::BuiltinPlugins,
    component::{self, Source},
    error::CommandError,
    plugin_path::{Missing, PluginPath, Wanted},
    report::diagnostics::Problem,
};

/// What was found for a workflow.
#[derive(Debug, Default)]
pub struct Library {
    /// By alias, for the engine.
    pub catalog: Catalog,
    /// By alias: where each component is.
    pub sources: BTreeMap<String, Source>,
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
                Ok((source, offer)) => {
                    library.sources.insert(alias.clone(), source);
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

fn find(entry: &PluginEntry, file: &Path, path: &PluginPath) -> Result<(Source, Offer), Problem> {
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
            let wanted = Wanted { package: name, version };
            let missing = match path.find(wanted, |file| read(file).map_err(|error| error.summary())) {
                Ok(found) => return Ok((Source::File(found.file), Offer { digest: found.extra, manifest: found.manifest })),
                Err(missing) => missing,
            };
            let inside = BuiltinPlugins::of_program();
            let read = |bytes: &[u8]| sandbox::inspect(bytes).ok().map(|found| (found.manifest, found.digest));
            match inside.find(wanted, read) {
                Some((bytes, manifest, digest)) => Ok((Source::Builtin(bytes), Offer { digest, manifest })),
                None => Err(problem(NOT_FOUND, format!("no plugin `{name}` {version} was found"), Some(help(name, &missing, inside)))),
            }
        }
        PluginOrigin::Path(relative) => {
            let file = file.parent().unwrap_or(Path::new("")).join(relative);
            let found = read(&file);
            let (manifest, digest) = found.map_err(|error| problem(error.code(), error.summary(), error.hints().first().cloned()))?;
            Ok((Source::File(file), Offer { digest, manifest }))
        }
    }
}

/// A program that was built without plugins inside says how to get those of the project.
fn help(name: &str, missing: &Missing, inside: BuiltinPlugins) -> String {
    let ours = if name.starts_with("cutover:") && inside.is_empty() { "; in a checkout `cargo xtask plugins` builds it" } else { "" };
    missing.help() + ours
}

fn read(file: &Path) -> Result<(Manifest, Digest), CommandError> {
    component::inspect(file).map(|inspection| (inspection.manifest, inspection.digest))
}
