//! Metrics: what they say of runs, and that Prometheus can read them.

use std::collections::{BTreeMap, BTreeSet};

use crate::site::{GATE, Site, probed_at, server};

/// The value of each sample, by `name{labels}` without the run.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let value = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{')?;
        let labels: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|label| !label.starts_with("run=")).collect();
        Some((format!("{name}{{{}}}", labels.join(",")), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(|line| value(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect()
}

/// The rules of the text format 0.0.4, and those of `promtool check metrics` that apply to gauges.
fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |line: &str, problem: &str| problems.push(format!("{problem}: {line}"));
    let (mut seen, mut families, mut current) = (BTreeSet::new(), BTreeSet::new(), (String::new(), false, false));
    if !text.is_empty() && !text.ends_with('\n') {
        note("", "the last line does not end");
    }
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if !families.insert(name.to_owned()) {
                note(line, "a metric stands at two places");
            }
            if help.is_empty() || !help.ends_with('.') {
                note(line, "no help");
            }
            current = (name.to_owned(), true, false);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            if rest != format!("{} gauge", current.0) || !current.1 || current.2 {
                note(line, "TYPE follows HELP of the same metric, once");
            }
            current.2 = true;
        } else {
            let Some((name, rest)) = line.split_once('{') else {
                note(line, "no labels");
                continue;
            };
            let Some((labels, value)) = rest.rsplit_once("} ") else {
                note(line, "no value");
                continue;
            };
            if name != current.0 || !current.2 {
                note(line, "a sample stands below HELP and TYPE of its metric");
            }
            if !name.starts_with("cutover_") || !is_name(name) || name.ends_with("_total") || name.ends_with("_count") {
                note(line, "not the name of a gauge of ours");
            }
            if ["milliseconds", "minutes", "hours", "_ms", "percent"].iter().any(|unit| name.contains(unit)) {
                note(line, "no base unit");
            }
            let mut names: Vec<&str> = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0)).collect();
            if names.is_empty() || !names.iter().all(|name| is_name(name) && !name.starts_with("__")) {
                note(line, "a label has no name");
            }
            names.dedup();
            if names.len() != labels.matches("=\"").count() {
                note(line, "a label stands twice");
            }
            if value.parse::<f64>().is_err() {
                note(line, "no number");
            }
            if !seen.insert(line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned()) {
                note(line, "a series stands twice");
            }
        }
    }
    problems
}

#[test]
fn the_rules_find_what_breaks_them() {
    let good = "# HELP cutover_a A.\n# TYPE cutover_a gauge\ncutover_a{run=\"r\"} 1\n";
    assert_eq!(problems(good), [] as [String; 0]);
    for bad in [
        "cutover_a{run=\"r\"} 1\n".to_owned(),
        good.replace("A.", ""),
        good.replace("gauge", "counter"),
        good.replace("cutover_a", "cutover_a_ms"),
        good.replace("cutover_a", "other"),
        good.replace("} 1", "} one"),
        good.replace("{run=\"r\"}", ""),
        format!("{good}cutover_a{{run=\"r\"}} 2\n"),
        format!("{good}{good}"),
        good.trim_end().to_owned(),
    ] {
        assert_ne!(problems(&bad), [] as [String; 0], "{bad}");
    }
}

const DUAL_RUN: &str = "[dual_run]\nfrom = \"copy\"\nuntil = \"retire\"\nmax = \"72h\"";

#[test]
fn a_run_keeps_its_metrics_in_a_file_that_the_journal_agrees_with() {
    let site = Site::with(DUAL_RUN, "", "", GATE);
    site.cutover("run w.toml --yes --max-wait 1s --metrics m.prom", 13);
    let read = || std::fs::read_to_string(site.path("m.prom")).expect("metrics");
    let waiting = read();
    assert_eq!(problems(&waiting), [] as [String; 0], "{waiting}");
    let of = samples(&waiting);
    let value = |series: &str| *of.get(series).unwrap_or_else(|| panic!("no {series} in {waiting}"));
    assert!((value("cutover_changes{state=\"verified\",step=\"copy\"}") - 2.0).abs() < 1e-9);
    assert!((value("cutover_changes{state=\"planned\",step=\"retire\"}") - 1.0).abs() < 1e-9);
    assert!((value("cutover_run_state{state=\"waiting\"}") - 1.0).abs() < 1e-9);
    assert!((value("cutover_changes_verified{}") - 2.0).abs() < 1e-9);
    assert!((value("cutover_standing_credentials{}") - 1.0).abs() < 1e-9);
    assert!((value("cutover_secrets_at_source{}") - 2.0).abs() < 1e-9);
    assert!((value("cutover_overlap_limit_seconds{}") - 259_200.0).abs() < 1e-9);
    assert!(value("cutover_overlap_open_seconds{}") > 0.0);

    site.cutover("rollback last --yes --metrics m.prom", 0);
    let (file, told) = (read(), String::from_utf8(site.cutover("runs metrics last", 0).stdout).expect("UTF-8"));
    assert_eq!(file, told, "a run at rest is told the same by everybody");
    let of = samples(&file);
    for (series, wanted) in [
        ("cutover_changes{state=\"rolled-back\",step=\"copy\"}", 2.0),
        ("cutover_changes{state=\"verified\",step=\"copy\"}", 0.0),
        ("cutover_changes_rolled_back{}", 2.0),
        ("cutover_overlap_open_seconds{}", 0.0),
        ("cutover_secrets_at_source{}", 2.0),
    ] {
        assert_eq!(of.get(series), Some(&wanted), "{series} in {file}");
    }
    let names: Vec<String> =
        std::fs::read_dir(site.0.path()).expect("a folder").flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    assert!(!names.iter().any(|name| name.contains("draft")), "{names:?}");
}

#[test]
fn the_metrics_of_all_runs_stand_in_one_text() {
    let site = probed_at("", &server(1000));
    assert_eq!(String::from_utf8_lossy(&site.cutover("runs metrics", 0).stdout), "");
    site.cutover("run w.toml --yes", 0);
    let text = String::from_utf8(site.cutover("runs metrics", 0).stdout).expect("UTF-8");
    let of = samples(&text);
    assert_eq!((of.get("cutover_standing_credentials{}"), of.get("cutover_secrets_at_source{}")), (Some(&0.0), Some(&0.0)), "{text}");
    site.cutover("rollback last --yes", 0);
    site.cutover("run w.toml --yes", 0);
    let text = String::from_utf8(site.cutover("runs metrics", 0).stdout).expect("UTF-8");
    assert_eq!(problems(&text), [] as [String; 0], "{text}");
    assert_eq!(text.matches("cutover_run_info{").count(), 2, "{text}");
    let document = site.document("runs metrics", 0);
    let metrics = document["metrics"].as_array().expect("metrics");
    assert!(
        metrics.iter().all(|metric| metric["type"] == "gauge" && metric["samples"].as_array().is_some_and(|samples| !samples.is_empty()))
    );
}
