//! Diagnostics for operators and authors: to stderr, filtered by `RUST_LOG` or `-v`. Never the place for an answer.

use std::{fmt, io};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

use crate::{environment::Environment, report::printable, settings::Settings};

/// Installs the subscriber. A second call in one process (tests) keeps the first.
pub fn install(settings: &Settings, environment: &Environment) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(settings, environment))
        .with_writer(io::stderr)
        .with_ansi(false)
        .event_format(OneSafeLine(Format::default().with_target(settings.verbosity > 1)))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn filter(settings: &Settings, environment: &Environment) -> EnvFilter {
    let default = match (settings.quiet, settings.verbosity) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,cutover_engine=info,cutover_runtime=info,cutover_cli=info",
        (false, _) => "info,cutover_engine=debug,cutover_runtime=debug,cutover_cli=debug",
    };
    let wanted = environment.variable("RUST_LOG").and_then(|value| value.to_str()).and_then(|text| EnvFilter::try_new(text).ok());
    wanted.unwrap_or_else(|| EnvFilter::new(default))
}

/// One event is one line, whatever a plugin or a server put into it.
struct OneSafeLine(Format);

impl<S, N> FormatEvent<S, N> for OneSafeLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        writeln!(writer, "{}", printable::line(text.trim_end_matches('\n')))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_cannot_forge_another_or_steer_the_terminal() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(OneSafeLine(Format::default().with_ansi(false)))
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(plugin = "a\nERROR b", "\u{1b}[2Jgone\nERROR done"));
        let text = String::from_utf8(sink.0.lock().expect("one thread").clone()).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("gone\\nERROR done"), "{text}");
    }
}
