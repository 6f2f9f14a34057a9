//! The global options as meant: flag before variable before default.

mod origin;

use std::path::PathBuf;

pub use origin::{Origin, Setting};

use clap::ValueEnum as _;

use crate::{
    args::{ColorWhen, GlobalArgs, LogFormat, Output, ProgressStyle},
    environment::Environment,
    error::{CommandError, code},
};

/// What every command may need to know.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct Settings {
    /// Where runs are kept.
    pub state: PathBuf,
    /// Folders with plugins that the operator named, first one first.
    pub plugin_path: Vec<PathBuf>,
    /// The form of the answer.
    pub output: Output,
    /// Where events go besides.
    pub events: Option<PathBuf>,
    /// How a run under way is shown; never `Auto`.
    pub progress: ProgressStyle,
    /// Only errors on stderr.
    pub quiet: bool,
    /// 0, 1 or 2.
    pub verbosity: u8,
    /// The form of the log.
    pub log_format: LogFormat,
    /// Where the key of the state folder comes from; none means its key file.
    pub key: Option<KeySource>,
    /// Whether a person can be asked.
    pub asks: bool,
    /// Whether stdout gets ANSI styles.
    pub styles_output: bool,
    /// Whether stderr gets ANSI styles.
    pub styles_error: bool,
    /// All of the above as people look at it.
    pub list: Vec<Setting>,
}

/// `env:NAME`, `file:PATH` or `exec:COMMAND`: where a secret is, never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource(String);

impl KeySource {
    /// Checks the form. The error does not repeat the text: somebody may have given the key itself.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        match text.split_once(':') {
            Some(("env" | "file" | "exec", rest)) if !rest.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(CommandError::usage(code::SETTING, "the key must be given as `env:NAME`, `file:PATH` or `exec:COMMAND`")
                .hint("a secret is never an argument: other users of the machine can read it there")),
        }
    }

    /// The source as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Settings {
    /// Joins arguments and variables.
    pub fn resolve(args: &GlobalArgs, environment: &Environment) -> Result<Self, CommandError> {
        let variable_path = environment.variable("CUTOVER_PLUGIN_PATH").map(|value| std::env::split_paths(value).collect::<Vec<_>>());
        let key = match (&args.key, environment.variable("CUTOVER_KEY")) {
            (Some(text), _) => Some(KeySource::parse(text)?),
            (None, Some(value)) => Some(KeySource::parse(&value.to_string_lossy())?),
            (None, None) => None,
        };
        let log_format = match (args.log_format, environment.variable("CUTOVER_LOG_FORMAT")) {
            (Some(format), _) => format,
            (None, Some(value)) => LogFormat::from_str(&value.to_string_lossy(), false).map_err(|_| {
                CommandError::usage(code::SETTING, "CUTOVER_LOG_FORMAT is neither `text` nor `json`")
                    .hint("set it to one of the two, or unset it")
            })?,
            (None, None) => LogFormat::default(),
        };
        let mut settings = Self {
            state: args
                .state
                .clone()
                .or_else(|| environment.variable("CUTOVER_STATE").map(PathBuf::from))
                .unwrap_or_else(|| ".cutover".into()),
            plugin_path: args.plugin_path.iter().cloned().chain(variable_path.into_iter().flatten()).collect(),
            output: args.output,
            events: args.events.clone(),
            progress: progress(args, environment),
            quiet: args.quiet,
            verbosity: args.verbose.min(2),
            log_format,
            key,
            asks: !args.no_input && environment.terminals.input && environment.terminals.error,
            styles_output: styles(args.color, environment, environment.terminals.output),
            styles_error: styles(args.color, environment, environment.terminals.error),
            list: Vec::new(),
        };
        settings.list = origin::list(&settings, args, environment);
        Ok(settings)
    }
}

/// Whether a stream gets ANSI styles. The conventions of no-color.org and bixense.com/clicolors; logs of CI systems stay free of escapes unless forced.
pub(crate) fn styles(when: ColorWhen, environment: &Environment, terminal: bool) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => match deciding_variable(environment) {
            Some("CLICOLOR_FORCE") => true,
            Some(_) => false,
            None => terminal,
        },
    }
}

/// The variable that decides about colour, if one does: `CLICOLOR_FORCE` for it, any other against it.
fn deciding_variable(environment: &Environment) -> Option<&'static str> {
    let is_set = |name: &str| environment.variable(name).is_some();
    let says = |name: &str, text: &str| environment.variable(name).is_some_and(|value| value == text);
    let decides = [
        ("NO_COLOR", is_set("NO_COLOR")),
        ("CLICOLOR_FORCE", is_set("CLICOLOR_FORCE") && !says("CLICOLOR_FORCE", "0")),
        ("CI", is_set("CI")),
        ("CLICOLOR", says("CLICOLOR", "0")),
        ("TERM", says("TERM", "dumb")),
    ];
    decides.into_iter().find(|(_, decides)| *decides).map(|(name, _)| name)
}

