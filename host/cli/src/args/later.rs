//! What is wrong with a command line, in our own form; commands of later versions are told apart from typing errors.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{CommandError, code};

/// Commands that are designed but not built yet, as `command` or `command subcommand`.
const LATER: &[&str] = &[
    "approvals",
    "approve",
    "deps",
    "evidence",
    "plugin diff",
    "plugin docs",
    "plugin publish",
    "plugin sign",
    "report",
    "runs cancel",
    "runs pause",
    "runs resume",
    "runs retry",
    "serve",
    "test",
    "trust",
    "verify",
];

/// The error for arguments that did not parse. `words` are the arguments without the program's name.
#[must_use]
pub fn refusal(error: &clap::Error, words: &[String]) -> CommandError {
    if let Some(later) = later(error, words) {
        return CommandError::not_yet(&format!("`cutover {later}`"));
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message).replace("\n\n", "\n");
    let mut refusal = CommandError::usage(code::USAGE, message);
    let mut usage = None;
    for paragraph in paragraphs {
        if let Some(line) = paragraph.strip_prefix("Usage: ") {
            usage = line.lines().next();
        }
        for tip in paragraph.lines().filter_map(|line| line.trim().strip_prefix("tip: ")) {
            refusal = refusal.hint(tip);
        }
    }
    match usage {
        Some(usage) => refusal.hint(format!("usage: {usage}")),
        None => refusal.hint("run `cutover --help`"),
    }
}

fn later(error: &clap::Error, words: &[String]) -> Option<&'static str> {
    if !matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict) {
        return None;
    }
    let wrong = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => "",
    };
    let named: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    LATER.iter().copied().find(|later| match later.split_once(' ') {
        None => *later == wrong,
        // `plan diff A B`: clap takes `diff` for a file and complains about `A`.
        Some((group, command)) => named.windows(2).any(|pair| pair == [group, command]),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn refused(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let error = Cli::try_parse_from(std::iter::once("cutover").chain(words.iter().map(String::as_str))).expect_err("wrong");
        anstream::adapter::strip_str(&refusal(&error, &words).text()).to_string()
    }

    #[test]
    fn every_later_command_is_refused_as_such() {
        for later in LATER {
            // `plan diff A B`: two more arguments, so that it cannot be taken for a file.
            let text = refused(&format!("{later} a b"));
            assert!(text.starts_with(&format!("error[CUT6002]: `cutover {later}` is not yet supported\n")), "{text}");
        }
    }

    #[test]
    fn typing_errors_get_the_nearest_name() {
        insta::assert_snapshot!(refused("plna x.toml"), @r"
        error[CUT6001]: unrecognized subcommand 'plna'
        help: some similar subcommands exist: 'explain', 'plan'
        help: usage: cutover [OPTIONS] [COMMAND]
        ");
        insta::assert_snapshot!(refused("run x.toml --yess"), @r"
        error[CUT6001]: unexpected argument '--yess' found
        help: a similar argument exists: '--yes'
        help: usage: cutover run --yes <FILE|PLAN>
        ");
        insta::assert_snapshot!(refused("run"), @r"
        error[CUT6001]: the following required arguments were not provided:
          <FILE|PLAN>
        help: usage: cutover run <FILE|PLAN>
        ");
        insta::assert_snapshot!(refused("init --template vaults"), @r"
        error[CUT6001]: invalid value 'vaults' for '--template <TEMPLATE>'
          [possible values: files, blank, demo]
        help: run `cutover --help`
        ");
    }
}
