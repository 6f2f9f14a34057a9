//! Values that the command line gives to the inputs of a workflow.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::{
    args::VariableArgs,
    error::{CommandError, code},
    source_file::SourceFile,
};

/// A value and how it was given: text takes the type that the input declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// From `--var`.
    Text(String),
    /// From a file, where it has a type of its own.
    Typed(Value),
}

/// All values by the name of their input; `--var` beats the file, a later `--var` an earlier one.
pub fn read(args: &VariableArgs) -> Result<BTreeMap<String, Given>, CommandError> {
    let mut values = match &args.variable_file {
        Some(file) => of_file(file)?,
        None => BTreeMap::new(),
    };
    for variable in &args.variables {
        // The text is not repeated: somebody may have put a secret there in spite of the help.
        let (name, value) = variable
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| CommandError::usage(code::VARIABLE, "`--var` needs NAME=VALUE").hint("for example `--var prefix=payments/`"))?;
        values.insert(name.trim().to_owned(), Given::Text(value.to_owned()));
    }
    Ok(values)
}

fn of_file(path: &Path) -> Result<BTreeMap<String, Given>, CommandError> {
    let file = SourceFile::read(path)?;
    let table: toml::Table = file.text.parse().map_err(|error: toml::de::Error| {
        // Only the first line: the rest shows the source.
        let place = error.span().map_or(1, |span| file.text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        CommandError::no(code::VARIABLE, format!("`{}` is no TOML: line {place}: {}", file.name(), error.message()))
            .hint("a file of variables has one `name = value` a line")
    })?;
    table.into_iter().map(|(name, value)| Ok((name, Given::Typed(json(value, path)?)))).collect()
}

fn json(value: toml::Value, path: &Path) -> Result<Value, CommandError> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) if number.is_finite() => Value::from(number),
        toml::Value::Float(_) => {
            return Err(CommandError::no(code::VARIABLE, format!("`{}` has a number that is not finite", path.display())));
        }
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(|item| json(item, path)).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| Ok((name, json(value, path)?))).collect::<Result<_, CommandError>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(variables: &[&str], file: Option<&Path>) -> VariableArgs {
        VariableArgs { variables: variables.iter().map(ToString::to_string).collect(), variable_file: file.map(Path::to_owned) }
    }

    #[test]
    fn the_command_line_beats_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("prod.toml");
        std::fs::write(&file, "prefix = \"a/\"\ncount = 3\nlist = [\"x\", 1.5]\n").expect("written");
        let values = read(&args(&["prefix=b/=c", "prefix=d"], Some(&file))).expect("values");
        assert_eq!(values["prefix"], Given::Text("d".into()));
        assert_eq!(values["count"], Given::Typed(json!(3)));
        assert_eq!(values["list"], Given::Typed(json!(["x", 1.5])));
        assert_eq!(read(&args(&["prefix=b/=c"], None)).expect("values")["prefix"], Given::Text("b/=c".into()));
    }

    #[test]
    fn mistakes_are_named_without_their_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bad.toml");
        std::fs::write(&file, "a = 1\nb = hvs.canary\n").expect("written");
        for bad in [args(&["hvs.canary"], None), args(&["=hvs.canary"], None), args(&[], Some(&file))] {
            let text = read(&bad).expect_err("wrong").text();
            assert!(!text.contains("canary") && text.contains("CUT6004"), "{text}");
        }
        assert!(read(&args(&[], Some(&file))).expect_err("wrong").text().contains("line 2"));
    }
}
