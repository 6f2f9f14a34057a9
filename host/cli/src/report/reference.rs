//! The reference of all commands, in Markdown for the book: made from the same definitions as the help.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// One page: the global options once, then each command with its usage, arguments, options and examples.
#[must_use]
pub fn commands(cli: &Command) -> String {
    let mut cli = cli.clone();
    cli.build();
    let mut out = String::from(super::GENERATED);
    out.push_str("# Commands\n\n");
    out.push_str(&paragraphs(&about(&cli)));
    out.push_str("\n## Options of every command\n\n");
    options(&mut out, cli.get_arguments().filter(|arg| arg.is_global_set()));
    cli.get_subcommands().filter(|command| !command.is_hide_set()).for_each(|command| section(&mut out, command, 2));
    out
}

fn section(out: &mut String, command: &Command, depth: usize) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(out, "\n{} {name}\n\n{}", "#".repeat(depth), paragraphs(&about(command)));
    let _ = writeln!(out, "```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    options(out, command.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help"));
    if let Some(examples) = command.get_after_long_help() {
        let text = examples.to_string();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  cutover")).map(str::trim).collect();
        let _ = writeln!(out, "\n```text\n{}\n```", lines.join("\n"));
    }
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.for_each(|command| section(out, command, (depth + 1).min(4)));
}

/// The long description if there is one.
fn about(command: &Command) -> String {
    command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default()
}

fn options<'a>(out: &mut String, args: impl Iterator<Item = &'a Arg>) {
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let help = help.split("\n\n").map(|part| sentence(&part.replace('\n', " "))).collect::<Vec<_>>().join(" ");
        let _ = write!(out, "- `{}`: {}", signature(arg), help);
        let values = arg.get_possible_values();
        let values: Vec<String> =
            values.iter().filter(|value| !value.is_hide_set()).map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() && arg.get_action().takes_values() {
            let _ = write!(out, " One of {}.", values.join(", "));
        }
        let defaults: Vec<String> = arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        if !defaults.is_empty() && arg.get_action().takes_values() {
            let _ = write!(out, " Default: {}.", defaults.join(", "));
        }
        out.push('\n');
    }
}

/// As it is typed: `--out <PLAN>`, `-q, --quiet`, `<FILE>`.
fn signature(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    if arg.is_positional() {
        return values;
    }
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if arg.get_action().takes_values() { format!("{names} {values}") } else { names }
}

/// Text of the help is made of paragraphs; what stands in angle brackets is no HTML.
fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|part| sentence(&part.replace('\n', " ")) + "\n").collect::<Vec<_>>().join("\n")
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_has_a_section_with_its_options_and_examples() {
        let text = commands(&Cli::command());
        assert!(text.contains("\n### cutover plan show\n"), "{text}");
        assert!(text.contains("- `--out <PLAN>`: Save the plan for `cutover run`; the name should end in .cutplan.\n"), "{text}");
        assert!(text.contains("\n## cutover demo-app\n"), "{text}");
        assert!(text.contains("Default: `2m`."), "{text}");
        assert!(!text.contains("__"), "hidden commands stay hidden");
        assert_eq!(text.matches("- `--state <DIR>`").count(), 1, "global options stand once");
    }
}
