//! `cutover resume`: a run goes on.

use super::drive::{self, Wish};
use crate::{
    args::ResumeArgs,
    error::Outcome,
    host,
    host_error::{broken_off, refused},
    program::Program,
    spectator::{Drive, Spectator, Stops},
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
        let drive = Drive {
            command: "resume",
            host: &host,
            id: &id,
            plan: opened.run().plan(),
            seq: opened.head().n,
            scanner: opened.scanner(),
            telemetry: &args.telemetry,
        };
        let mut spectator = Spectator::new(program, &drive)?;
        let sieve = spectator.sieve();
        let stop = drive::stop(stops.clone(), sieve.clone());
        let observer = Box::new(|run: &_, at, event: &_| spectator.see(run, at, event));
        let ended = host.resume_opened(opened, stop, observer).await;
        spectator.finish().await;
        let rested = ended.map_err(|error| broken_off(error, &id))?;
        drive::rested(program, &host, &rested, &stops, (&sieve, Wish::Forward))
    })
}
