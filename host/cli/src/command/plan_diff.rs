//! `cutover plan diff A B`.

use std::path::Path;

use super::plan;
use crate::{args::Output, error::Outcome, exit_code::ExitCode, program::Program, report::plan_diff::PlanDiff};

/// Compares two saved plans; takes the files alone.
pub(super) fn perform(program: &mut Program, older: &Path, newer: &Path) -> Outcome {
    let diff = PlanDiff::of(&plan::read_saved(older)?.1, &plan::read_saved(newer)?.1);
    match program.console.output() {
        Output::Markdown => program.console.data(&diff.markdown())?,
        _ => program.console.answer(&diff.text())?,
    }
    program.console.document(&diff.document(ExitCode::Done))?;
    Ok(ExitCode::Done)
}
