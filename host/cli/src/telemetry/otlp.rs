//! Spans in the form in which they are exported: an `ExportTraceServiceRequest` of OTLP, as JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: ids in hex, 64-bit numbers as text, enums as numbers).

use std::collections::BTreeMap;

use cutover_engine::Timestamp;
use serde_json::{Value, json};

use super::{
    span::{Attribute, Span, SpanEvent},
    trace_context::TraceContext,
};
use crate::environment::Environment;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u32 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u32 = 2;
/// The caller's `sampled` flag; bit 8 says that bit 9, whether the parent is in another process, is known.
const SAMPLED: u32 = 0x01;
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// Who speaks: `service.name` and what `OTEL_RESOURCE_ATTRIBUTES` adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, String>);

impl Resource {
    /// As the environment names it (OpenTelemetry's specification of environment variables).
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let text = |name: &str| environment.variable(name).and_then(|value| value.to_str());
        let mut attributes: BTreeMap<String, String> = [("service.name", "cutover"), ("service.version", env!("CARGO_PKG_VERSION"))]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        let pairs = text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        attributes.extend(pairs.map(|(name, value)| (name.trim().to_owned(), decoded(value.trim()))));
        attributes.extend(text("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name.to_owned())));
        Self(attributes)
    }
}

/// One request for export.
#[must_use]
pub fn request(context: &TraceContext, resource: &Resource, spans: &[Span]) -> Value {
    let resource: Vec<Value> = resource.0.iter().map(|(name, value)| attribute(name, &Attribute::Text(value.clone()))).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "cutover", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(|one| span(context, one)).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(context: &TraceContext, span: &Span) -> Value {
    let is_remote = span.parent.is_some() && span.parent == context.parent;
    let mut out = json!({
        "traceId": context.trace,
        "spanId": span.id,
        "flags": PARENT_IS_KNOWN | if is_remote { PARENT_IS_REMOTE } else { 0 } | if context.sampled { SAMPLED } else { 0 },
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(span.began),
        "endTimeUnixNano": nanoseconds(span.ended),
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "droppedEventsCount": span.dropped_events,
        "status": span.error.as_ref().map_or_else(|| json!({}), |message| json!({"code": ERROR, "message": message})),
    });
    let more = [("parentSpanId", &span.parent), ("traceState", &context.state)];
    for (name, value) in more.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        out[name] = json!(value);
    }
    out
}

fn event(event: &SpanEvent) -> Value {
    json!({"timeUnixNano": nanoseconds(event.at), "name": event.name, "attributes": attributes(&event.attributes)})
}

fn attributes(attributes: &[(&'static str, Attribute)]) -> Vec<Value> {
    attributes.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &Attribute) -> Value {
    let value = match value {
        Attribute::Text(text) => json!({"stringValue": text}),
        Attribute::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": name, "value": value})
}

fn nanoseconds(at: Timestamp) -> String {
    (u128::from(at.0) * 1_000_000).to_string()
}

/// Percent-decodes what a variable carries (W3C Baggage); what is not encoded well stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code.filter(|_| byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("a context");
        let environment =
            Environment::with_variables(&[("OTEL_SERVICE_NAME", "mover"), ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=a%20b")]);
        let mut root = Span::new("00f067aa0ba902b7".into(), context.parent.clone(), "cutover run".into(), Timestamp(1_795_000_000_007));
        root.set("cutover.run", "r".into());
        root.count("cutover.writes");
        root.count("cutover.writes");
        root.error = Some("it failed".into());
        root.happened(SpanEvent { at: Timestamp(1_795_000_000_008), name: "hook-failed", attributes: Vec::new() });
        let request = request(&context, &Resource::of(&environment), &[root]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&request).expect("JSON"), @r#"
        {
          "resourceSpans": [
            {
              "resource": {
                "attributes": [
                  {
                    "key": "deployment.environment",
                    "value": {
                      "stringValue": "a b"
                    }
                  },
                  {
                    "key": "service.name",
                    "value": {
                      "stringValue": "mover"
                    }
                  },
                  {
                    "key": "service.version",
                    "value": {
                      "stringValue": "0.1.0"
                    }
                  }
                ]
              },
              "scopeSpans": [
                {
                  "scope": {
                    "name": "cutover",
                    "version": "0.1.0"
                  },
                  "spans": [
                    {
                      "attributes": [
                        {
                          "key": "cutover.run",
                          "value": {
                            "stringValue": "r"
                          }
                        },
                        {
                          "key": "cutover.writes",
                          "value": {
                            "intValue": "2"
                          }
                        }
                      ],
                      "droppedEventsCount": 0,
                      "endTimeUnixNano": "1795000000007000000",
                      "events": [
                        {
                          "attributes": [],
                          "name": "hook-failed",
                          "timeUnixNano": "1795000000008000000"
                        }
                      ],
                      "flags": 769,
                      "kind": 1,
                      "name": "cutover run",
                      "parentSpanId": "b7ad6b7169203331",
                      "spanId": "00f067aa0ba902b7",
                      "startTimeUnixNano": "1795000000007000000",
                      "status": {
                        "code": 2,
                        "message": "it failed"
                      },
                      "traceId": "0af7651916cd43dd8448eb211c80319c"
                    }
                  ]
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn what_is_not_encoded_well_stays() {
        assert_eq!((decoded("a%2Cb%zz%"), decoded("%ff")), ("a,b%zz%".to_owned(), "%ff".to_owned()));
    }
}
