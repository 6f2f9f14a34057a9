//! The commands in a page of Markdown.

/// A fenced block that is run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// `sh`: runs as a whole and must succeed.
    Script(String),
    /// `console`: commands after `$ `, each with the output that is shown below it.
    Session(Vec<Shown>),
}

/// A command as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// As it is typed; further lines begin with `> `.
    pub(crate) command: String,
    /// Lines of output; `…` alone stands for any number of lines.
    pub(crate) output: Vec<String>,
}

/// Every fence of a page: its language and its text.
pub(crate) fn fences(page: &str) -> Vec<(String, String)> {
    let mut fences = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.trim().to_owned(), String::new())),
            (None, None) => {}
            (Some(_), Some(_)) => fences.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    fences
}

/// The blocks of a page that are run.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let run = fences(page).into_iter().filter_map(|(language, text)| match language.as_str() {
        "sh" => Some(Block::Script(text)),
        "console" => Some(Block::Session(session(&text))),
        _ => None,
    });
    run.collect()
}

fn session(text: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            shown.push(Shown { command: command.to_owned(), output: Vec::new() });
            continue;
        }
        let last = shown.last_mut().unwrap_or_else(|| panic!("a session begins with `$ `, not with `{line}`"));
        match line.strip_prefix("> ") {
            Some(more) if last.output.is_empty() => {
                last.command.push('\n');
                last.command.push_str(more);
            }
            _ => last.output.push(line.to_owned()),
        }
    }
    shown
}

#[test]
fn commands_and_their_output_are_told_apart() {
    let page = "text\n```console\n$ a \\\n> b\nout\n$ c\n```\n```toml\nx = 1\n```\n```sh\nd\n```\n";
    let shown =
        |command: &str, output: &[&str]| Shown { command: command.to_owned(), output: output.iter().map(ToString::to_string).collect() };
    let session = Block::Session(vec![shown("a \\\nb", &["out"]), shown("c", &[])]);
    assert_eq!(blocks(page), [session, Block::Script("d\n".to_owned())]);
}
