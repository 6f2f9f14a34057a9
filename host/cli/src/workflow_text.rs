//! The text of a workflow, formatted: what a reader skips becomes regular, everything else stays.
//!
//! One blank line before a header and at most one elsewhere, one space around `=`, none at the ends of lines, arrays and
//! inline tables with one space after commas. Columns of `=` that line up already stay lined up.

use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, RawString, Table, Value};

/// Spaces for each level of an array over several lines.
const INDENT: usize = 2;

/// The formatted text. Comments, order and values are those of `text`.
///
/// # Errors
/// What is wrong if the text is no TOML.
pub fn formatted(text: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    table(document.as_table_mut(), true);
    let trailing = above(document.trailing().as_str().unwrap_or_default(), false);
    document.set_trailing(trailing);
    let text_after = document.to_string();
    let formatted = match text_after.trim_matches('\n') {
        "" => String::new(),
        text => format!("{text}\n"),
    };
    let (before, after) = (text.parse::<toml::Table>(), formatted.parse::<toml::Table>());
    // A second pair of eyes: a formatter that changed a meaning would be worse than none.
    if before.is_ok() && before == after { Ok(formatted) } else { Err("formatting would change what it says".to_owned()) }
}

fn table(table: &mut Table, is_root: bool) {
    if !is_root && !table.is_dotted() && !table.is_implicit() {
        let decor = table.decor_mut();
        let prefix = above(raw(decor.prefix()), false);
        // Comments with a blank line after them belong to the table before.
        let prefix = if prefix.starts_with('\n') || prefix.contains("\n\n") { prefix } else { format!("\n{prefix}") };
        let suffix = beside(raw(decor.suffix()));
        decor.set_prefix(prefix);
        decor.set_suffix(suffix);
    }
    let is_dotted = table.is_dotted();
    let widths = key_widths(table);
    let mut first = !is_dotted;
    for ((mut key, item), width) in table.iter_mut().zip(widths) {
        match item {
            Item::Value(value) => {
                let name = key.display_repr().chars().count();
                let decor = key.leaf_decor_mut();
                let prefix = above(raw(decor.prefix()), first);
                decor.set_prefix(prefix);
                decor.set_suffix(" ".repeat(width.saturating_sub(name) + 1));
                line(value);
                first = false;
            }
            Item::Table(inner) => {
                *key.dotted_decor_mut() = Decor::new("", "");
                if !inner.is_dotted() {
                    *key.leaf_decor_mut() = Decor::new("", "");
                }
                self::table(inner, false);
            }
            Item::ArrayOfTables(tables) => {
                *key.leaf_decor_mut() = Decor::new("", "");
                tables.iter_mut().for_each(|inner| self::table(inner, false));
            }
            Item::None => {}
        }
    }
}

/// For each entry the width its key is filled up to: that of the longest in its block if the block lines up, else its own.
fn key_widths(table: &Table) -> Vec<usize> {
    let mut widths = Vec::new();
    let mut block: Vec<(usize, usize)> = Vec::new();
    let close = |block: &mut Vec<(usize, usize)>, widths: &mut Vec<usize>| {
        let lines_up = block.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let longest = block.iter().map(|(name, _)| *name).max().unwrap_or_default();
        widths.extend(block.drain(..).map(|(name, _)| if lines_up { longest } else { name }));
    };
    for (name, item) in table {
        let key = table.key(name);
        let (name, decor) = key.map_or((0, None), |key| (key.display_repr().chars().count(), Some(key.leaf_decor())));
        let begins = decor.is_none_or(|decor| raw(decor.prefix()).contains('\n')) || !item.is_value() || table.is_dotted();
        if begins {
            close(&mut block, &mut widths);
        }
        block.push((name, name + decor.map_or(0, |decor| raw(decor.suffix()).chars().count())));
    }
    close(&mut block, &mut widths);
    widths
}

/// A value after its key, with the comment on its line.
fn line(value: &mut Value) {
    let suffix = beside(raw(value.decor().suffix()));
    *value.decor_mut() = Decor::new(" ", suffix);
    inside(value, 0);
}

/// What is inside of a value.
fn inside(value: &mut Value, depth: usize) {
    match value {
        Value::Array(inner) => array(inner, depth),
        Value::InlineTable(inner) => inline(inner, depth),
        _ => {}
    }
}

