//! Calls from the host: every [`Migrator`] and [`Prober`] is a guest of the generated traits.

use serde_json::Value;

use super::imports::document;
use crate::{
    bindings::{
        migrator::{
            cutover::plugin::types,
            exports::cutover::plugin::{migration, plugin as migrator_plugin},
        },
        prober::exports::cutover::plugin::{plugin as prober_plugin, probe},
    },
    change::{Action, Change, Loss, Object},
    migrator::{Check, Context, Migrator, Plane, Progress, Stage, Verdict},
    prober::Prober,
};

impl<T: Migrator> migrator_plugin::Guest for T {
    fn describe() -> migrator_plugin::Manifest {
        <T as Migrator>::manifest().into()
    }
}

impl<T: Prober> prober_plugin::Guest for T {
    fn describe() -> prober_plugin::Manifest {
        <T as Prober>::manifest().into()
    }
}

impl<T: Migrator> migration::Guest for T {
    fn plan(
        operation: String,
        input: String,
        linked: Vec<types::Change>,
        cursor: Option<String>,
    ) -> Result<migration::Page, types::Failure> {
        let linked = linked.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
        let page = <T as Migrator>::plan(&operation, &document(&input)?, &linked, cursor.as_deref())?;
        Ok(migration::Page {
            changes: page.changes.into_iter().map(Into::into).collect(),
            rest: page.rest,
            output: page.output.map(|output| output.to_string()),
        })
    }

    fn capture(context: types::Context, operation: String, subject: types::Change) -> Result<types::Snapshot, types::Failure> {
        let snapshot = <T as Migrator>::capture(&context.into(), &operation, &change(subject)?)?;
        Ok(types::Snapshot {
            state: snapshot.state.map(|state| state.to_string()),
            expected: snapshot.expected.map(|state| state.to_string()),
        })
    }

    fn apply(
        context: types::Context,
        operation: String,
        subject: types::Change,
        pre_image: Option<String>,
        memo: Option<String>,
    ) -> Result<types::Progress, types::Failure> {
        let (pre_image, memo) = (optional(pre_image.as_deref())?, optional(memo.as_deref())?);
        Ok(<T as Migrator>::apply(&context.into(), &operation, &change(subject)?, pre_image.as_ref(), memo.as_ref())?.into())
    }

    fn rollback(
        context: types::Context,
        operation: String,
        subject: types::Change,
        pre_image: Option<String>,
        memo: Option<String>,
    ) -> Result<types::Progress, types::Failure> {
        let (pre_image, memo) = (optional(pre_image.as_deref())?, optional(memo.as_deref())?);
        Ok(<T as Migrator>::rollback(&context.into(), &operation, &change(subject)?, pre_image.as_ref(), memo.as_ref())?.into())
    }

    fn verify(
        context: types::Context,
        operation: String,
        subject: types::Change,
        pre_image: Option<String>,
        memo: Option<String>,
        stage: types::Stage,
    ) -> Result<Vec<types::Check>, types::Failure> {
        let (pre_image, memo) = (optional(pre_image.as_deref())?, optional(memo.as_deref())?);
        let stage = match stage {
            types::Stage::Applied => Stage::Applied,
            types::Stage::RolledBack => Stage::RolledBack,
            types::Stage::Retired => Stage::Retired,
        };
        let checks = <T as Migrator>::verify(&context.into(), &operation, &change(subject)?, pre_image.as_ref(), memo.as_ref(), stage)?;
        Ok(checks.into_iter().map(Into::into).collect())
    }
}

impl<T: Prober> probe::Guest for T {
    fn observe(
        context: types::Context,
        operation: String,
        input: String,
        subject: Option<types::Change>,
    ) -> Result<String, types::Failure> {
        let subject = subject.map(change).transpose()?;
        Ok(<T as Prober>::observe(&context.into(), &operation, &document(&input)?, subject.as_ref())?.to_string())
    }
}

fn optional(text: Option<&str>) -> Result<Option<Value>, types::Failure> {
    Ok(text.map(document).transpose()?)
}

fn change(change: types::Change) -> Result<Change, types::Failure> {
    Ok(Change {
        id: change.id,
        subject: change.subject.into_iter().map(|object| Object { role: object.role, member: object.member, path: object.path }).collect(),
        links: change.links,
        action: match change.action {
            types::Action::Create => Action::Create,
            types::Action::Update => Action::Update,
            types::Action::Remove => Action::Remove,
            types::Action::Switch => Action::Switch,
        },
        group: change.group,
        summary: change.summary,
        instruction: document(&change.instruction)?,
        losses: change.losses.into_iter().map(|loss| Loss { code: loss.code, count: loss.count, detail: loss.detail }).collect(),
        by_hand: change.by_hand,
        conflict: change.conflict,
    })
}

impl From<Change> for types::Change {
    fn from(change: Change) -> Self {
        let object = |object: Object| types::Object { role: object.role, member: object.member, path: object.path };
        Self {
            id: change.id,
            subject: change.subject.into_iter().map(object).collect(),
            links: change.links,
            action: match change.action {
                Action::Create => types::Action::Create,
                Action::Update => types::Action::Update,
                Action::Remove => types::Action::Remove,
                Action::Switch => types::Action::Switch,
            },
            group: change.group,
            summary: change.summary,
            instruction: change.instruction.to_string(),
            losses: change.losses.into_iter().map(|loss| types::Loss { code: loss.code, count: loss.count, detail: loss.detail }).collect(),
            by_hand: change.by_hand,
            conflict: change.conflict,
        }
    }
}

impl From<types::Context> for Context {
    fn from(context: types::Context) -> Self {
        Self {
            run: context.run,
            change: context.change,
            attempt: context.attempt,
            now: context.now,
            deadline: context.deadline,
            idempotency_key: context.idempotency_key,
        }
    }
}

impl From<Progress> for types::Progress {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Done(memo) => Self::Done(memo.filter(|memo| !memo.is_null()).map(|memo| memo.to_string())),
            Progress::Again { after_seconds, memo, note } => Self::Again(types::Again { after_seconds, memo: memo.to_string(), note }),
        }
    }
}

impl From<Check> for types::Check {
    fn from(check: Check) -> Self {
        Self {
            name: check.name,
            plane: match check.plane {
                Plane::Identity => types::Plane::Identity,
                Plane::Application => types::Plane::Application,
                Plane::Telemetry => types::Plane::Telemetry,
            },
            verdict: match check.verdict {
                Verdict::Pass => types::Verdict::Pass,
                Verdict::Fail => types::Verdict::Fail,
                Verdict::Inconclusive => types::Verdict::Inconclusive,
            },
            detail: check.detail,
        }
    }
}