fn progress(args: &GlobalArgs, environment: &Environment) -> ProgressStyle {
    let moving = environment.terminals.error
        && environment.variable("CI").is_none()
        && environment.variable("TERM").is_none_or(|term| term != "dumb");
    match args.progress {
        _ if args.quiet => ProgressStyle::None,
        ProgressStyle::Auto | ProgressStyle::Live if moving => ProgressStyle::Live,
        ProgressStyle::Auto | ProgressStyle::Live => ProgressStyle::Plain,
        chosen => chosen,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{args::Cli, environment::Terminals};

    fn resolve(args: &[&str], variables: &[(&str, &str)], terminal: bool) -> Result<Settings, CommandError> {
        let cli = Cli::try_parse_from(std::iter::once("cutover").chain(args.iter().copied())).expect("arguments parse");
        let mut environment = Environment::with_variables(variables);
        environment.terminals = Terminals { input: terminal, output: terminal, error: terminal };
        Settings::resolve(&cli.global, &environment)
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_default() {
        let variables = [("CUTOVER_STATE", "/var/state"), ("CUTOVER_PLUGIN_PATH", "/a:/b")];
        assert_eq!(resolve(&[], &[], false).expect("settings").state, PathBuf::from(".cutover"));
        assert_eq!(resolve(&[], &variables, false).expect("settings").state, PathBuf::from("/var/state"));
        let settings = resolve(&["--state", "here", "--plugin-path", "/c"], &variables, false).expect("settings");
        assert_eq!(settings.state, PathBuf::from("here"));
        assert_eq!(settings.plugin_path, ["/c", "/a", "/b"].map(PathBuf::from));
    }

    #[test]
    fn every_setting_says_where_it_comes_from() {
        let variables = [("CUTOVER_STATE", "/var/state"), ("CUTOVER_PLUGIN_PATH", "/a"), ("CUTOVER_KEY", "env:K"), ("CI", "1")];
        let settings = resolve(&["--plugin-path", "/c", "-o", "json", "--no-input"], &variables, true).expect("settings");
        let shown: Vec<String> =
            settings.list.iter().map(|setting| format!("{} {} {}", setting.name, setting.value, setting.origin)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        state "/var/state" variable CUTOVER_STATE
        plugin-path "/c" option --plugin-path
        plugin-path "/a" variable CUTOVER_PLUGIN_PATH
        output "json" option --output
        events null default
        color false variable CI
        progress "plain" variable CI
        quiet false default
        verbose 0 default
        log-format "text" default
        key "env:K" variable CUTOVER_KEY
        input false option --no-input
        "#);
    }

    #[test]
    fn colour_follows_the_conventions() {
        let styled =
            |args: &[&str], variables: &[(&str, &str)], terminal| resolve(args, variables, terminal).expect("settings").styles_output;
        assert!(styled(&[], &[], true));
        assert!(!styled(&[], &[], false));
        for off in [("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
            assert!(!styled(&[], &[off], true), "{off:?}");
        }
        assert!(styled(&[], &[("CLICOLOR_FORCE", "1"), ("CI", "1")], false));
        assert!(!styled(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        assert!(styled(&[], &[("NO_COLOR", "")], true));
        assert!(styled(&["--color", "always"], &[("NO_COLOR", "1")], false));
        assert!(!styled(&["--color", "never"], &[("CLICOLOR_FORCE", "1")], true));
    }

    #[test]
    fn nothing_moves_off_a_terminal_even_if_asked() {
        let style = |args: &[&str], terminal| resolve(args, &[], terminal).expect("settings").progress;
        assert_eq!(style(&[], true), ProgressStyle::Live);
        assert_eq!(style(&[], false), ProgressStyle::Plain);
        assert_eq!(style(&["--progress", "live"], false), ProgressStyle::Plain);
        assert_eq!(style(&["--progress", "none"], true), ProgressStyle::None);
        assert_eq!(style(&["-q"], true), ProgressStyle::None);
    }

    #[test]
    fn a_key_in_clear_is_refused_without_being_repeated() {
        for (args, variables) in [(&["--key", "hvs.canary-canary"][..], &[][..]), (&[], &[("CUTOVER_KEY", "hvs.canary-canary")])] {
            let error = resolve(args, variables, false).expect_err("no source");
            assert!(!format!("{error:?}{}", error.text()).contains("canary"), "{error:?}");
        }
        assert_eq!(resolve(&["--key", "exec:pass show x"], &[], false).expect("settings").key, Some(KeySource("exec:pass show x".into())));
    }

    #[test]
    fn nobody_is_asked_without_a_terminal_or_against_their_will() {
        assert!(resolve(&[], &[], true).expect("settings").asks);
        assert!(!resolve(&["--no-input"], &[], true).expect("settings").asks);
        assert!(!resolve(&[], &[], false).expect("settings").asks);
    }
}
