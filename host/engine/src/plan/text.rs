//! The plan as text: JSON Lines. First the header, then a line per change, last the digest of those lines.
#![expect(missing_docs, reason = "the line of a variant tells its fields")]

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Plan, PlanBuilder, PlanHeader, StepNo};
use crate::{change::ChangeBody, digest::Digest};

/// The version of the form that this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The line of one change.
///
/// A line with any other field is refused: otherwise a second body could hide there, and the digest be of that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLine {
    /// Its step.
    pub step: StepNo,
    /// All of it.
    pub body: ChangeBody,
}

/// A [`PlanLine`] as it is written.
#[derive(Serialize)]
struct WrittenLine<'b> {
    step: StepNo,
    body: &'b ChangeBody,
}

/// What stands before the body in a [`WrittenLine`].
const BODY: &str = "\"body\":";

/// The last line. What stands here besides the digest is not part of the contract.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    digest: Digest,
    /// The plan's sealing key, wrapped by the state key: only who has that can run the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealing_key: Option<String>,
}

/// Why a text is no plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanTextError {
    /// Cut short, or no plan at all.
    #[error("the plan ends before its digest: it was cut or never finished")]
    Cut,
    /// A line that does not parse.
    #[error("line {line} of the plan cannot be read: {reason}")]
    Line { line: usize, reason: String },
    /// Another version.
    #[error("the plan has version {found}; this program reads version {VERSION}")]
    Version { found: u32 },
    /// The last line is no digest.
    #[error("the last line of the plan cannot be read: somebody changed it, or the plan was cut there")]
    Trailer,
    /// A byte differs.
    #[error("the plan's lines have the digest {found}, but it was made with {stored}: somebody changed it")]
    Digest { found: Digest, stored: Digest },
}

/// Collects the lines while a plan is made.
#[derive(Debug, Default)]
pub(super) struct PlanWriter {
    changes: String,
}

impl PlanWriter {
    pub(super) fn change(&mut self, step: StepNo, body: &ChangeBody) {
        self.changes.push_str(&serde_json::to_string(&WrittenLine { step, body }).expect("a change body has string keys only"));
        self.changes.push('\n');
    }

    pub(super) fn finish(self, header: &PlanHeader) -> (Digest, String) {
        let mut first = serde_json::to_string(header).expect("a plan header has string keys only");
        first.push('\n');
        // In place: the lines are by far the most of a large plan.
        let mut text = self.changes;
        text.insert_str(0, &first);
        let digest = Digest::of(text.as_bytes());
        text.push_str(&serde_json::to_string(&Trailer { digest, sealing_key: None }).expect("a digest is a string"));
        text.push('\n');
        (digest, text)
    }
}

impl Plan {
    /// Reads a plan's text; every byte of it is covered by the digest.
    pub fn read(text: &str) -> Result<Self, PlanTextError> {
        let (lines, trailer) = split(text)?;
        let stored = trailer.digest;
        let found = Digest::from_bytes(Sha256::digest(lines.as_bytes()).into());
        if found != stored {
            return Err(PlanTextError::Digest { found, stored });
        }
        let mut numbered = (1..).zip(lines.lines());
        let (_, first) = numbered.next().ok_or(PlanTextError::Cut)?;
        let bad = |line: usize| move |error: serde_json::Error| PlanTextError::Line { line, reason: error.to_string() };
        let version: Version = serde_json::from_str(first).map_err(bad(1))?;
        if version.cutover_plan != VERSION {
            return Err(PlanTextError::Version { found: version.cutover_plan });
        }
        let header: PlanHeader = serde_json::from_str(first).map_err(bad(1))?;
        let steps = header.steps.len();
        // One by one: together they would take many times the memory of the text.
        PlanBuilder::from_stored(
            header,
            numbered.map(|(line, text)| {
                let reason = |reason: &str| PlanTextError::Line { line, reason: reason.to_owned() };
                let PlanLine { step, body } = serde_json::from_str(text).map_err(bad(line))?;
                if step.index() >= steps {
                    return Err(reason("there is no such step"));
                }
                // No plan is written with one: whoever put it there made the digest too.
                if body.conflict.is_some() {
                    return Err(reason("the change has a conflict"));
                }
                // Of the very bytes: with ten thousands of changes it is felt when they are made anew.
                let written = text.split_once(BODY).and_then(|(_, rest)| rest.strip_suffix('}'));
                let digest = written.map_or_else(|| body.digest(), |written| Digest::of(written.as_bytes()));
                Ok((step, body, digest))
            }),
            found,
        )
    }
}

impl Plan {
    /// A plan's text with its sealing key, wrapped, in the last line. The digest stays the same.
    pub fn attach_key(mut text: String, wrapped: &str) -> Result<String, PlanTextError> {
        let (lines, trailer) = split(&text)?;
        let end = lines.len();
        let trailer = Trailer { sealing_key: Some(wrapped.to_owned()), ..trailer };
        text.truncate(end);
        text.push_str(&serde_json::to_string(&trailer).expect("two strings"));
        text.push('\n');
        Ok(text)
    }

    /// The wrapped sealing key of a plan's text, if it has one.
    pub fn key_of(text: &str) -> Result<Option<String>, PlanTextError> {
        Ok(split(text)?.1.sealing_key)
    }
}

/// The lines that the digest is about, and the last one.
fn split(text: &str) -> Result<(&str, Trailer), PlanTextError> {
    let end = text.strip_suffix('\n').and_then(|whole| whole.rfind('\n')).ok_or(PlanTextError::Cut)? + 1;
    let (lines, trailer) = text.split_at(end);
    Ok((lines, serde_json::from_str(trailer.trim_end()).map_err(|_| PlanTextError::Trailer)?))
}

/// Only the version, read before anything else.
#[derive(Deserialize)]
struct Version {
    cutover_plan: u32,
}
