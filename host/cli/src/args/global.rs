//! Options that every command takes.

#![expect(clippy::doc_markdown, reason = "the comments are help text, read on a terminal")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::form::Output;

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Folder in which runs are kept [env: CUTOVER_STATE] [default: .cutover]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Folder with plugins; can be repeated [env: CUTOVER_PLUGIN_PATH]
    ///
    /// Searched in this order: these folders, those of the variable, the folder of the program, lib/cutover/plugins
    /// of the archive that it was unpacked from, target/plugins of the checkout that it was built in, and the program
    /// itself if it was installed by cargo.
    #[arg(long, global = true, value_name = "DIR")]
    pub plugin_path: Vec<PathBuf>,
    /// Form of the answer on stdout. json and jsonl are valid on every way out, failures included
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Also write every event of the run to this file as JSON Lines, the version of the format first
    #[arg(long, global = true, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// When to use colour [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN")]
    pub color: ColorWhen,
    /// How to show a run under way
    #[arg(long, global = true, value_enum, default_value_t = ProgressStyle::Auto, value_name = "STYLE")]
    pub progress: ProgressStyle,
    /// Only the answer and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More about what happens inside; twice for all of it [env: RUST_LOG]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Form of the log on stderr [env: CUTOVER_LOG_FORMAT] [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub log_format: Option<LogFormat>,
    /// Where the key of the state folder comes from: env:NAME, file:PATH or exec:COMMAND [env: CUTOVER_KEY]
    ///
    /// Without it a key file is made in the state folder, readable by you alone.
    #[arg(long, global = true, value_name = "SOURCE")]
    pub key: Option<String>,
    /// Never ask; what would have been asked fails
    #[arg(long, global = true)]
    pub no_input: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless a variable says otherwise
    Auto,
    /// Also in files and pipes
    Always,
    /// Not at all
    Never,
}

/// How to show a run under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// live on a terminal, plain elsewhere
    Auto,
    /// Bars that move; plain where there is no terminal
    Live,
    /// One line whenever a step moves on
    Plain,
    /// Nothing
    None,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// An object a line, with run, step, change and trace where they are known
    Json,
}

/// What was asked for, read from arguments that did not parse: help and usage errors must have the right form too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessedForm {
    /// `-o`.
    pub output: Output,
    /// `--color`.
    pub color: ColorWhen,
}

impl GuessedForm {
    /// Looks for the last of each option before `--`.
    #[must_use]
    pub fn of(args: &[std::ffi::OsString]) -> Self {
        let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap_or_default()).take_while(|word| *word != "--").collect();
        Self {
            output: last(&words, &["--output", "-o"]).unwrap_or(Output::Text),
            color: last(&words, &["--color"]).unwrap_or(ColorWhen::Auto),
        }
    }
}

fn last<T: ValueEnum>(words: &[&str], names: &[&str]) -> Option<T> {
    let value = |index: usize, word: &str| {
        names.iter().find_map(|name| match word.strip_prefix(name)? {
            "" => words.get(index + 1).copied().map(str::to_owned),
            rest if rest.starts_with('=') || !name.starts_with("--") => Some(rest.trim_start_matches('=').to_owned()),
            _ => None,
        })
    };
    words.iter().enumerate().rev().find_map(|(index, word)| T::from_str(&value(index, word)?, false).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_form_in_arguments_that_do_not_parse() {
        let guess = |words: &str| GuessedForm::of(&words.split(' ').map(Into::into).collect::<Vec<_>>()).output;
        assert_eq!(guess("cutover plna -o json"), Output::Json);
        assert_eq!(guess("cutover --output=jsonl --bad"), Output::Jsonl);
        assert_eq!(guess("cutover -ojson -o text x"), Output::Text);
        assert_eq!(guess("cutover -o=json"), Output::Json);
        assert_eq!(guess("cutover run -- -o json"), Output::Text);
        assert_eq!(guess("cutover -o"), Output::Text);
        let color = |words: &str| GuessedForm::of(&words.split(' ').map(Into::into).collect::<Vec<_>>()).color;
        assert_eq!(color("cutover --color never --help"), ColorWhen::Never);
        assert_eq!(color("cutover --color=always"), ColorWhen::Always);
        assert_eq!(color("cutover --colors=always"), ColorWhen::Auto);
    }
}
