//! What the process was given besides its arguments. The only file that reads it.

use std::{collections::BTreeMap, ffi::OsString, io::IsTerminal as _, path::PathBuf};

/// Variables, folders and terminals.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    /// The folder in which the program was started.
    pub folder: PathBuf,
    /// The program's own file; plugins are looked for beside it.
    pub program: Option<PathBuf>,
    /// Which streams a person sees.
    pub terminals: Terminals,
}

/// Which of the standard streams are terminals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminals {
    /// A person can answer.
    pub input: bool,
    /// A person reads the data.
    pub output: bool,
    /// A person reads the chatter.
    pub error: bool,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect(),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            program: std::env::current_exe().ok().map(|path| path.canonicalize().unwrap_or(path)),
            terminals: Terminals {
                input: std::io::stdin().is_terminal(),
                output: std::io::stdout().is_terminal(),
                error: std::io::stderr().is_terminal(),
            },
        }
    }

    /// One with these variables only.
    #[must_use]
    pub fn with_variables(variables: &[(&str, &str)]) -> Self {
        Self { variables: variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect(), ..Self::default() }
    }

    /// A variable's value; an empty one counts as absent.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.keys()).field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let text = format!("{:?}", Environment::with_variables(&[("LEGACY_TOKEN", "hvs.canary")]));
        assert!(text.contains("LEGACY_TOKEN") && !text.contains("canary"), "{text}");
    }
}
