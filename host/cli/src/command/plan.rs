//! `cutover plan` and `cutover plan show`.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use cutover_engine::{Plan, PlanTextError, Span};
use cutover_runtime::{
    planner::PlanningError,
    runs::{Host, HostError, Prepared},
};

use super::doctor;
use crate::{
    args::{Output, PlanArgs, ProgressStyle},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    report::{plan::PlanView, printable, progress::Moment},
    source_file,
    spectator::Stops,
    workflow_file::{self, Mistakes, WorkflowFile},
};

/// Plans a workflow and shows the plan.
pub(super) fn perform(program: &mut Program, args: &PlanArgs) -> Outcome {
    let path = args.file.as_deref().ok_or_else(|| CommandError::usage(code::USAGE, "`cutover plan` needs a workflow file"))?;
    let file = match workflow_file::read(program, path, &args.variables)? {
        Ok(file) => file,
        Err(mistakes) => return mistakes.show(&mut program.console),
    };
    let host = host::driving(program, Span::default())?;
    let threads = Program::threads()?;
    let prepared = threads.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let prepared = stops.unless_stopped(prepare(&host, &file, program.settings.progress)).await??;
        let mut warnings = Vec::new();
        if let Ok(prepared) = &prepared {
            warnings = doctor::warnings(prepared).await;
            prepared.equipment.close().await;
        }
        Ok::<_, CommandError>((prepared, warnings))
    })?;
    let (prepared, warnings) = prepared;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(mistakes) => return mistakes.show(&mut program.console),
    };
    let mut view = PlanView::of(&prepared.plan, Some(&file.catalog));
    view.notes.extend(warnings);
    if let Some(out) = &args.out {
        save(out, &host.with_key(&prepared).map_err(refused)?)?;
        view.saved = Some(out.display().to_string());
    }
    view.next = match &args.out {
        _ if prepared.plan.changes.is_empty() => Vec::new(),
        Some(out) => vec![format!("cutover run {}", out.display())],
        None => vec![format!("cutover run {}", file.file)],
    };
    let exit = if args.detailed_exitcode && view.has_changes() { ExitCode::Changes } else { ExitCode::Done };
    show(program, &view, exit)
}

/// Shows a saved plan, also one that can no longer be run: it takes the file alone.
pub(super) fn show_saved(program: &mut Program, path: &Path) -> Outcome {
    let plan = read_saved(path)?.1;
    let mut view = PlanView::of(&plan, None);
    view.saved = Some(path.display().to_string());
    if !plan.changes.is_empty() {
        view.next = vec![format!("cutover run {}", path.display())];
    }
    show(program, &view, ExitCode::Done)
}

fn show(program: &mut Program, view: &PlanView, exit: ExitCode) -> Outcome {
    match program.console.output() {
        Output::Markdown => program.console.data(&view.markdown())?,
        _ => program.console.answer(&view.text())?,
    }
    program.console.document(&view.document(exit))?;
    Ok(exit)
}

/// Plans a checked workflow. Mistakes that show only now have places in the file, too.
pub(super) async fn prepare(host: &Host, file: &WorkflowFile, progress: ProgressStyle) -> Result<Result<Prepared, Mistakes>, CommandError> {
    let _moment = Moment::begin(progress, format!("planning {}", printable::line(&file.file)));
    let source = (file.file.as_str(), file.text.as_str());
    match host.prepare(&file.workflow, source, file.components.clone(), file.inputs.clone(), &file.folder).await {
        Ok(prepared) => Ok(Ok(prepared)),
        Err(HostError::Planning(PlanningError::Workflow(problems))) => Ok(Err(Mistakes::of_planning(file, &problems))),
        Err(HostError::Planning(PlanningError::Hook { step, place: (line, column), failure })) => {
            let code = failure.code.clone().unwrap_or_else(|| code::WORKFLOW.to_owned());
            Err(CommandError::no(code, format!("{}:{line}:{column}: step `{step}` could not be planned", file.file))
                .because_of(failure.to_string()))
        }
        Err(error) => Err(refused(error)),
    }
}

/// The largest saved plan: 100,000 changes of a few kilobytes.
const PLAN_BYTES: u64 = 1 << 30;

/// A saved plan's text and the plan.
pub(super) fn read_saved(path: &Path) -> Result<(String, Plan), CommandError> {
    let bytes = source_file::bytes(path, PLAN_BYTES, "a plan of that size cannot be read")?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::untrusted(code::PLAN, format!("`{}` is no saved plan: it is not UTF-8", path.display())))?;
    let plan = Plan::read(&text).map_err(|error| {
        let refusal = match error {
            PlanTextError::Version { .. } => CommandError::no(code::PLAN, format!("`{}` is no plan that can be used", path.display())),
            _ => CommandError::untrusted(code::PLAN, format!("`{}` cannot be used", path.display())),
        };
        refusal.because(&error).hint("make it again: `cutover plan FILE --out PLAN`")
    })?;
    Ok((text, plan))
}

/// A reader sees the old file or the new one, never a half. Only its owner may read it.
fn save(path: &Path, text: &str) -> Result<(), CommandError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        // What is left of a failed attempt helps nobody; the error is the one to tell.
        let _ = std::fs::remove_file(&beside);
        CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error)
    })
}
