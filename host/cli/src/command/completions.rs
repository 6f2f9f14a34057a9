//! `cutover completions SHELL`, and what the script asks: `cutover __complete`.

use cutover_runtime::runs::Followed;

use crate::{
    args::{CompleteArgs, CompletionsArgs},
    completion::{self, Lookup, Shell},
    error::Outcome,
    exit_code::ExitCode,
    host,
    page::Page,
    program::Program,
    report::printable,
};

/// Prints the script.
pub(super) fn perform(program: &mut Program, args: &CompletionsArgs) -> Outcome {
    program.console.data(completion::script(args.shell))?;
    Ok(ExitCode::Done)
}

/// Prints what can come next: a word, a tab and what it is, a line each.
pub(super) fn complete(program: &mut Program, args: &CompleteArgs) -> Outcome {
    let mut words: Vec<String> = args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if args.next || words.is_empty() {
        words.push(String::new());
    }
    let (words, kept) = if args.shell == Shell::Bash { completion::joined(&words) } else { (words, 0) };
    if let Some(folder) = state(&words) {
        program.settings.state = folder.into();
    }
    let found = completion::candidates(&words, &State(program));
    // Bash has the beginning of a word that it took apart, and has no room for what it is.
    let line = |one: &completion::Candidate| {
        let word = one.word.get(kept..).unwrap_or_default();
        format!("{}\t{}\n", printable::line(word), printable::line(&one.help))
    };
    let text: String = found.iter().map(line).collect();
    program.console.data(&text)?;
    Ok(ExitCode::Done)
}

/// The value of `--state` on the line that is typed.
fn state(words: &[String]) -> Option<&str> {
    let after = |pair: &[String]| (pair[0] == "--state").then(|| pair[1].clone());
    let apart = words.windows(2).rposition(|pair| after(pair).is_some()).map(|place| words[place + 1].as_str());
    apart.or_else(|| words.iter().rev().find_map(|word| word.strip_prefix("--state="))).filter(|folder| !folder.is_empty())
}

/// What the state folder holds. Who cannot read it gets no candidates: nobody who presses Tab wants an error.
struct State<'p>(&'p Program);

impl State<'_> {
    fn followed(&self, run: &str) -> Option<Followed> {
        let host = host::looking(self.0).ok()?;
        let id = host::find_run(host.as_ref(), run, &self.0.settings.state).ok()?;
        Followed::open(&host?.state, &id).ok()
    }
}

impl Lookup for State<'_> {
    fn runs(&self) -> Vec<String> {
        let host = host::looking(self.0).ok().flatten();
        let runs = host.and_then(|host| host.state.runs().ok()).unwrap_or_default();
        runs.iter().rev().map(ToString::to_string).collect()
    }

    fn steps(&self, run: &str) -> Vec<String> {
        self.followed(run).map_or_else(Vec::new, |followed| followed.run.plan().header.steps.iter().map(|step| step.id.clone()).collect())
    }

    fn changes(&self, run: &str) -> Vec<String> {
        let names = |followed: Followed| {
            let plan = followed.run.plan();
            let numbers = (0u32..).map(cutover_engine::ChangeNo).take(plan.changes.len());
            numbers.map(|change| plan.name_of(change)).collect()
        };
        self.followed(run).map_or_else(Vec::new, names)
    }

    fn codes(&self) -> Vec<(String, String)> {
        let codes = Page::codes().map(|page| (page.code.to_owned(), page.title().to_owned()));
        let exits = ExitCode::ALL.iter().map(|code| (code.number().to_string(), code.meaning().to_owned()));
        codes.chain(exits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_the_one_of_the_line() {
        let of = |line: &str| state(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).map(str::to_owned);
        assert_eq!(of("runs show --state a b"), Some("a".to_owned()));
        assert_eq!(of("--state=c runs show"), Some("c".to_owned()));
        assert_eq!((of("runs show"), of("runs --state ")), (None, None));
    }
}
