//! `cutover explain CODE`.

use serde::Serialize;

use crate::{
    args::ExplainArgs,
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    page::Page,
    program::Program,
    report::{page, table::Table},
};

/// Shows the page of a code, or one of the two lists.
pub(super) fn perform(program: &mut Program, args: &ExplainArgs) -> Outcome {
    match args.code.as_deref() {
        None => list(program, Page::codes().map(|page| Entry { code: page.code.to_owned(), title: page.title() }).collect(), "CUT0104"),
        Some("exit-codes") => {
            let entry = |code: &ExitCode| Entry { code: code.number().to_string(), title: code.meaning() };
            list(program, ExitCode::ALL.iter().map(entry).collect(), "11")
        }
        Some(word) => show(program, Page::find(word).ok_or_else(|| unknown(word))?),
    }
}

#[derive(Serialize)]
struct Entry {
    code: String,
    title: &'static str,
}

#[derive(Serialize)]
struct List {
    codes: Vec<Entry>,
    exit: ExitCode,
}

#[derive(Serialize)]
struct Shown {
    code: &'static str,
    title: &'static str,
    page: &'static str,
    exit: ExitCode,
}

fn list(program: &mut Program, codes: Vec<Entry>, example: &str) -> Outcome {
    let mut table = Table::new(&[]);
    for entry in &codes {
        table.row([entry.code.as_str(), entry.title]);
    }
    program.console.answer(&table.text())?;
    program.console.note(&format!("Next  cutover explain {example}"));
    program.console.document(&List { codes, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

fn show(program: &mut Program, page: Page) -> Outcome {
    program.console.answer(&page::text(page))?;
    program.console.document(&Shown { code: page.code, title: page.title(), page: page.text, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

fn unknown(word: &str) -> CommandError {
    let refusal = CommandError::usage(code::USAGE, format!("there is no page about `{word}`"));
    let near = Page::nearest(word);
    let refusal = near.iter().fold(refusal, |refusal, page| refusal.hint(format!("there is `{}`: {}", page.code, page.title())));
    refusal.hint("`cutover explain` lists all codes, `cutover explain exit-codes` the exit codes")
}
