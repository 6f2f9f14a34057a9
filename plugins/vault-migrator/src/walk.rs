//! Going through the legacy files of a folder, in byte order of their paths, from any of them on.

use std::{collections::BTreeMap, ops::ControlFlow};

use cutover_plugin::{Failure, log, sealed::Form};

use crate::{
    folder::{self, Names},
    name::{FileName, is_aside},
};

/// Visits each legacy file whose path begins with `prefix` and is not before `from`, until a visit breaks.
pub(crate) fn walk(
    role: &str,
    prefix: &str,
    from: &str,
    visit: &mut impl FnMut(&str, Form) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let start = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    descend(role, start, prefix, from, visit).map(drop)
}

fn descend(
    role: &str,
    folder: &str,
    prefix: &str,
    from: &str,
    visit: &mut impl FnMut(&str, Form) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<()>, Failure> {
    let Names { keys: names, others } =
        folder::list(role, folder)?.ok_or_else(|| Failure::not_found(format!("there is no folder {role}:{folder}")))?;
    for path in others.iter().map(|name| format!("{folder}{name}")) {
        if path.starts_with(prefix) && path.as_str() >= from {
            log::warn(&format!("{role}:{path} is left out: it is a link or no file"));
        }
    }
    let paths = || {
        names
            .iter()
            .map(|name| (format!("{folder}{name}"), name))
            .filter(|(path, _)| path.starts_with(prefix) || prefix.starts_with(path.as_str()))
    };
    refuse_twins(folder, paths().map(|(_, name)| name.as_str()))?;
    for (path, name) in paths() {
        let flow = if path.ends_with('/') {
            // Everything in a folder before `from` is before it too.
            if path.as_str() < from && !from.starts_with(&path) {
                continue;
            }
            descend(role, &path, prefix, from, visit)?
        } else if path.as_str() < from || is_aside(&path) || !path.starts_with(prefix) {
            continue;
        } else if let Some(file) = FileName::parse(name) {
            visit(&path, file.form)?
        } else {
            log::warn(&format!("{role}:{path} is left out: its name has no ending of a known format"));
            continue;
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// `api.env` and `api.json` would have the same copies.
fn refuse_twins<'a>(folder: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut stems = BTreeMap::new();
    for name in names {
        let Some(file) = FileName::parse(name) else { continue };
        if let Some(twin) = stems.insert(file.stem, name) {
            let text = format!(
                "{folder}{twin} and {folder}{name} would be copied to the same place: copy them in two steps with `prefix` and `into`"
            );
            return Err(Failure::invalid_input(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cutover_plugin::testing::Folder;
    use serde_json::json;

    use super::*;

    fn tree(paths: &[&str]) -> Folder {
        paths.iter().fold(Folder::new(), |folder, path| folder.with("source", path, json!({})))
    }

    fn seen(prefix: &str, from: &str) -> Result<Vec<String>, Failure> {
        let mut seen = Vec::new();
        walk("source", prefix, from, &mut |path, _| {
            seen.push(path.to_owned());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(seen)
    }

    const PATHS: [&str; 6] = ["a-b.env", "a.env", "a/x.env", "a/y/z.json", "b.toml", "c/d/e.yaml"];

    #[test]
    fn visits_in_byte_order_from_any_file_on() {
        let _folder = tree(&PATHS).install();
        for (index, path) in PATHS.iter().enumerate() {
            assert_eq!(seen("", path).expect("a walk"), PATHS[index..]);
        }
        assert_eq!(seen("", "").expect("a walk"), PATHS);
    }

    #[test]
    fn a_prefix_may_end_within_a_name() {
        let folder = tree(&PATHS).install();
        assert_eq!(seen("a/", "").expect("a walk"), ["a/x.env", "a/y/z.json"]);
        assert_eq!(seen("a", "").expect("a walk"), PATHS[..4]);
        assert_eq!(seen("c/d", "").expect("a walk"), ["c/d/e.yaml"]);
        assert!(!folder.requests().contains(&"LIST source:b/".to_owned()));
    }

    #[test]
    fn leaves_out_what_was_retired_and_tells_what_it_does_not_know() {
        let folder = tree(&["a.env.retired", "b.env", "README.md"]).install();
        assert_eq!(seen("", "").expect("a walk"), ["b.env"]);
        assert_eq!(folder.notes().len(), 1);
    }

    #[test]
    fn refuses_two_files_with_one_place() {
        let _folder = tree(&["x/api.env", "x/api.json"]).install();
        assert!(matches!(seen("", ""), Err(Failure::InvalidInput(_))));
        assert_eq!(seen("x/api.env", "").expect("a walk"), ["x/api.env"]);
    }

    #[test]
    fn a_missing_or_closed_folder_is_a_failure() {
        let folder = tree(&["b.env"]).install();
        assert!(matches!(seen("nowhere/", ""), Err(Failure::NotFound(_))));
        folder.break_request("LIST source:", 403);
        assert!(matches!(seen("", ""), Err(Failure::Denied(_))));
    }
}
