//! A workflow file on its way to a plan: read, checked, its inputs bound, its plugins at hand.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cutover_engine::{Catalog, Diagnostic, Digest, Workflow};
use serde_json::{Map, Value};

use crate::{
    args::VariableArgs,
    catalog::Library,
    console::Console,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_path::PluginPath,
    program::Program,
    report::diagnostics::{self, Checked, Problem},
    source_file::SourceFile,
    variable::{self, Given},
};

/// A workflow without errors.
pub(crate) struct WorkflowFile {
    /// The workflow.
    pub(crate) workflow: Workflow,
    /// The file as the person named it.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
    /// Each alias's component.
    pub(crate) components: BTreeMap<String, Vec<u8>>,
    /// What its plugins say of themselves.
    pub(crate) catalog: Catalog,
    /// The inputs as bound.
    pub(crate) inputs: Map<String, Value>,
    /// Where its relative paths start.
    pub(crate) folder: PathBuf,
}

/// A workflow with errors.
pub(crate) struct Mistakes {
    file: String,
    text: String,
    problems: Vec<Problem>,
    exit: ExitCode,
}

/// Reads a workflow file, or tells its mistakes.
pub(crate) fn read(program: &Program, path: &Path, variables: &VariableArgs) -> Result<Result<WorkflowFile, Mistakes>, CommandError> {
    let given = variable::read(variables)?;
    let SourceFile { text, .. } = SourceFile::read(path)?;
    let file = path.display().to_string();
    let (workflow, parsed) = Workflow::parse(&text);
    let Some(workflow) = workflow else {
        return Ok(Err(Mistakes::new(file, text, parsed.iter().map(Problem::from).collect(), ExitCode::No)));
    };
    let library = Library::of(&workflow, path, &PluginPath::new(&program.settings, &program.environment));
    let sources = library.sources.clone();
    let (catalog, mut problems) = library.check(&workflow, &parsed);
    let inputs = workflow.bind(&texts(given)).unwrap_or_else(|unbound| {
        problems.extend(unbound.iter().map(Problem::from));
        Map::new()
    });
    if problems.iter().any(|problem| problem.is_error) {
        let exit = if differs_from_pin(&workflow, &catalog) { ExitCode::Untrusted } else { ExitCode::No };
        return Ok(Err(Mistakes::new(file, text, problems, exit)));
    }
    let mut components = BTreeMap::new();
    for (alias, source) in sources {
        let bytes = source.bytes()?;
        if catalog.plugins.get(&alias).is_none_or(|offer| offer.digest != Digest::of(&bytes)) {
            return Err(CommandError::untrusted(code::OTHER_PLUGIN, format!("`{source}` was changed while it was read")));
        }
        components.insert(alias, bytes);
    }
    let folder = program.environment.folder.join(path.parent().unwrap_or(Path::new("")));
    Ok(Ok(WorkflowFile { workflow, file, text, components, catalog, inputs, folder }))
}

/// Values of a file have types already; the engine reads text.
fn texts(given: BTreeMap<String, Given>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Given::Text(text) | Given::Typed(Value::String(text)) => text,
        Given::Typed(value) => value.to_string(),
    };
    given.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn differs_from_pin(workflow: &Workflow, catalog: &Catalog) -> bool {
    workflow.plugins.iter().any(|(alias, entry)| {
        let found = catalog.plugins.get(alias).map(|offer| offer.digest);
        entry.digest.as_ref().is_some_and(|pin| found.is_some_and(|found| found != pin.value))
    })
}

impl Mistakes {
    fn new(file: String, text: String, problems: Vec<Problem>, exit: ExitCode) -> Self {
        Self { file, text, problems, exit }
    }

    /// What was found while the text was read.
    pub(crate) fn of_reading(file: String, text: String, problems: &[Diagnostic]) -> Self {
        Self::new(file, text, problems.iter().map(Problem::from).collect(), ExitCode::No)
    }

    /// What was found only while planning.
    pub(crate) fn of_planning(file: &WorkflowFile, problems: &[Diagnostic]) -> Self {
        Self::new(file.file.clone(), file.text.clone(), problems.iter().map(Problem::from).collect(), ExitCode::No)
    }

    /// Says what is wrong: on stderr for people, as a document for programs.
    pub(crate) fn show(&self, console: &mut Console) -> Outcome {
        let checked = Checked { file: &self.file, source: &self.text, problems: &self.problems };
        console.complain(&checked.text());
        console.document(&diagnostics::document(&[checked], self.exit))?;
        Ok(self.exit)
    }
}
