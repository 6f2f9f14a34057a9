//! Where each setting comes from.

use std::fmt;

use serde_json::{Value, json};

use super::{Settings, deciding_variable};
use crate::{
    args::{ColorWhen, GlobalArgs, LogFormat, Output, ProgressStyle},
    environment::Environment,
};

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An option of the command line.
    Option(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// There is, or is not, a terminal.
    Terminal,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(f, "option {name}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Terminal => f.write_str("terminal"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as people look at it. The key is shown by its source, never by its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// As its option is called.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Where that comes from.
    pub origin: Origin,
}

/// Every setting, in the order of the help.
pub(super) fn list(settings: &Settings, args: &GlobalArgs, environment: &Environment) -> Vec<Setting> {
    let is_set = |name: &str| environment.variable(name).is_some();
    let option_or = |given: bool, option: &'static str, other: Origin| if given { Origin::Option(option) } else { other };
    let variable = |name: &'static str| if is_set(name) { Origin::Variable(name) } else { Origin::Default };
    let setting = |name, value, origin| Setting { name, value, origin };
    let mut out = vec![setting(
        "state",
        json!(settings.state.display().to_string()),
        option_or(args.state.is_some(), "--state", variable("CUTOVER_STATE")),
    )];
    for (index, folder) in settings.plugin_path.iter().enumerate() {
        let origin = option_or(index < args.plugin_path.len(), "--plugin-path", Origin::Variable("CUTOVER_PLUGIN_PATH"));
        out.push(setting("plugin-path", json!(folder.display().to_string()), origin));
    }
    let events = settings.events.as_ref().map(|file| file.display().to_string());
    let color = color(args.color, environment);
    let key = settings.key.as_ref().map_or("file in the state folder", |key| key.as_str());
    let progress = match (args.quiet, args.progress) {
        (true, _) => Origin::Option("--quiet"),
        (_, chosen) if chosen == settings.progress => Origin::Option("--progress"),
        _ if is_set("CI") => Origin::Variable("CI"),
        _ => Origin::Terminal,
    };
    out.extend([
        setting("output", json!(settings.output.name()), option_or(settings.output != Output::Text, "--output", Origin::Default)),
        setting("events", json!(events), option_or(events.is_some(), "--events", Origin::Default)),
        setting("color", json!(settings.styles_output), color),
        setting("progress", json!(progress_word(settings.progress)), progress),
        setting("quiet", json!(settings.quiet), option_or(settings.quiet, "--quiet", Origin::Default)),
        setting("verbose", json!(settings.verbosity), option_or(settings.verbosity > 0, "--verbose", Origin::Default)),
        setting(
            "log-format",
            json!(log_format_word(settings.log_format)),
            option_or(args.log_format.is_some(), "--log-format", variable("CUTOVER_LOG_FORMAT")),
        ),
        setting("key", json!(key), option_or(args.key.is_some(), "--key", variable("CUTOVER_KEY"))),
        setting("input", json!(settings.asks), option_or(args.no_input, "--no-input", Origin::Terminal)),
    ]);
    out
}

fn color(when: ColorWhen, environment: &Environment) -> Origin {
    match when {
        ColorWhen::Always | ColorWhen::Never => Origin::Option("--color"),
        ColorWhen::Auto => deciding_variable(environment).map_or(Origin::Terminal, Origin::Variable),
    }
}

fn log_format_word(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn progress_word(style: ProgressStyle) -> &'static str {
    match style {
        ProgressStyle::Auto => "auto",
        ProgressStyle::Live => "live",
        ProgressStyle::Plain => "plain",
        ProgressStyle::None => "none",
    }
}
