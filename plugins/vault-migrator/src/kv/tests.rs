//! The operations as the host drives them, on servers in memory.

mod copying;
mod crashes;
mod meanwhile;
mod planning;
mod retiring;
mod rows;

use cutover_plugin::{
    Change, Context, Failure, Migrator, Page, Progress, Snapshot, Stage, Verdict,
    testing::{Folder, Server, Vault, pages},
};
use serde_json::{Value, json};

use super::{SOURCE, TARGET};
use crate::VaultMigrator;

pub(super) const MOUNT: &str = "secret";

/// Two servers with one v2 mount each.
pub(super) fn servers() -> Vault {
    Vault::new().folder(Folder::new().sealing(SOURCE).sealing(TARGET)).v2(SOURCE, MOUNT, 0, 0).v2(TARGET, MOUNT, 0, 0)
}

/// Somebody writes documents one after the other to a source key.
pub(super) fn fill(vault: &Server, path: &str, documents: &[Value]) {
    for document in documents {
        vault.put(SOURCE, MOUNT, path, document.clone());
    }
}

/// All pages of a plan.
pub(super) fn planned_pages(operation: &str, input: &Value, linked: &[Change]) -> Result<Vec<Page>, Failure> {
    pages(|cursor| VaultMigrator::plan(operation, input, linked, cursor))
}

/// The changes of a plan.
pub(super) fn planned(operation: &str, input: &Value, linked: &[Change]) -> Result<Vec<Change>, Failure> {
    Ok(planned_pages(operation, input, linked)?.into_iter().flat_map(|page| page.changes).collect())
}

/// The changes of `copy-kv` with more input than the mount.
pub(super) fn copies(more: Value) -> Vec<Change> {
    planned("copy-kv", &input(more), &[]).expect("a plan")
}

pub(super) fn input(more: impl Into<Value>) -> Value {
    let more: Value = more.into();
    let mut input = json!({ "mount": MOUNT });
    for (name, value) in more.as_object().into_iter().flatten() {
        input[name] = value.clone();
    }
    input
}

pub(super) fn context(server: &Server) -> Context {
    Context { now: server.now(), ..Context::default() }
}

pub(super) fn captured(change: &Change) -> Snapshot {
    VaultMigrator::capture(&Context::default(), "", change).expect("a snapshot")
}

/// Applies as the host does: waits, and tries again where the answer or the server was lost.
pub(super) fn apply(server: &Server, change: &Change, pre_image: Option<&Value>) -> Result<Option<Value>, Failure> {
    let mut memo = None;
    for _ in 0..50 {
        match VaultMigrator::apply(&context(server), "", change, pre_image, memo.as_ref()) {
            Ok(Progress::Done(done)) => return Ok(done),
            Ok(Progress::Again { memo: again, .. }) => memo = Some(again),
            Err(Failure::Unavailable(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    panic!("{} does not end", change.id)
}

pub(super) fn rollback(change: &Change, pre_image: Option<&Value>, memo: Option<&Value>) -> Result<(), Failure> {
    for _ in 0..50 {
        match VaultMigrator::rollback(&Context::default(), "", change, pre_image, memo) {
            Err(Failure::Unavailable(_)) => {}
            other => return other.map(drop),
        }
    }
    panic!("{} does not end", change.id)
}

/// One change there: captured, applied, captured again and compared, verified.
pub(super) struct There {
    pub(super) before: Snapshot,
    pub(super) memo: Option<Value>,
}

pub(super) fn there(server: &Server, change: &Change) -> There {
    let before = captured(change);
    let memo = apply(server, change, before.state.as_ref()).expect("applied");
    let after = captured(change);
    assert_eq!(after.state, before.expected, "{}", change.id);
    assert_eq!(after.expected, before.expected, "{}", change.id);
    passes(change, before.state.as_ref(), Stage::Applied);
    There { before, memo }
}

/// One change back: what is there is the pre-image.
pub(super) fn back(change: &Change, there: &There) {
    rollback(change, there.before.state.as_ref(), there.memo.as_ref()).expect("back");
    assert_eq!(captured(change).state, there.before.state, "{}", change.id);
    passes(change, there.before.state.as_ref(), Stage::RolledBack);
}

pub(super) fn passes(change: &Change, pre_image: Option<&Value>, stage: Stage) {
    let checks = VaultMigrator::verify(&Context::default(), "", change, pre_image, None, stage).expect("checks");
    assert!(!checks.is_empty() && checks.iter().all(|check| check.verdict == Verdict::Pass), "{checks:?}");
}

/// The codes of a change's losses with their counts.
pub(super) fn losses(change: &Change) -> Vec<(&str, u32)> {
    change.losses.iter().map(|loss| (loss.code.as_str(), loss.count)).collect()
}

/// Version numbers with their states and documents.
pub(super) fn shown(server: &Server, role: &str, path: &str) -> Vec<(u64, &'static str, Option<Value>)> {
    let stored = server.get(role, MOUNT, path).expect("a key");
    stored.shown(server.now()).into_iter().map(|(number, (state, document))| (number, state, document)).collect()
}
