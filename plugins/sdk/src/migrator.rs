//! The trait of plugins that move things, and the words of its hooks.

use serde_json::Value;

use crate::{change::Change, failure::Failure, manifest::Manifest};

/// A plugin that moves things. Each hook call gets a fresh instance; each hook is idempotent.
///
/// A type that implements [`Place`](crate::Place) is one already.
///
/// A memo of a writing hook is what an earlier attempt of this change returned; none if there was none, as after an apply that
/// was cut off: what is there may then be anybody's. It is `null` where the host answers for what is there: in a rollback by the
/// operator's `--over`, in an apply where an earlier change of the same run wrote the object. [`Guard`](crate::Guard) knows
/// all this.
pub trait Migrator {
    /// What it offers and asks for: the same on every call.
    fn manifest() -> Manifest;

    /// Lists the changes, in the order in which those that share an object must happen. Read and login routes only.
    /// `linked` is a page of the changes of the step named in `changes`. `cursor` is one that an earlier [`Page`] named.
    fn plan(operation: &str, input: &Value, linked: &[Change], cursor: Option<&str>) -> Result<Page, Failure>;

    /// Reads what is there and says what should be there. Read and login routes only.
    /// A 401, 403 or 503 is a failure, never absence.
    fn capture(context: &Context, operation: &str, change: &Change) -> Result<Snapshot, Failure>;

    /// Makes the subject equal to `expected`. Reads before it writes; every write carries its expected prior state.
    fn apply(
        context: &Context,
        operation: &str,
        change: &Change,
        pre_image: Option<&Value>,
        memo: Option<&Value>,
    ) -> Result<Progress, Failure>;

    /// Makes the subject equal to the pre-image again.
    fn rollback(
        context: &Context,
        operation: &str,
        change: &Change,
        pre_image: Option<&Value>,
        memo: Option<&Value>,
    ) -> Result<Progress, Failure>;

    /// Its own checks, on top of the host's comparison. Read and login routes only.
    fn verify(
        context: &Context,
        operation: &str,
        change: &Change,
        pre_image: Option<&Value>,
        memo: Option<&Value>,
        stage: Stage,
    ) -> Result<Vec<Check>, Failure>;
}

/// Makes a component of world `migrator` from a type that implements [`Migrator`](crate::Migrator) or
/// [`Place`](crate::Place).
#[macro_export]
macro_rules! export_migrator {
    ($plugin:ident) => {
        const _: () = {
            const fn is_migrator<T: $crate::Migrator>() {}
            is_migrator::<$plugin>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
    $crate::bindings::migrator::export!($plugin with_types_in $crate::bindings::migrator);
        };
    };
}

/// What a hook call may know about the run around it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The run's id; empty while planning.
    pub run: String,
    /// The change's id.
    pub change: String,
    /// 1 for the first call of this hook for this change, then counting up.
    pub attempt: u32,
    /// Read once when the call began.
    pub now: u64,
    /// When the host ends this call.
    pub deadline: u64,
    /// The same for every attempt of one hook of one change: send it where a backend takes such a key.
    pub idempotency_key: String,
}

/// A part of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The changes.
    pub changes: Vec<Change>,
    /// Cursors of the pages that follow this one, in this order: the host may ask for several at once. Each may name further
    /// pages, which come right after it. No cursor is named twice.
    pub rest: Vec<String>,
    /// What later steps may refer to; of several pages the last one that has an output counts.
    pub output: Option<Value>,
}

impl Page {
    /// The last page, unless others are named.
    pub fn of(changes: Vec<Change>) -> Self {
        Self { changes, ..Self::default() }
    }

    /// Names pages that follow: one (`Some`), or many that can be asked for side by side.
    ///
    /// ```
    /// # use cutover_plugin::Page;
    /// assert_eq!(Page::of(Vec::new()).followed_by(Some("200".to_owned())).rest, ["200"]);
    /// ```
    #[must_use]
    pub fn followed_by(mut self, cursors: impl IntoIterator<Item = String>) -> Self {
        self.rest.extend(cursors);
        self
    }
}

/// What is at a change's subject, and what should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The present state; none if the subject does not exist.
    pub state: Option<Value>,
    /// What apply is to reach, from source and change alone; none if the subject is to be absent.
    pub expected: Option<Value>,
}

/// How far a writing hook came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Finished; the memo goes to every later hook of this change. One that is `null` is none.
    Done(Option<Value>),
    /// Not finished: call again.
    Again {
        /// At least this many seconds from now.
        after_seconds: u32,
        /// Given to the next call and to every later hook of this change.
        memo: Value,
        /// What is being waited for, in words.
        note: String,
    },
}

/// When [`Migrator::verify`] is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// After apply.
    Applied,
    /// After rollback.
    RolledBack,
    /// After a retire change was applied: try the old path.
    Retired,
}

/// Where a check looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Who may do what: policies, roles, trust.
    Identity,
    /// The thing moved, or what uses it.
    Application,
    /// Counters and logs.
    Telemetry,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// It could not be seen; never counted as a pass.
    Inconclusive,
}

/// One named check of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The same in every run.
    pub name: String,
    /// Where it looked.
    pub plane: Plane,
    /// What it found.
    pub verdict: Verdict,
    /// What was compared, without values.
    pub detail: String,
}

impl Check {
    /// A check of the thing moved that passed or failed.
    pub fn application(name: &str, passed: bool, detail: impl Into<String>) -> Self {
        let verdict = if passed { Verdict::Pass } else { Verdict::Fail };
        Self { name: name.to_owned(), plane: Plane::Application, verdict, detail: detail.into() }
    }

    /// The same check where nothing could be seen.
    pub fn inconclusive(name: &str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Inconclusive, ..Self::application(name, false, detail) }
    }
}
