//! `cutover run`: plan, ask and perform a workflow, or perform a saved plan.

use std::{fs::File, io::Read as _, path::Path};

use cutover_engine::{Plan, PluginOrigin, Workflow};
use cutover_runtime::runs::{Host, Prepared};

use super::{
    drive::{self, Watch, Wish},
    plan,
};
use crate::{
    args::{RunArgs, TelemetryArgs},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    plugin_path::PluginPath,
    program::Program,
    question,
    report::plan::PlanView,
    spectator::{Drive, Stops},
    workflow_file,
};

/// Performs a workflow file or a saved plan.
pub(super) fn perform(program: &mut Program, args: &RunArgs) -> Outcome {
    if is_saved_plan(&args.file) { of_plan(program, args) } else { of_workflow(program, args) }
}

/// A saved plan begins with a JSON object, and names its version there; no TOML does. One of the two may have been damaged.
fn is_saved_plan(path: &Path) -> bool {
    const MARK: &[u8] = b"\"cutover_plan\"";
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut first));
    read.is_ok() && (first.first() == Some(&b'{') || first.windows(MARK.len()).any(|part| part == MARK))
}

fn of_workflow(program: &mut Program, args: &RunArgs) -> Outcome {
    let longest_wait = drive::longest_wait(&args.waiting)?;
    if !args.yes && !program.settings.asks {
        return Err(CommandError::usage(code::UNCONFIRMED, "nobody can be asked here, and a workflow file needs a yes")
            .hint("add `--yes`, or save the plan, look at it and run that: `cutover plan FILE --out PLAN`"));
    }
    let file = match workflow_file::read(program, &args.file, &args.variables)? {
        Ok(file) => file,
        Err(mistakes) => return mistakes.show(&mut program.console),
    };
    let host = host::driving(program, longest_wait)?;
    let threads = Program::threads()?;
    threads.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let prepared = match stops.unless_stopped(plan::prepare(&host, &file, program.settings.progress)).await?? {
            Ok(prepared) => prepared,
            Err(mistakes) => return mistakes.show(&mut program.console),
        };
        let view = PlanView::of(&prepared.plan, Some(&file.catalog));
        if prepared.plan.changes.is_empty() {
            prepared.equipment.close().await;
            return nothing_to_do(program, &view);
        }
        program.console.note(&view.text());
        if !args.yes {
            // Nobody knows how long the answer takes: nothing stays logged in for it.
            prepared.equipment.close().await;
            question::confirmed(&stops, "Perform this plan?").await?;
        }
        // Another run may have held the target while this one was planned, and whoever was asked may have taken an hour.
        start(program, &host, prepared, (&stops, &args.telemetry)).await
    })
}

fn of_plan(program: &mut Program, args: &RunArgs) -> Outcome {
    if !args.variables.variables.is_empty() || args.variables.variable_file.is_some() {
        return Err(CommandError::usage(code::VARIABLE, "a saved plan has its inputs already").hint("make another plan with other inputs"));
    }
    let longest_wait = drive::longest_wait(&args.waiting)?;
    let (_, saved) = plan::read_saved(&args.file)?;
    let view = PlanView::of(&saved, None);
    if saved.changes.is_empty() {
        return nothing_to_do(program, &view);
    }
    let path = plugin_path(program, &args.file, &saved);
    let host = host::driving(program, longest_wait)?;
    let threads = Program::threads()?;
    threads.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let prepared = stops.unless_stopped(host.read_plan(&args.file, |digest| path.component(digest))).await?.map_err(refused)?;
        start(program, &host, prepared, (&stops, &args.telemetry)).await
    })
}

fn nothing_to_do(program: &mut Program, view: &PlanView) -> Outcome {
    program.console.answer(&view.text())?;
    program.console.document(&view.document(ExitCode::Done))?;
    Ok(ExitCode::Done)
}

/// Where the plugins of a plan may be: beside the files that its workflow named, beside the plan, and the usual folders.
fn plugin_path(program: &Program, file: &Path, plan: &Plan) -> PluginPath {
    let beside = |path: &Path| program.environment.folder.join(path.parent().unwrap_or(Path::new("")));
    let (workflow, _) = Workflow::parse(&plan.header.source);
    let entries = workflow.iter().flat_map(|workflow| workflow.plugins.values());
    let folder = beside(Path::new(&plan.header.file));
    let named = entries.filter_map(|entry| match &entry.origin {
        PluginOrigin::Path(relative) => folder.join(relative).parent().map(Path::to_owned),
        PluginOrigin::Package { .. } => None,
    });
    PluginPath::new(&program.settings, &program.environment).after(named.chain([beside(file)]))
}

async fn start(program: &mut Program, host: &Host, prepared: Prepared, (stops, telemetry): (&Stops, &TelemetryArgs)) -> Outcome {
    let id = host.new_id();
    program.console.note(&format!("run {id}"));
    let drive = Drive { command: "run", host, id: &id, plan: &prepared.plan, seq: 0, scanner: prepared.key.scanner(), telemetry };
    let mut watch = Watch::begin(program, &drive, stops)?;
    let ended = host.start(id.clone(), prepared, true, watch.stop(), watch.observer()).await;
    let sieve = watch.end().await;
    drive::shown(program, (host, &id), ended, stops, (&sieve, Wish::Forward))
}
