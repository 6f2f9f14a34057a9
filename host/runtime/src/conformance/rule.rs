//! The rules that the kit looks at.

use cutover_engine::{Failure, Purpose};
use serde::Serialize;

/// One rule of the contract. Its serial form is its name in `-o json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Plan, capture, verify and observe change nothing.
    LooksOnly,
    /// Every request is on a route of the manifest, within the rights of the operation.
    AsksWhatItSaid,
    /// The same world gives the same plan, which the host can take.
    PlanIsStable,
    /// Output and observations fit the schema that the manifest declares.
    FitsSchema,
    /// Capture reads, and its state holds, everything that apply writes.
    CaptureCovers,
    /// After apply the world is what capture expected.
    ApplyReaches,
    /// Apply on what was applied writes nothing.
    ApplyTwice,
    /// Apply converges after a write whose answer was lost.
    ApplyResumes,
    /// Apply leaves alone what somebody else wrote since it looked.
    ApplyYields,
    /// Verify passes where all is right and nowhere else.
    VerifySees,
    /// After a retirement every request that worked before is refused.
    EndsPath,
    /// Rollback puts back what was there before.
    RollbackInverts,
    /// Rollback on what is back writes nothing.
    RollbackTwice,
    /// A place that refuses or is away is a failure, never absence.
    RefusalIsNoAbsence,
    /// Every hook ends in time, and ends where the world never answers.
    EndsInTime,
    /// No canary of the fixture is in what the plugin says.
    KeepsSecrets,
}

impl Rule {
    /// Every rule, in the order in which they are told.
    pub const ALL: [Self; 16] = [
        Self::LooksOnly,
        Self::AsksWhatItSaid,
        Self::PlanIsStable,
        Self::FitsSchema,
        Self::CaptureCovers,
        Self::ApplyReaches,
        Self::ApplyTwice,
        Self::ApplyResumes,
        Self::ApplyYields,
        Self::VerifySees,
        Self::EndsPath,
        Self::RollbackInverts,
        Self::RollbackTwice,
        Self::RefusalIsNoAbsence,
        Self::EndsInTime,
        Self::KeepsSecrets,
    ];

    /// Whether operations of this purpose are held to it.
    #[must_use]
    pub const fn binds(self, purpose: Purpose) -> bool {
        let for_all = matches!(self, Self::LooksOnly | Self::AsksWhatItSaid | Self::FitsSchema | Self::EndsInTime | Self::KeepsSecrets);
        match purpose {
            Purpose::Observe => for_all,
            Purpose::Migrate => !matches!(self, Self::EndsPath),
            Purpose::Retire => true,
        }
    }

    /// In words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::LooksOnly => "plan, capture, verify and observe write nothing",
            Self::AsksWhatItSaid => "it asks only what its manifest says",
            Self::PlanIsStable => "the plan is the same twice",
            Self::FitsSchema => "output fits the declared schema",
            Self::CaptureCovers => "capture covers what apply writes",
            Self::ApplyReaches => "apply reaches what capture expects",
            Self::ApplyTwice => "apply twice is one write",
            Self::ApplyResumes => "apply goes on after a lost answer",
            Self::ApplyYields => "apply overwrites nobody else's write",
            Self::VerifySees => "verify sees a broken world",
            Self::EndsPath => "what worked before is refused",
            Self::RollbackInverts => "rollback puts back what was there",
            Self::RollbackTwice => "rollback twice is one write",
            Self::RefusalIsNoAbsence => "a refused read is a failure, not absence",
            Self::EndsInTime => "every hook ends in time",
            Self::KeepsSecrets => "no canary shows",
        }
    }

    /// What an author whose plugin breaks it does next.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::LooksOnly => "move the write to `apply`; only `apply` and `rollback` may write",
            Self::AsksWhatItSaid => "add the route, role or flow to `manifest`, or leave the request out",
            Self::PlanIsStable => "derive ids from the subject, and the rest of a change from input and world alone",
            Self::FitsSchema => "change what is returned, or the output schema in `manifest`",
            Self::CaptureCovers => "read every object of the subject in `capture`, and put all that `apply` overwrites into `state`",
            Self::ApplyReaches => "make `expected` what `apply` writes; name what the server chooses with `server_chosen`",
            Self::ApplyTwice => "read before you write, and write only what differs",
            Self::ApplyResumes => "do not rely on the memo: read what is there, and write what is missing",
            Self::ApplyYields => "send `If-Match` or `If-None-Match` with each write: `Request::expecting` of the SDK",
            Self::VerifySees => "read in `verify` what `apply` wrote, and compare it with what is wanted",
            Self::EndsPath => {
                "in `verify` of the stage `retired` send again, with the connection's own credential, each request by which `capture` read the old path"
            }
            Self::RollbackInverts => "make everything in `rollback` equal to `pre_image`; remove what was not there",
            Self::RollbackTwice => "read before you write, also in `rollback`",
            Self::RefusalIsNoAbsence => "take only 404 for absence: `Response::present` of the SDK",
            Self::EndsInTime => "end the loop, or return `again` and let the host wait",
            Self::KeepsSecrets => "take the place out of the public ones in `manifest`: the plugin then sees a token",
        }
    }

    /// The rule that a failure of a hook breaks; `otherwise` if it is none of the host's own.
    #[must_use]
    pub(super) fn broken_by(failure: &Failure, otherwise: Self) -> Self {
        match failure.code.as_deref() {
            Some("CUT3205" | "CUT3404" | "CUT3406") => Self::LooksOnly,
            Some("CUT3206" | "CUT3207" | "CUT3410" | "CUT3411") => Self::CaptureCovers,
            Some("CUT3412") => Self::ApplyReaches,
            Some("CUT3102") => Self::EndsInTime,
            Some(code) if ASKED.iter().any(|beginning| code.starts_with(beginning)) => Self::AsksWhatItSaid,
            _ => otherwise,
        }
    }
}

/// How the codes begin of refusals of a request, a token or a role that the manifest does not cover.
const ASKED: [&str; 5] = ["CUT320", "CUT3210", "CUT3211", "CUT330", "CUT340"];
