//! What the plan saw of a source's versions. A version's number and document never change, only its state does: so a copy is
//! held against this, whatever timers and people do to the source while the run goes on.

use cutover_plugin::fingerprint;
use serde::{Deserialize, Serialize};

use super::{
    history::{History, Version},
    origin::{CopiedKv, Numbering},
    settings::Limits,
};

/// The versions of a source when they were planned, by their numbers there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    /// The newest one; 0 if there was none.
    pub(crate) current: u64,
    /// Those with data that the copy is to have, in order.
    pub(crate) held: Vec<u64>,
    /// Those of them that a timer will delete, at the source or at the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timed: Vec<Timed>,
}

/// A version that a timer will delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timed {
    pub(crate) number: u64,
    /// A fingerprint of its document: when its time has come, there is nothing else left to compare.
    pub(crate) value: String,
    /// When the source deletes it (RFC 3339); none if only the target does.
    pub(crate) until: Option<String>,
}

impl Timed {
    /// Whether a version that can still be read at the source has another time of deletion there than when it was planned.
    pub(crate) fn is_moved(&self, deletion: Option<&String>) -> bool {
        self.until.is_some() && self.until.as_ref() != deletion
    }
}

impl Planned {
    /// Which versions a copy is to have, if these soft-deleted ones are recovered for it.
    pub(crate) fn of(source: &History, recover: &[u64]) -> Self {
        let is_held = |(number, version): &(&u64, &Version)| matches!(version, Version::Live { .. }) || recover.contains(number);
        let held = source.versions.iter().filter(is_held).map(|(number, _)| *number).collect();
        Self { current: source.current, held, timed: Vec::new() }
    }

    /// Those that a timer deletes, at a source as it is read or at a target of these limits.
    pub(crate) fn timed(source: &History, to: &Limits) -> Vec<Timed> {
        let of = |(number, version): (&u64, &Version)| match version {
            Version::Live { value, deletion } if deletion.is_some() || expires_anyway(to) => {
                Some(Timed { number: *number, value: fingerprint(value), until: deletion.clone() })
            }
            _ => None,
        };
        source.versions.iter().filter_map(of).collect()
    }

    /// Whether a version without data is nothing that the plan has not seen: only such a one may be destroyed at the target.
    pub(crate) fn lacks(&self, number: u64) -> bool {
        number <= self.current && !self.held.contains(&number)
    }

    /// Whether a version that the source has deleted at this time is one whose timer has run out there.
    pub(crate) fn has_expired(&self, number: u64, at: &str) -> bool {
        self.timed.iter().any(|timed| timed.number == number && timed.until.as_deref() == Some(at))
    }
}

impl CopiedKv {
    /// The timed version that a version of the target is a copy of.
    pub(crate) fn timed(&self, at_target: u64) -> Option<&Timed> {
        let number = match self.numbering {
            Numbering::Numbered => at_target,
            Numbering::Compact => {
                let place = at_target.checked_sub(self.base() + 1).and_then(|place| usize::try_from(place).ok())?;
                *self.planned.held.get(place)?
            }
        };
        self.planned.timed.iter().find(|timed| timed.number == number)
    }

    /// Whether the target has a time of deletion for a version that has one at the source, or has none there.
    pub(crate) fn expires(&self, at_source: bool) -> bool {
        expires_anyway(&self.to_limits) || (at_source && !self.to_limits.never_delete)
    }

    /// The versions of the source that a compact copy has, in order. Their places stay, whatever becomes of them. The one that was
    /// the newest has a place in any case: without it an older version would be the current one, and a secret that was taken
    /// away would be back.
    pub(crate) fn compact(&self, source: &History) -> Vec<u64> {
        let Planned { current, held, .. } = &self.planned;
        let last = (*current > 0 && held.last() != Some(current)).then_some(*current);
        held.iter().copied().chain(last).chain(current + 1..=source.current).collect()
    }
}

fn expires_anyway(to: &Limits) -> bool {
    Limits::default().deletes_after(to) > 0
}
