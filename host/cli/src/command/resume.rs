//! `cutover resume`: a run goes on.

use super::drive::{self, Watch, Wish};
use crate::{
    args::ResumeArgs,
    error::Outcome,
    host,
    host_error::refused,
    program::Program,
    spectator::{Drive, Stops},
};

/// Goes on with a run that came to rest or whose process died.
pub(super) fn perform(program: &mut Program, args: &ResumeArgs) -> Outcome {
    let longest_wait = drive::longest_wait(&args.waiting)?;
    let anchor = drive::anchor(&args.anchor)?;
    let id = host::find_run(host::looking(program)?.as_ref(), &args.run, &program.settings.state)?;
    let host = host::driving(program, longest_wait)?;
    let threads = Program::threads()?;
    threads.block_on(async {
        let stops = Stops::listen(&program.settings)?;
        let opened = stops.unless_stopped(host.reopen(&id, anchor)).await?.map_err(refused)?;
        let mut watch = Watch::begin(program, &Drive::of_opened("resume", (&host, &id), &opened, &args.telemetry), &stops)?;
        let ended = host.resume_opened(opened, watch.stop(), watch.observer()).await;
        let sieve = watch.end().await;
        drive::shown(program, (&host, &id), ended, &stops, (&sieve, Wish::Forward))
    })
}
