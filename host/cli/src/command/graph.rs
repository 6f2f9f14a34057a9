//! `cutover graph FILE`.

use cutover_engine::Workflow;

use crate::{
    args::{GraphArgs, Output},
    catalog::Library,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    plugin_path::PluginPath,
    program::Program,
    report::graph::Graph,
    source_file::SourceFile,
    workflow_file::Mistakes,
};

/// Draws a workflow that can be read. A plugin that is not there is no obstacle: its manifest only adds to the drawing.
pub(super) fn perform(program: &mut Program, args: &GraphArgs) -> Outcome {
    let SourceFile { text, path } = SourceFile::read(&args.file)?;
    let file = path.display().to_string();
    let (workflow, problems) = Workflow::parse(&text);
    if problems.iter().any(cutover_engine::Diagnostic::is_error) {
        return Mistakes::of_reading(file, text, &problems).show(&mut program.console);
    }
    let workflow = workflow.ok_or_else(|| CommandError::no(code::FILE_FORM, format!("`{file}` cannot be read as a workflow")))?;
    let library = Library::of(&workflow, &path, &PluginPath::new(&program.settings, &program.environment));
    let graph = Graph::of(&workflow, &library.catalog);
    match program.console.output() {
        Output::Dot => program.console.data(&graph.dot())?,
        Output::Mermaid => program.console.data(&graph.mermaid())?,
        Output::Svg => program.console.data(&graph.svg())?,
        _ => program.console.answer(&graph.text())?,
    }
    program.console.document(&graph.document(ExitCode::Done))?;
    Ok(ExitCode::Done)
}
