//! What can come next on a command line: the shells ask `cutover __complete` whenever somebody presses Tab.
//!
//! The commands and options are those of the help; ids of runs, steps and changes come from the state folder. Pure: what the
//! state folder holds is asked through [`Lookup`].

mod script;

use clap::{Arg, Command, CommandFactory as _};

pub use self::script::{Shell, script};
use crate::args::Cli;

/// The most candidates of one sort: nobody reads more.
const CANDIDATES_MAX: usize = 500;

/// Something that can stand at the place of the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub word: String,
    /// What it is, in one line; may be empty.
    pub help: String,
}

/// What of the world can be named on a command line. Nothing is an error here: who cannot be asked has no candidates.
pub trait Lookup {
    /// The ids of the runs, newest first.
    fn runs(&self) -> Vec<String>;
    /// The ids of a run's steps.
    fn steps(&self, run: &str) -> Vec<String>;
    /// The names of a run's changes.
    fn changes(&self, run: &str) -> Vec<String>;
    /// The codes that can be explained, with their titles.
    fn codes(&self) -> Vec<(String, String)>;
}

/// The candidates for the last of `words`, which may be empty; the program's name is none of them. None means that a file is
/// wanted, or something that nobody can know.
#[must_use]
pub fn candidates(words: &[String], lookup: &dyn Lookup) -> Vec<Candidate> {
    let mut root = Cli::command();
    root.build();
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let line = Line::read(&root, before);
    let found = match (&line.open, current.split_once('=')) {
        (Some(option), _) => values(option, &line, lookup),
        (None, Some((name, _))) if name.starts_with("--") && !line.only_values => {
            let options = line.command.get_arguments().find(|arg| arg.get_long() == name.strip_prefix("--"));
            let found = options.map(|option| values(option, &line, lookup)).unwrap_or_default();
            found.into_iter().map(|one| Candidate { word: format!("{name}={}", one.word), ..one }).collect()
        }
        (None, _) if current.starts_with('-') && !line.only_values => options(line.command),
        (None, _) => {
            // A command comes before everything else that is typed for the one above it.
            let mut found = if line.positionals.is_empty() { subcommands(line.command) } else { Vec::new() };
            found.extend(line.next_positional().map(|arg| values(arg, &line, lookup)).unwrap_or_default());
            found
        }
    };
    found.into_iter().filter(|one| one.word.starts_with(current.as_str())).take(CANDIDATES_MAX).collect()
}

/// Joins the words that bash takes apart at `=` and `:`; gives how much of the last one bash has already.
#[must_use]
pub fn joined(words: &[String]) -> (Vec<String>, usize) {
    let mut out: Vec<String> = Vec::new();
    let mut kept = 0;
    let mut joins = false;
    for word in words {
        let is_break = matches!(word.as_str(), "=" | ":" | "::");
        match out.last_mut() {
            Some(last) if is_break || joins => {
                kept = last.len() + if is_break { word.len() } else { 0 };
                last.push_str(word);
            }
            _ => {
                kept = 0;
                out.push(word.clone());
            }
        }
        joins = is_break;
    }
    (out, kept)
}

/// What was typed before the cursor.
struct Line<'c> {
    command: &'c Command,
    /// An option that waits for its value.
    open: Option<&'c Arg>,
    /// What was typed for the arguments of the command.
    positionals: Vec<&'c str>,
    /// `--` was typed.
    only_values: bool,
}

impl<'c> Line<'c> {
    fn read(root: &'c Command, words: &'c [String]) -> Self {
        let mut line = Self { command: root, open: None, positionals: Vec::new(), only_values: false };
        for word in words {
            if line.open.take().is_some() {
                continue;
            }
            if !line.only_values && word == "--" {
                line.only_values = true;
            } else if !line.only_values && word.len() > 1 && word.starts_with('-') {
                line.open = line.option(word).filter(|option| option.get_action().takes_values());
            } else if let Some(command) = line.command.find_subcommand(word).filter(|_| line.positionals.is_empty()) {
                line.command = command;
            } else {
                line.positionals.push(word);
            }
        }
        line
    }

    /// The option of a word that does not have its value with it.
    fn option(&self, word: &str) -> Option<&'c Arg> {
        let mut arguments = self.command.get_arguments();
        match word.strip_prefix("--") {
            Some(name) => arguments.find(|arg| arg.get_long() == Some(name)),
            None => arguments.find(|arg| arg.get_short().is_some_and(|short| word == format!("-{short}"))),
        }
    }

    fn next_positional(&self) -> Option<&'c Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().collect();
        let last = all.last().copied().filter(|arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1));
        all.get(self.positionals.len()).copied().or(last)
    }

    /// The run that was named, or the last one.
    fn run(&self) -> &'c str {
        let place = self.command.get_positionals().position(|arg| value_name(arg) == "RUN");
        place.and_then(|place| self.positionals.get(place).copied()).unwrap_or("last")
    }
}

