//! The rules of a run, without a clock, a file, a socket or a sandbox.
//!
//! Text becomes a [`Workflow`]; a workflow and a [`Catalog`] of plugins become a [`Plan`]; a plan and
//! events become a [`Run`], which says what should happen next. Whoever embeds this crate performs the
//! commands and answers with events.

mod canonical;
mod change;
mod digest;
mod failure;
mod manifest;
mod name;
mod pointer;
mod run_id;
mod timestamp;
mod verdict;

pub use canonical::{canonical, digest as canonical_digest};
pub use change::{Action, ChangeBody, ChangeId, ChangeNo, Loss, Object};
pub use digest::Digest;
pub use failure::{Failure, FailureCase};
pub use manifest::{
    Cardinality, Catalog, Flow, LossCode, LossWeight, Manifest, Offer, Operation, Purpose, ResponseRule, Role, Route, RouteClass,
};
pub use pointer::Pointer;
pub use run_id::RunId;
pub use timestamp::{Span, Timestamp};
pub use verdict::Verdict;
