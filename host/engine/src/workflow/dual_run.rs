//! The span in which the old and the new way both work: `[dual_run]`.

use super::{
    reader::{Fields, Reader},
    step::StepId,
};
use crate::{
    diagnostic::{Diagnostic, Placed},
    timestamp::Span,
};

/// `[dual_run]`.
#[derive(Debug, Clone)]
pub struct DualRun {
    /// The step that begins it.
    pub from: Placed<StepId>,
    /// The step that ends it, and that is held to fail if it lasts too long.
    pub until: Placed<StepId>,
    /// The soak: `until` does not begin earlier than this after `from`.
    pub min: Span,
    /// The deadline.
    pub max: Placed<Span>,
}

pub(super) fn read(reader: &mut Reader<'_>, mut fields: Fields<'_>) -> Option<DualRun> {
    for key in ["from", "until", "max"] {
        fields.require(reader, key);
    }
    let from = fields.name(reader, "from", StepId::new);
    let until = fields.name(reader, "until", StepId::new);
    let min = fields.span(reader, "min").map_or(Span(0), |span| span.value);
    let max = fields.positive_span(reader, "max");
    fields.finish(reader);
    if let Some(max) = max.as_ref().filter(|max| max.value < min) {
        let problem = Diagnostic::error("CUT0305", max.place, format!("`max` ({}) is shorter than `min` ({min})", max.value));
        reader.report(problem);
    }
    Some(DualRun { from: from?, until: until?, min, max: max? })
}