fn subcommands(command: &Command) -> Vec<Candidate> {
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    visible.map(|command| Candidate { word: command.get_name().to_owned(), help: first_line(command.get_about()) }).collect()
}

fn options(command: &Command) -> Vec<Candidate> {
    let visible = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let long = visible.filter_map(|arg| Some((arg.get_long()?, arg)));
    long.map(|(name, arg)| Candidate { word: format!("--{name}"), help: first_line(arg.get_help()) }).collect()
}

fn values(arg: &Arg, line: &Line<'_>, lookup: &dyn Lookup) -> Vec<Candidate> {
    let plain = |word: String| Candidate { word, help: String::new() };
    match value_name(arg) {
        "RUN" => {
            let runs = lookup.runs();
            let last = runs.first().map(|run| Candidate { word: "last".to_owned(), help: run.clone() });
            last.into_iter().chain(runs.into_iter().map(plain)).collect()
        }
        "STEP" => lookup.steps(line.run()).into_iter().map(plain).collect(),
        "CHANGE" => lookup.changes(line.run()).into_iter().map(plain).collect(),
        "CODE" => lookup.codes().into_iter().map(|(word, help)| Candidate { word, help }).collect(),
        _ => {
            let known = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
            known.map(|value| Candidate { word: value.get_name().to_owned(), help: first_line(value.get_help()) }).collect()
        }
    }
}

fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str())
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct State;

    impl Lookup for State {
        fn runs(&self) -> Vec<String> {
            vec!["20261122-1-new".to_owned(), "20261121-1-old".to_owned()]
        }

        fn steps(&self, run: &str) -> Vec<String> {
            vec![format!("copy-of-{run}"), format!("retire-of-{run}")]
        }

        fn changes(&self, run: &str) -> Vec<String> {
            vec![format!("copy/target:{run}")]
        }

        fn codes(&self) -> Vec<(String, String)> {
            vec![("CUT0104".to_owned(), "unknown key".to_owned())]
        }
    }

    /// The candidates for a line whose end is the cursor.
    fn after(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&words, &State).into_iter().map(|one| one.word).collect()
    }

    #[test]
    fn commands_and_options_are_those_of_the_help() {
        assert_eq!(after("ru"), ["run", "runs"]);
        assert_eq!(after("runs "), ["list", "show", "pre-image", "watch", "logs", "metrics"]);
        assert_eq!(after("runs logs --fo"), ["--follow"]);
        assert_eq!(after("run w.toml --max"), ["--max-wait"]);
        assert!(after("").iter().all(|word| !word.starts_with("__")));
        assert_eq!(after("no-such-command-here x "), [] as [&str; 0]);
    }

    #[test]
    fn values_are_those_that_are_there() {
        assert_eq!(after("runs show "), ["last", "20261122-1-new", "20261121-1-old"]);
        assert_eq!(after("resume 20261121"), ["20261121-1-old"]);
        assert_eq!(after("runs logs 7f3a --step co"), ["copy-of-7f3a"]);
        assert_eq!(after("runs logs --step "), ["copy-of-last", "retire-of-last"]);
        assert_eq!(after("rollback 7f3a --over "), ["copy/target:7f3a"]);
        assert_eq!(after("runs pre-image 7f3a "), ["copy/target:7f3a"]);
        assert_eq!(after("explain C"), ["CUT0104"]);
        assert_eq!(after("--progress pl"), ["plain"]);
        assert_eq!(after("runs list --output=js"), ["--output=json", "--output=jsonl"]);
        assert_eq!(after("completions z"), ["zsh"]);
    }

    #[test]
    fn a_file_is_left_to_the_shell() {
        for line in ["plan w", "run --metrics ", "validate a.toml ", "run -- -"] {
            assert_eq!(after(line), [] as [&str; 0], "{line}");
        }
    }

    #[test]
    fn words_that_bash_took_apart_are_joined() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(joined(&words("runs list --output = js")), (words("runs list --output=js"), 9));
        assert_eq!(joined(&words("rollback x --over copy/target : a")), (words("rollback x --over copy/target:a"), 12));
        assert_eq!(joined(&words("runs sh")), (words("runs sh"), 0));
        assert_eq!(joined(&words("x --output =")), (words("x --output="), 9));
    }
}
