//! Takes a drive's trace out of the program: into a file, and with the feature `otlp` to a collector.

use std::{fs::File, io::Write as _, sync::Arc};

use cutover_engine::{Event, Run, RunId, Span as Length, Timestamp};

use super::{
    otlp::{self, Resource},
    span::Span,
    trace::Trace,
    trace_context::TraceContext,
};
use crate::{
    args::TelemetryArgs,
    environment::Environment,
    error::{CommandError, code},
    sieve::Sieve,
};

/// So many spans leave together.
const BATCH: usize = 128;
/// A span that ended leaves within this time, if the run goes on.
const LONGEST_DELAY: Length = Length::seconds(5);

/// Takes a drive's trace out of the program.
pub(crate) struct Exporter {
    context: TraceContext,
    resource: Resource,
    command: &'static str,
    id: RunId,
    seq: u64,
    trace: Option<Trace>,
    left: Timestamp,
    file: Option<File>,
    #[cfg(feature = "otlp")]
    sender: Option<super::otlp_http::Sender>,
    sieve: Sieve,
    problem: Option<String>,
}

/// The drive whose trace is exported.
pub(crate) struct Traced<'a> {
    /// Such as `run`.
    pub(crate) command: &'static str,
    /// The run.
    pub(crate) id: &'a RunId,
    /// How many records its journal has so far.
    pub(crate) seq: u64,
    /// Where the run belongs.
    pub(crate) context: TraceContext,
}

impl Exporter {
    /// An exporter, if somebody wants the trace. Needs a Tokio runtime.
    pub(crate) fn new(
        traced: Traced<'_>,
        args: &TelemetryArgs,
        environment: &Environment,
        sieve: &Sieve,
    ) -> Result<Option<Self>, CommandError> {
        let file = args.trace_file.as_deref().map(|path| {
            // The trace of a run goes on where the process before ended.
            let mut options = File::options();
            let options = if traced.seq == 0 { options.write(true).truncate(true) } else { options.append(true) };
            let opened = options.create(true).open(path);
            opened.map_err(|error| CommandError::no(code::FILE_WRITE, format!("cannot write `{}`", path.display())).because(&error))
        });
        let file = file.transpose()?;
        #[cfg(feature = "otlp")]
        let sender = if traced.context.sampled { super::otlp_http::Sender::of(environment)? } else { None };
        #[cfg(feature = "otlp")]
        let is_wanted = file.is_some() || sender.is_some();
        #[cfg(not(feature = "otlp"))]
        let is_wanted = file.is_some();
        Ok(is_wanted.then(|| Self {
            context: traced.context,
            resource: Resource::of(environment),
            command: traced.command,
            id: traced.id.clone(),
            seq: traced.seq,
            trace: None,
            left: Timestamp(0),
            file,
            #[cfg(feature = "otlp")]
            sender,
            sieve: sieve.clone(),
            problem: None,
        }))
    }

    /// Takes note of one event.
    pub(crate) fn see(&mut self, run: &Run, at: Timestamp, event: &Event) {
        let Self { trace, context, command, id, seq, .. } = self;
        let trace = trace.get_or_insert_with(|| Trace::new(context.clone(), command, id, run.plan(), *seq, at));
        trace.see(run, at, event);
        if trace.waiting() >= BATCH || (trace.waiting() > 0 && at >= self.left.after(LONGEST_DELAY)) {
            self.left = at;
            let spans = trace.take();
            self.export(&spans);
        }
    }

    /// Exports what is left.
    ///
    /// # Errors
    /// What could not leave. The run is not touched by it.
    pub(crate) async fn finish(mut self) -> Result<(), String> {
        let spans = self.trace.take().map(Trace::finish).unwrap_or_default();
        spans.chunks(BATCH).for_each(|batch| self.export(batch));
        #[cfg(feature = "otlp")]
        if let Some(sender) = self.sender.take()
            && let Err(problem) = sender.finish().await
        {
            self.problem.get_or_insert(problem);
        }
        self.problem.map_or(Ok(()), Err)
    }

    fn export(&mut self, spans: &[Span]) {
        let text: Arc<str> = otlp::request(&self.context, &self.resource, spans).to_string().into();
        if self.sieve.catches(&text) {
            self.problem.get_or_insert_with(Sieve::withheld);
            return;
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(format!("{text}\n").as_bytes())
        {
            self.file = None;
            self.problem.get_or_insert_with(|| format!("the file is no longer written: {error}"));
        }
        #[cfg(feature = "otlp")]
        if let Some(sender) = &self.sender {
            sender.offer(text);
        }
    }
}