fn array(array: &mut Array, depth: usize) {
    let has_breaks = |decor: &Decor| raw(decor.prefix()).contains('\n') || raw(decor.suffix()).contains('\n');
    let breaks = array.iter().any(|value| has_breaks(value.decor())) || array.trailing().as_str().unwrap_or_default().contains('\n');
    let mut first = true;
    for value in array.iter_mut() {
        let (prefix, suffix) = (raw(value.decor().prefix()).to_owned(), raw(value.decor().suffix()).to_owned());
        let prefix = match (prefix.contains('\n'), first) {
            (true, _) => indented(&prefix, depth + 1),
            (false, true) if breaks => indented("\n", depth + 1),
            (false, true) => String::new(),
            (false, false) => " ".to_owned(),
        };
        // A comment before the comma stays where it is: after it would be about the next value.
        let suffix = if suffix.contains('#') { indented(&suffix, depth + 1) } else { String::new() };
        *value.decor_mut() = Decor::new(prefix, suffix);
        inside(value, depth + 1);
        first = false;
    }
    let trailing = array.trailing().as_str().unwrap_or_default().to_owned();
    if breaks && !array.is_empty() {
        array.set_trailing_comma(true);
        array.set_trailing(indented(if trailing.contains('\n') { &trailing } else { "\n" }, depth));
    } else if trailing.contains('#') {
        array.set_trailing(indented(&trailing, depth));
    } else {
        array.set_trailing_comma(false);
        array.set_trailing("");
    }
}

/// `{ a = 1, b = 2 }`. One over several lines (TOML 1.1) stays as it is.
fn inline(table: &mut InlineTable, depth: usize) {
    let text = table.to_string();
    if text.contains(['\n', '#']) {
        return;
    }
    let last = table.len().saturating_sub(1);
    for (index, (mut key, value)) in table.iter_mut().enumerate() {
        *key.leaf_decor_mut() = Decor::new(" ", " ");
        *value.decor_mut() = Decor::new(" ", if index == last { " " } else { "" });
        inside(value, depth);
    }
    table.set_trailing_comma(false);
    table.set_trailing("");
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

/// Comments and blank lines above something: no spaces at either end of a line, no two blank lines in a row, and none at
/// the beginning if it is the first of its table.
fn above(text: &str, first: bool) -> String {
    let mut out = String::new();
    // What follows the last line break is the indentation of what comes next.
    let lines = text.split('\n').collect::<Vec<_>>();
    for line in lines.split_last().map_or(&[][..], |(_, lines)| lines) {
        let line = line.trim();
        if line.is_empty() && (out.ends_with("\n\n") || out == "\n" || (first && out.is_empty())) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A comment after something on its line keeps its column, as far as it had one.
fn beside(text: &str) -> String {
    let text = text.trim_end();
    match text.find('#') {
        None => String::new(),
        Some(0) => format!(" {text}"),
        Some(_) => text.to_owned(),
    }
}

/// Line breaks and comments between the values of an array.
fn indented(text: &str, depth: usize) -> String {
    let indent = " ".repeat(depth * INDENT);
    let mut lines = text.split('\n').map(str::trim);
    let mut out = lines.next().filter(|line| !line.is_empty()).map(|line| format!(" {line}")).unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    for (index, line) in rest.iter().enumerate() {
        // The last piece is what stands before the value itself.
        if index + 1 == rest.len() || !line.is_empty() {
            out.push('\n');
            out.push_str(&indent);
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const UGLY: &str = "\n\n#:schema x\r\n\n\n\n  # about\ncutover=1\nname =   'a'   # why\n[ inputs ]\n\n\
        a={type=\"list<string>\",default=[ 'x','y' ,]}\n[[step]]   \nid         = \"copy\"\nuses       = \"v.c\"\n  needs = [\n 'a', # one\n   'b'\n]\n\
        [step.with]\nx.y.z  =  1\n[[step.verify]]\ntext = \"\"\"\n  kept   \n\n\n\"\"\"\n   # end   \n\n\n";

    #[test]
    fn what_a_reader_skips_becomes_regular() {
        insta::assert_snapshot!(formatted(UGLY).expect("TOML"), @r#"
        #:schema x

        # about
        cutover = 1
        name = 'a'   # why

        [inputs]
        a = { type = "list<string>", default = ['x', 'y'] }

        [[step]]
        id = "copy"
        uses = "v.c"
        needs = [
          'a', # one
          'b',
        ]

        [step.with]
        x.y.z = 1

        [[step.verify]]
        text = """
          kept   


        """
        # end
        "#);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let once = formatted(UGLY).expect("TOML");
        assert_eq!(formatted(&once).as_deref(), Ok(once.as_str()));
    }

    #[test]
    fn the_workflows_of_the_repository_are_formatted() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|end| end == "toml") {
                let text = std::fs::read_to_string(&path).expect("text");
                assert_eq!(formatted(&text).as_deref(), Ok(text.as_str()), "{}: run `cutover fmt`", path.display());
                count += 1;
            }
        }
        assert!(count > 0);
        for template in [include_str!("command/init/files.toml"), include_str!("command/init/blank.toml")] {
            assert_eq!(formatted(template).as_deref(), Ok(template));
        }
    }

    #[test]
    fn what_is_no_toml_is_left_alone() {
        assert!(formatted("a = \nb = 1").is_err() && formatted("a = 1\na = 2").is_err());
        assert_eq!(formatted("").as_deref(), Ok(""));
    }
}
