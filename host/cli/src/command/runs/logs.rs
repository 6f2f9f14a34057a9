//! `cutover runs logs`: everything that happened in a run, in order.

use std::thread;

use cutover_engine::{ChangeNo, Event, Plan, RunId, StepNo, Timestamp};
use cutover_runtime::runs::{Followed, HostError};
use serde::Serialize;

use super::watch::{Left, Until};
use crate::{
    args::{LogsArgs, Output},
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    host,
    host_error::refused,
    program::Program,
    report::{
        event::{EventHeader, EventLine, step_of},
        event_text,
    },
};

/// How often the journal is looked at.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Prints what the journal holds, and with `--follow` what comes, until the run is at rest.
pub(crate) fn perform(program: &mut Program, args: &LogsArgs) -> Outcome {
    let host = host::looking(program)?;
    let id = host::find_run(host.as_ref(), &args.run, &program.settings.state)?;
    let Some(host) = host else { return Err(CommandError::defect("a run was found without a state folder")) };
    let mut followed = Followed::open(&host.state, &id).map_err(refused)?;
    let plan = followed.run.plan().clone();
    let wanted = Wanted::of(&id, &plan, args)?;
    let threads = Program::threads()?;
    let mut until = if args.follow { Some(Until::rest(&threads)?) } else { None };
    if program.console.output() == Output::Jsonl {
        program.console.document(&EventHeader::new(&id, &plan))?;
    }
    let mut all = Vec::new();
    let left = loop {
        let mut lines = Lines { program, id: &id, plan: &plan, all: &mut all, failed: None };
        let news = followed.read_on(|_, seq, at, event| {
            if wanted.takes(&plan, event) {
                lines.take(seq, at, event);
            }
        });
        if let Some(error) = lines.failed {
            return Err(error);
        }
        let news = news.map_err(refused)?;
        match &mut until {
            None => break Left::AtRest,
            Some(until) => {
                if let Some(left) = until.is_due(&host, &id, &followed, news) {
                    break left;
                }
            }
        }
        thread::sleep(PAUSE);
    };
    let exit = left.exit();
    program.console.document(&Document { run: id.as_str(), events: (program.console.output() == Output::Json).then_some(&all), exit })?;
    Ok(exit)
}

#[derive(Serialize)]
struct Document<'a> {
    run: &'a str,
    /// As `jsonl` they came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a Vec<EventLine>>,
    exit: ExitCode,
}

/// Which events are shown.
struct Wanted {
    step: Option<StepNo>,
    change: Option<ChangeNo>,
}

impl Wanted {
    fn of(id: &RunId, plan: &Plan, args: &LogsArgs) -> Result<Self, CommandError> {
        let step = |name: &String| {
            let found = plan.header.steps.iter().position(|step| step.id == *name).and_then(|index| u32::try_from(index).ok());
            found.map(StepNo).ok_or_else(|| {
                let names: Vec<&str> = plan.header.steps.iter().map(|step| step.id.as_str()).collect();
                CommandError::no(code::STEP, format!("run {id} has no step `{name}`")).hint(format!("its steps are: {}", names.join(", ")))
            })
        };
        let change = |name: &String| plan.find(name).ok_or_else(|| refused(HostError::NoChange { name: name.clone() }));
        Ok(Self { step: args.step.as_ref().map(step).transpose()?, change: args.change.as_ref().map(change).transpose()? })
    }

    fn takes(&self, plan: &Plan, event: &Event) -> bool {
        self.step.is_none_or(|step| step_of(plan, event) == Some(step)) && self.change.is_none_or(|change| event.change() == Some(change))
    }
}

/// Where the lines go.
struct Lines<'a> {
    program: &'a mut Program,
    id: &'a RunId,
    plan: &'a Plan,
    all: &'a mut Vec<EventLine>,
    failed: Option<CommandError>,
}

impl Lines<'_> {
    fn take(&mut self, seq: u64, at: Timestamp, event: &Event) {
        let console = &mut self.program.console;
        let line = || EventLine::new(self.id, self.plan, seq, at, event);
        let written = match console.output() {
            Output::Json => {
                self.all.push(line());
                Ok(())
            }
            Output::Jsonl => console.document(&line()),
            _ => console.answer(&event_text::line(self.plan, at, event)),
        };
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }
}
