//! Forms of the answer: three that every command has, and some that only one or two have.

use clap::ValueEnum;

use super::{Command, ConfigCommand, PlanCommand, PluginCommand};
use crate::error::{CommandError, code};

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people; changes from version to version
    Text,
    /// One JSON object
    Json,
    /// One JSON object a line, as it happens
    Jsonl,
    /// For comments and pull requests
    #[value(hide = true)]
    Markdown,
    /// Workflow commands of GitHub Actions, which become annotations
    #[value(hide = true)]
    Github,
    /// SARIF 2.1.0, for code scanning
    #[value(hide = true)]
    Sarif,
    /// The language of Graphviz
    #[value(hide = true)]
    Dot,
    /// The language of Mermaid, which code hosts draw
    #[value(hide = true)]
    Mermaid,
    /// A drawing that needs nothing else
    #[value(hide = true)]
    Svg,
}

impl Output {
    /// As it is typed after `-o`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "markdown",
            Self::Github => "github",
            Self::Sarif => "sarif",
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::Svg => "svg",
        }
    }

    /// Refuses a form that the command does not have.
    pub fn check(self, command: Option<&Command>) -> Result<(), CommandError> {
        let own = own_forms(command);
        if matches!(self, Self::Text | Self::Json | Self::Jsonl) || own.contains(&self) {
            return Ok(());
        }
        let forms: Vec<&str> = [Self::Text, Self::Json, Self::Jsonl].iter().chain(own).map(|form| form.name()).collect();
        Err(CommandError::usage(code::USAGE, format!("this command has no form `{}`", self.name()))
            .hint(format!("it has {}", forms.join(", "))))
    }
}

/// The forms that a command has besides text, json and jsonl.
fn own_forms(command: Option<&Command>) -> &'static [Output] {
    match command {
        Some(Command::Validate(_)) => &[Output::Github, Output::Sarif],
        Some(Command::Graph(_)) => &[Output::Dot, Output::Mermaid, Output::Svg],
        Some(Command::Plan(plan)) => match plan.command {
            None | Some(PlanCommand::Show { .. } | PlanCommand::Diff { .. }) => &[Output::Markdown],
        },
        Some(Command::Config(config)) => match config.command {
            ConfigCommand::Show { .. } => &[],
        },
        Some(Command::Man(_) | Command::Schema(_)) => &[Output::Markdown],
        Some(Command::Plugin(plugin)) => match plugin.command {
            PluginCommand::Inspect { .. } => &[Output::Markdown],
            _ => &[],
        },
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    fn check(line: &str) -> Result<(), String> {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("arguments parse");
        let refused = cli.global.output.check(cli.command.as_ref());
        refused.map_err(|error| anstream::adapter::strip_str(&error.text()).to_string())
    }

    #[test]
    fn each_form_is_for_the_commands_that_have_it() {
        for line in [
            "validate a -o sarif",
            "validate a -o github",
            "graph a -o svg",
            "plan a -o markdown",
            "plan show a -o markdown",
            "plugin inspect a -o markdown",
            "man -o markdown",
            "runs list -o jsonl",
        ] {
            assert_eq!(check(&format!("cutover {line}")), Ok(()), "{line}");
        }
        insta::assert_snapshot!(check("cutover plan a -o sarif").expect_err("refused"), @r"
        error[CUT6001]: this command has no form `sarif`
        help: it has text, json, jsonl, markdown
        ");
        assert!(
            check("cutover plugin build -o markdown").is_err()
                && check("cutover -o svg").is_err()
                && check("cutover runs list -o dot").is_err()
        );
    }
}
