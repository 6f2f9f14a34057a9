//! Which trace a run belongs to: W3C Trace Context (<https://www.w3.org/TR/trace-context/>), handed on in `TRACEPARENT`
//! and `TRACESTATE` as OpenTelemetry's specification of environment variables as carriers says.

use cutover_engine::{Digest, RunId};

use crate::environment::Environment;

/// The longest `tracestate` that is handed on, in characters (section 3.3.1.5).
const STATE_LENGTH: usize = 512;

/// A trace, and the place in it where a run belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 digits of hex.
    pub trace: String,
    /// The caller's span: 16 digits of hex.
    pub parent: Option<String>,
    /// Whether the caller records its spans; a run without a caller does.
    pub sampled: bool,
    /// The caller's `tracestate`.
    pub state: Option<String>,
}

impl TraceContext {
    /// The caller's trace; without one, the run's own, which is the same in each process that drives the run.
    #[must_use]
    pub fn of(environment: &Environment, run: &RunId) -> Self {
        let text = |name: &str| environment.variable(name).and_then(|value| value.to_str());
        match text("TRACEPARENT").and_then(Self::parse) {
            Some(context) => {
                let state = text("TRACESTATE")
                    .filter(|state| state.len() <= STATE_LENGTH && state.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                Self { state: state.map(str::to_owned), ..context }
            }
            None => Self { trace: id::<32>(&format!("trace of run {run}")), parent: None, sampled: true, state: None },
        }
    }

    /// Reads a `traceparent` (section 3.2); nothing if it is none: a broken one begins a new trace.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let [version, trace, parent, flags, ..] = parts[..] else { return None };
        let fits = is_hex(version, 2)
            && version != "ff"
            && is_id(trace, 32)
            && is_id(parent, 16)
            && is_hex(flags, 2)
            // Later versions may add parts.
            && (version != "00" || parts.len() == 4);
        let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        fits.then(|| Self { trace: trace.to_owned(), parent: Some(parent.to_owned()), sampled, state: None })
    }

    /// The id of a span: 16 digits of hex, the same whenever the same is named.
    #[must_use]
    pub fn span_id(&self, what: &str) -> String {
        id::<16>(&format!("span of {}\n{what}", self.trace))
    }
}

fn id<const DIGITS: usize>(what: &str) -> String {
    Digest::of(what.as_bytes()).as_bytes().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All zeroes are no id.
fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn reads_what_the_recommendation_allows_and_nothing_else() {
        let read = |text: &str| TraceContext::parse(text).map(|context| (context.trace, context.parent, context.sampled));
        let known = |sampled| Some((TRACE.to_owned(), Some(PARENT.to_owned()), sampled));
        assert_eq!(read(&format!("00-{TRACE}-{PARENT}-01")), known(true));
        assert_eq!(read(&format!("00-{TRACE}-{PARENT}-02")), known(false));
        assert_eq!(read(&format!("cc-{TRACE}-{PARENT}-01-what-comes-later")), known(true));
        for wrong in [
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-1"),
            String::new(),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_run_without_a_caller_has_one_trace_in_all_its_processes() {
        let run = RunId::new("20261122-014502-k3fd").expect("an id");
        let own = TraceContext::of(&Environment::default(), &run);
        assert_eq!(own, TraceContext::of(&Environment::with_variables(&[("TRACEPARENT", "nonsense")]), &run));
        assert!(is_id(&own.trace, 32) && own.parent.is_none() && own.sampled);
        let parent = format!("00-{TRACE}-{PARENT}-01");
        let called = TraceContext::of(&Environment::with_variables(&[("TRACEPARENT", &parent), ("TRACESTATE", "vendor=1")]), &run);
        assert_eq!((called.trace.as_str(), called.state.as_deref()), (TRACE, Some("vendor=1")));
        assert!(is_id(&called.span_id("copy"), 16) && called.span_id("copy") != called.span_id("retire"));
    }
}
