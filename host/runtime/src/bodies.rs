//! The bodies of a plan's changes, read from the plan's text when a hook needs one.

use std::{path::Path, sync::Arc};

use cutover_engine::{ChangeBody, ChangeNo, PlanLine};
use thiserror::Error;

use crate::disk::{Disk, DiskError, ReadAt};

/// Where each change's line is. Sixteen bytes a change; the text itself stays on disk.
pub struct Bodies {
    file: Box<dyn ReadAt>,
    lines: Vec<(u64, u32)>,
}

/// Why a body cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The plan's file cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The plan has no such change, or its line was changed since the plan was opened.
    #[error("the plan's line of change {} cannot be read", .0.0)]
    Line(ChangeNo),
}

impl Bodies {
    /// Finds the lines of a plan that was read whole from `text`, which is what the file at `path` holds.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, text: &str) -> Result<Self, BodyError> {
        let file = disk.open_read(path).map_err(DiskError::io("open", path))?;
        let mut start = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            lines.push((start as u64, u32::try_from(line.len()).unwrap_or(u32::MAX)));
            start += line.len();
        }
        // The header and the digest are no changes.
        lines.pop();
        if !lines.is_empty() {
            lines.remove(0);
        }
        Ok(Self { file, lines })
    }

    /// The body of a change.
    pub fn read(&self, change: ChangeNo) -> Result<ChangeBody, BodyError> {
        let (start, length) = *self.lines.get(change.index()).ok_or(BodyError::Line(change))?;
        let mut line = vec![0; length as usize];
        self.file.read_exact_at(&mut line, start).map_err(|_| BodyError::Line(change))?;
        let line: PlanLine = serde_json::from_slice(&line).map_err(|_| BodyError::Line(change))?;
        Ok(line.body)
    }
}
