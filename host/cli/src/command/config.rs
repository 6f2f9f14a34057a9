//! `cutover config show`.

use serde::Serialize;
use serde_json::Value;

use crate::{
    error::Outcome,
    exit_code::ExitCode,
    program::Program,
    report::table::Table,
    settings::{Origin, Setting},
};

/// Shows each setting, with `origin` also where it comes from.
pub(super) fn show(program: &mut Program, origin: bool) -> Outcome {
    let settings = program.settings.list.clone();
    let mut table = Table::new(&[]);
    for setting in &settings {
        let from = if origin { setting.origin.to_string() } else { String::new() };
        table.row([setting.name, &word(&setting.value), &from]);
    }
    program.console.answer(&table.text())?;
    program.console.document(&Document { settings: settings.iter().map(Entry::of).collect(), exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document<'a> {
    settings: Vec<Entry<'a>>,
    exit: ExitCode,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'static str,
    value: &'a Value,
    origin: &'static str,
    /// The option or variable.
    by: Option<&'static str>,
}

impl<'a> Entry<'a> {
    fn of(setting: &'a Setting) -> Self {
        let (origin, by) = match setting.origin {
            Origin::Option(name) => ("option", Some(name)),
            Origin::Variable(name) => ("variable", Some(name)),
            Origin::Terminal => ("terminal", None),
            Origin::Default => ("default", None),
        };
        Self { name: setting.name, value: &setting.value, origin, by }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
