//! Component files: reading them, without running anything.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cutover_runtime::sandbox::{self, COMPONENT_BYTES, Inspection};

use crate::{error::CommandError, source_file};

/// Where the component of a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The program itself.
    Builtin(&'static [u8]),
}

impl Source {
    /// The component.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>, CommandError> {
        match self {
            Self::File(path) => bytes(path),
            Self::Builtin(bytes) => Ok(bytes.to_vec()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Builtin(_) => f.write_str("the plugin inside of the program"),
        }
    }
}

/// The bytes of a module or component.
pub fn bytes(path: &Path) -> Result<Vec<u8>, CommandError> {
    source_file::bytes(path, COMPONENT_BYTES as u64, "build it in release mode and without debug information")
}

/// What a component says of itself.
pub fn inspect(path: &Path) -> Result<Inspection, CommandError> {
    sandbox::inspect(&bytes(path)?).map_err(|error| {
        CommandError::no(error.code(), format!("`{}` is no plugin that this version can use", path.display())).because(&error)
    })
}
