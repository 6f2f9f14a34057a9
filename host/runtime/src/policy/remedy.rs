//! The line of the workflow that grants what was refused, to be copied as it stands.

/// How a connection gets one more entry in a list of its own: `granted` are the entries it has.
///
/// TOML does not let a table that is written in one line be continued elsewhere, so both forms of a connection are told.
pub(crate) fn one_more(connection: &str, key: &str, granted: &[String], asked: &str) -> String {
    let entries: Vec<String> = granted.iter().map(String::as_str).chain([asked]).map(|entry| format!("\"{entry}\"")).collect();
    let line = format!("{key} = [{}]", entries.join(", "));
    if granted.is_empty() {
        format!("add the line `{line}` under `[connections.{connection}]`, or `, {line}` before the last `}}` of `{connection} = {{ … }}`")
    } else {
        format!("put `{line}` in place of the `{key}` of connection `{connection}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_is_a_line_and_a_further_one_replaces_it() {
        assert_eq!(
            one_more("app", "reads", &[], "POST /search"),
            "add the line `reads = [\"POST /search\"]` under `[connections.app]`, or `, reads = [\"POST /search\"]` before the last `}` of \
             `app = { … }`"
        );
        assert_eq!(
            one_more("app", "reads", &["POST /search".to_owned()], "POST /find"),
            "put `reads = [\"POST /search\", \"POST /find\"]` in place of the `reads` of connection `app`"
        );
    }
}
