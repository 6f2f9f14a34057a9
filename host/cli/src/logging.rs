//! Diagnostics for operators and authors: to stderr, filtered by `RUST_LOG` or `-v`. Never the place for an answer.

use std::{
    fmt, io,
    sync::{PoisonError, RwLock},
};

use cutover_engine::{RunId, Timestamp};
use cutover_runtime::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

use crate::{args::LogFormat, environment::Environment, report::event::time, report::printable, settings::Settings, sieve::Sieve};

/// The run that this process drives, once it does. There is one subscriber, so there is one of these.
static DRIVEN: RwLock<Option<Driven>> = RwLock::new(None);

struct Driven {
    run: String,
    trace: String,
    sieve: Sieve,
}

/// From now on objects name this run and its trace, and no line holds what the sieve catches.
pub(crate) fn drives(run: &RunId, trace: &str, sieve: &Sieve) {
    let driven = Driven { run: run.to_string(), trace: trace.to_owned(), sieve: sieve.clone() };
    *DRIVEN.write().unwrap_or_else(PoisonError::into_inner) = Some(driven);
}

/// Installs the subscriber. A second call in one process (tests) keeps the first.
pub fn install(settings: &Settings, environment: &Environment) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings, environment)).with_writer(io::stderr).with_ansi(false);
    // A second subscriber is refused; the first one stays.
    let _ = match settings.log_format {
        LogFormat::Text => {
            let format = OneSafeLine(Format::default().with_target(settings.verbosity > 1));
            tracing::subscriber::set_global_default(builder.event_format(format).finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(builder.event_format(OneObject).finish()),
    };
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
        writeln!(writer, "{}", strained(&printable::line(text.trim_end_matches('\n'))))
    }
}

/// One event is one object: `{"ts", "level", "target", "message", "run"?, "trace_id"?, "step"?, "change"?, …}`.
struct OneObject;

impl<S, N> FormatEvent<S, N> for OneObject
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let text = object(SystemClock.now(), event.metadata(), fields.0).to_string();
        let text = match strained(&text) {
            strained if strained == text => text,
            withheld => json!({"ts": time(SystemClock.now()), "level": "error", "message": withheld}).to_string(),
        };
        writeln!(writer, "{text}")
    }
}

fn object(at: Timestamp, metadata: &tracing::Metadata<'_>, fields: Map<String, Value>) -> Value {
    let mut object = Map::new();
    object.insert("ts".to_owned(), json!(time(at)));
    object.insert("level".to_owned(), json!(metadata.level().as_str().to_lowercase()));
    object.insert("target".to_owned(), json!(metadata.target()));
    if let Some(driven) = &*DRIVEN.read().unwrap_or_else(PoisonError::into_inner) {
        object.insert("run".to_owned(), json!(driven.run));
        object.insert("trace_id".to_owned(), json!(driven.trace));
    }
    // A field never takes the place of what the host says.
    for (name, value) in fields {
        object.entry(name).or_insert(value);
    }
    Value::Object(object)
}

/// The fields of an event; texts may be those of plugins and servers.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        // What is not known of this event is not there.
        if value != "" {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, json!(printable::line(&format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!(printable::line(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }
}

/// The text, or what stands in its place if it holds a secret of the run.
fn strained(text: &str) -> String {
    match &*DRIVEN.read().unwrap_or_else(PoisonError::into_inner) {
        Some(driven) if driven.sieve.catches(text) => Sieve::withheld(),
        _ => text.to_owned(),
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

    #[test]
    fn an_object_tells_where_and_cannot_be_forged() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).event_format(OneObject).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "cutover::plugin", step = %"copy", change = %"copy/a", level = "no", count = 3, empty = %"", "\u{1b}[2Jgone\n{{}}");
        });
        let text = String::from_utf8(sink.0.lock().expect("one thread").clone()).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&object["level"], &object["target"], &object["step"], &object["change"], &object["count"]),
            (&json!("warn"), &json!("cutover::plugin"), &json!("copy"), &json!("copy/a"), &json!(3))
        );
        assert_eq!(object["message"], "\\u{1b}[2Jgone\\n{}");
        assert!(object["ts"].is_string() && object.get("empty").is_none(), "{text}");
    }
}
