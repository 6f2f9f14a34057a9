//! `cutover` without a command: the workflows of this folder and the last runs.

use std::{fmt::Write as _, path::Path};

use serde::Serialize;

use super::runs;
use crate::{
    error::Outcome,
    exit_code::ExitCode,
    host,
    program::Program,
    report::{palette, table::Table},
    source_file::BYTES_MAX,
};

/// Lists what is here and says the next command.
pub(super) fn perform(program: &mut Program) -> Outcome {
    let workflows = workflows(&program.environment.folder);
    let host = host::looking(program)?;
    let runs = host.as_ref().map_or_else(|| Ok(Vec::new()), |host| runs::entries(host, RUNS))?;
    program.console.answer(&text(&workflows, &runs))?;
    program.console.document(&Document { workflows: &workflows, runs: &runs, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

/// How many of the last runs are listed.
const RUNS: usize = 5;

#[derive(Serialize)]
struct Document<'a> {
    workflows: &'a [Entry],
    runs: &'a [runs::Entry],
    exit: ExitCode,
}

/// A file that is meant to be a workflow.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// Its name in the folder.
    pub(super) file: String,
    /// What it calls itself; nothing if it cannot be read as TOML.
    pub(super) name: Option<String>,
}

/// The files of a folder that end in `.toml` and have the key `cutover` at the top, by name.
pub(super) fn workflows(folder: &Path) -> Vec<Entry> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<Entry> = entries.filter_map(|entry| workflow(&entry)).collect();
    found.sort_by(|left, right| left.file.cmp(&right.file));
    found
}

fn workflow(entry: &std::fs::DirEntry) -> Option<Entry> {
    let file = entry.file_name().into_string().ok().filter(|name| Path::new(name).extension().is_some_and(|end| end == "toml"))?;
    std::fs::metadata(entry.path()).ok().filter(|metadata| metadata.is_file() && metadata.len() <= BYTES_MAX)?;
    let text = std::fs::read_to_string(entry.path()).ok()?;
    match text.parse::<toml::Table>() {
        Ok(table) => {
            table.contains_key("cutover").then(|| Entry { file, name: table.get("name").and_then(toml::Value::as_str).map(str::to_owned) })
        }
        // A workflow with a mistake is still one: `validate` says what is wrong.
        Err(_) => has_edition(&text).then_some(Entry { file, name: None }),
    }
}

fn has_edition(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().strip_prefix("cutover").is_some_and(|rest| rest.trim_start().starts_with('=')))
}

fn text(workflows: &[Entry], runs: &[runs::Entry]) -> String {
    let strong = palette::STRONG;
    let last = if runs.is_empty() { String::new() } else { format!("{strong}Last runs{strong:#}\n{}", runs::table(runs, 2)) };
    let Some(first) = workflows.first() else {
        return format!("No workflow in this folder.\n{last}{strong}Next{strong:#}  cutover init\n");
    };
    let mut table = Table::new(&[]).indented(2);
    for entry in workflows {
        table.row([entry.file.as_str(), entry.name.as_deref().unwrap_or("(has mistakes: cutover validate)")]);
    }
    let mut out = format!("{strong}Workflows{strong:#}\n{}", table.text());
    out.push_str(&last);
    let next = if first.name.is_some() { "plan" } else { "validate" };
    let _ = writeln!(out, "{strong}Next{strong:#}  cutover {next} {}", crate::report::printable::line(&first.file));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workflows_are_listed_also_those_with_mistakes() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("pay.toml", "cutover = 1\nname = \"payments\"\n"),
            ("bad.toml", "cutover = 1\nname = \n"),
            ("Cargo.toml", "[package]\nname = \"cutover\"\n"),
            ("notes.txt", "cutover = 1\n"),
        ] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        std::fs::create_dir(folder.path().join("dir.toml")).expect("a folder");
        let found = workflows(folder.path());
        assert_eq!(
            found,
            [Entry { file: "bad.toml".into(), name: None }, Entry { file: "pay.toml".into(), name: Some("payments".into()) }]
        );
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&found, &[])), @r"
        Workflows
          bad.toml  (has mistakes: cutover validate)
          pay.toml  payments
        Next  cutover validate bad.toml
        ");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&[], &[])), @r"
        No workflow in this folder.
        Next  cutover init
        ");
    }
}
