//! Component files: reading them, without running anything.

use std::path::Path;

use cutover_runtime::sandbox::{self, COMPONENT_BYTES, Inspection};

use crate::{error::CommandError, source_file};

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
