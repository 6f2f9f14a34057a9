//! The rules of a run, without a clock, a file, a socket or a sandbox.
//!
//! Text becomes a [`Workflow`]; a workflow and a [`Catalog`] of plugins become a [`Plan`]; a plan and
//! events become a [`Run`], which says what should happen next. Whoever embeds this crate performs the
//! commands and answers with events.

mod canonical;
mod change;
mod command;
mod diagnostic;
mod digest;
mod event;
mod expression;
mod failure;
mod manifest;
mod name;
mod plan;
mod pointer;
mod reference;
mod run;
mod run_id;
mod schema;
mod timestamp;
mod verdict;
mod workflow;

pub use canonical::{canonical, digest as canonical_digest, equal_outside, without};
pub use change::{Action, ChangeBody, ChangeId, ChangeNo, Loss, Object};
pub use command::{Command, Effect, Next, WaitReason};
pub use digest::Digest;
pub use event::{BackRelation, CheckResult, Ending, Event, HookKind, LineLevel, Outcome, Proof, Recheck, Relation, Watched, is_refusal};
pub use failure::{Failure, FailureCase};
pub use manifest::{
    Cardinality, Catalog, Flow, LossCode, LossWeight, Manifest, Offer, Operation, Purpose, ResponseRule, Role, Route, RouteClass,
};
pub use plan::{
    Cohort, OnDrift, OnFailure, Per, Plan, PlanBuilder, PlanError, PlanHeader, PlanLine, PlanTextError, PlannedAgain, PlannedChange,
    PlannedConnection, PlannedDualRun, PlannedGrant, PlannedOperation, PlannedPlugin, PlannedProbe, PlannedStep, StepNo, Work,
};
pub use pointer::Pointer;
pub use run::{Cause, IllegalEvent, Open, Phase, Run, StepOutlook, StepPhase, StuckReason};
pub use run_id::RunId;
pub use timestamp::{Span, Timestamp};
pub use verdict::Verdict;

// The workflow language.
pub use diagnostic::{Anchor, CODES, Diagnostic, Explanation, Place, Placed, Severity, explanation};
pub use expression::{Expression, SyntaxError, Undecided};
pub use reference::{Missing, Reference, ResolveError, Root, Scope, Segment, Template};
pub use schema::workflow_schema;
pub use workflow::{
    Address, Binding, Body, Connection, ConnectionKind, DualRun, FileConnection, HttpConnection, HttpLogin, Input, InputType, Instance,
    Length, PlaintextGrant, PluginEntry, PluginOrigin, Probe, Quota, ReadRoute, Recipient, Retry, Rollout, Source, Step, StepId, Task,
    Uses, VaultConnection, VaultLogin, Wait, Workflow, WorkflowName, authority,
};
