//! Problems as SARIF 2.1.0 (OASIS), which code hosts read as code scanning.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::diagnostics::{self, Checked, Entry};
use crate::page::Page;

/// One run with a rule for each code that occurs.
#[must_use]
pub fn text(files: &[Checked<'_>]) -> String {
    let entries = diagnostics::entries(files);
    let codes: BTreeSet<&str> = entries.iter().map(|entry| entry.code.as_str()).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "cutover",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": entries.iter().map(|entry| result(entry, &codes)).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_string_pretty(&log).expect("a log has string keys only") + "\n"
}

fn rule(code: &str) -> Value {
    let mut rule = json!({"id": code});
    if let Some(page) = Page::find(code) {
        rule["shortDescription"] = json!({"text": page.title()});
        rule["help"] = json!({"text": format!("cutover explain {code}"), "markdown": page.text});
    }
    rule
}

fn result(entry: &Entry, codes: &[&str]) -> Value {
    let help = entry.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let mut location = json!({"artifactLocation": {"uri": uri(&entry.file)}});
    if let Some(line) = entry.line {
        location["region"] =
            json!({"startLine": line, "startColumn": entry.column, "endLine": entry.end_line, "endColumn": entry.end_column});
    }
    json!({
        "ruleId": entry.code,
        "ruleIndex": codes.iter().position(|code| *code == entry.code),
        "level": entry.severity,
        "message": {"text": format!("{}{help}", entry.message)},
        "locations": [{"physicalLocation": location}],
    })
}

/// A path as a URI reference (RFC 3986): relative as it was written, or `file:`.
fn uri(file: &str) -> String {
    let mut out = String::from(if Path::new(file).is_absolute() { "file://" } else { "" });
    for byte in file.strip_prefix("./").unwrap_or(file).bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::diagnostics::Problem;

    #[test]
    fn a_problem_is_a_result_with_a_rule() {
        let problems = [
            Problem {
                code: "CUT0104".into(),
                is_error: true,
                message: "unknown key `uess`".into(),
                place: Some(12..16),
                help: Some("did you mean `uses`?".into()),
                conceals: false,
            },
            Problem { code: "CUT6011".into(), is_error: true, message: "gone".into(), place: None, help: None, conceals: false },
        ];
        let text = text(&[Checked { file: "./a b.toml", source: "cutover = 1\nuess = 1\n", problems: &problems }]);
        let log: Value = serde_json::from_str(&text).expect("JSON");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["shortDescription"]["text"], "unknown key");
        assert_eq!(run["results"][1]["locations"][0]["physicalLocation"].get("region"), None);
        assert_eq!(
            run["results"][0],
            json!({
                "ruleId": "CUT0104",
                "ruleIndex": 0,
                "level": "error",
                "message": {"text": "unknown key `uess`\nhelp: did you mean `uses`?"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": "a%20b.toml"},
                    "region": {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 5}
                }}],
            })
        );
    }

    #[test]
    fn no_problem_is_a_log_without_results() {
        let log: Value = serde_json::from_str(&text(&[])).expect("JSON");
        assert_eq!((&log["version"], &log["runs"][0]["results"]), (&json!("2.1.0"), &json!([])));
        assert_eq!(uri("/srv/ä.toml"), "file:///srv/%C3%A4.toml");
    }
}
