//! One case set up: the plugin, its operation, and a stage for each role.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use cutover_engine::{Cardinality, ChangeBody, Failure, Object, Operation, Purpose, Span};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    backdrop::{Backdrop, Documents},
    canary::Canaries,
    fixture::{Case, FixtureError},
    life::Life,
    listening::{Listening, NoRecord},
    stage::{Stage, StageKind},
    trouble::Trouble,
};
use crate::{
    clock::{Clock as _, SystemClock},
    connection::{ConnectionConfig, Credentials, Kinds, Opening, WireLimits},
    entropy::{Entropy, SystemEntropy},
    equipment::{Equipment, Seats},
    hook::{Answer, Call, HookContext},
    pages::{Bounds, PageOf, Paged, Pages},
    policy::{CallLimits, Hook},
    sandbox::Plugin,
    sealing::{Scope, SealingKey},
    session::{Ledger, Report, Rights, Session},
};

/// How long a hook may take where the case does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a hook is given in a world that never answers.
const SILENCE: Duration = Duration::from_millis(300);
/// Most pages of a plan.
const MAX_PAGES: usize = 1_000;

/// Everything that the rules are looked at with.
pub(super) struct Bench {
    pub(super) plugin: Plugin,
    pub(super) operation: Arc<Operation>,
    pub(super) canaries: Arc<Canaries>,
    input: Value,
    linked: Vec<ChangeBody>,
    seats: Arc<Seats>,
    stages: BTreeMap<String, Arc<Stage>>,
    start: World,
    key: Arc<SealingKey>,
    entropy: Arc<dyn Entropy>,
    timeout: Duration,
}

/// What every role's place holds.
pub(super) type World = BTreeMap<String, Documents>;

/// What a case left: another one is about it.
pub(super) struct Left {
    world: World,
    changes: Vec<ChangeBody>,
    canaries: Arc<Canaries>,
}

/// What a hook may do.
pub(super) struct HookRights {
    /// For messages.
    pub(super) name: &'static str,
    /// The change's objects; empty while planning.
    pub(super) subject: Vec<Object>,
    /// Those that capture read, for a hook that may write.
    pub(super) captured: Option<HashSet<Object>>,
}

impl HookRights {
    /// Of a hook that is about no change.
    pub(super) fn looking(name: &'static str) -> Self {
        Self { name, subject: Vec::new(), captured: None }
    }
}

/// What a hook returned, with what the host saw of it.
pub(super) struct Called {
    pub(super) result: Result<Answer, Failure>,
    pub(super) session: Arc<Session>,
    pub(super) report: Report,
}

impl Bench {
    /// Sets the case up; `left` is what the case left that it is about.
    pub(super) async fn set_up(plugin: &Plugin, case: &Case, left: Option<Left>) -> Result<Self, FixtureError> {
        let wrong = |text: String| FixtureError(format!("case `{}`: {text}", case.name));
        let operation = operation(plugin, case).map_err(wrong)?;
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let Left { world, changes, canaries } = left.unwrap_or_else(|| Left::nothing(&*entropy));
        let mut digest_key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *digest_key);
        let opening =
            Opening { clock: Arc::new(SystemClock), credentials: Credentials::default(), limits: WireLimits::default(), digest_key };
        let (mut equipment, mut stages) = (Equipment::default(), BTreeMap::new());
        for role in &operation.roles {
            let backdrop = Backdrop::of(&role.name, &role.kinds, &opening, &*entropy).await.map_err(wrong)?;
            let kinds = role.kinds.join("`, `");
            let backdrop = backdrop.ok_or_else(|| wrong(not_played(&role.name, &kinds)))?;
            let stage = Arc::new(Stage::new(backdrop, Arc::clone(&canaries)));
            let mut stage_kinds = Kinds::default();
            stage_kinds.add(Arc::new(StageKind(Arc::clone(&stage))));
            let config = ConnectionConfig { name: role.name.clone(), kind: stage.kind().to_owned(), ..ConnectionConfig::default() };
            equipment.connect(&stage_kinds, config, &opening).await.map_err(|error| wrong(error.to_string()))?;
            stages.insert(role.name.clone(), stage);
        }
        let seats = equipment.seats_by_role(&operation, &case.public).map_err(|failure| wrong(failure.to_string()))?;
        let mut start = World::new();
        for role in stages.keys() {
            if let Some(documents) = world.get(role) {
                if case.world.contains_key(role) {
                    return Err(wrong(format!("`world.{role}` is as the case before left it; leave it out")));
                }
                start.insert(role.clone(), documents.clone());
                continue;
            }
            let documents = case.world.get(role).into_iter().flatten();
            let hatch = |(path, document): (&String, &Value)| (path.clone(), canaries.hatch_document(document, &*entropy));
            start.insert(role.clone(), documents.map(hatch).collect());
        }
        let key = Arc::new(SealingKey::generate(&*entropy));
        let timeout = case.timeout.map_or(TIMEOUT, |Span(milliseconds)| Duration::from_millis(milliseconds));
        let bench = Self {
            plugin: plugin.clone(),
            operation: Arc::new(operation),
            canaries,
            input: case.with.clone(),
            linked: changes,
            seats: Arc::new(seats),
            stages,
            start,
            key,
            entropy,
            timeout,
        };
        bench.restart();
        Ok(bench)
    }

    /// The changes that the operation is about.
    pub(super) fn linked(&self) -> &[ChangeBody] {
        &self.linked
    }

    /// Makes every change of the case, for another one that is about them.
    pub(super) async fn leave(&self) -> Result<Left, Failure> {
        self.restart();
        let (changes, _) = self.plan().await?;
        for change in &changes {
            let (mut life, look) = Life::begin(self, change).await?;
            if look.state != look.expected {
                life.apply(None).await?;
            }
        }
        Ok(Left { world: self.world(), changes, canaries: Arc::clone(&self.canaries) })
    }

    /// The world as the fixture has it, without trouble.
    pub(super) fn restart(&self) {
        self.set(&self.start);
    }

    /// Makes the world be this, without trouble.
    pub(super) fn set(&self, world: &World) {
        for (role, stage) in &self.stages {
            stage.set(&world[role]);
        }
    }

    /// The world as it is.
    pub(super) fn world(&self) -> World {
        self.stages.iter().map(|(role, stage)| (role.clone(), stage.documents())).collect()
    }

    /// The stages, by role.
    pub(super) fn stages(&self) -> impl Iterator<Item = (&str, &Stage)> {
        self.stages.iter().map(|(role, stage)| (role.as_str(), &**stage))
    }

    /// From now on this goes wrong everywhere.
    pub(super) fn trouble(&self, trouble: &Trouble) {
        self.stages.values().for_each(|stage| stage.trouble(trouble.clone()));
    }

    /// Every write since the world was set.
    pub(super) fn writes(&self) -> Vec<String> {
        self.stages.values().flat_map(|stage| stage.writes()).collect()
    }

    /// A scope for one life of a change.
    pub(super) fn scope(&self, label: &str) -> Arc<Scope> {
        Scope::new(Arc::clone(&self.key), format!("conformance {label}"))
    }

    /// All pages of the plan.
    pub(super) async fn plan(&self) -> Result<(Vec<ChangeBody>, Option<Value>), Failure> {
        let bounds = Bounds { at_once: 1, pages: MAX_PAGES };
        let mut pages = Pages::new(1, bounds, |PageOf { cursor, .. }| Box::pin(self.page(cursor)));
        let (mut changes, mut output) = (Vec::new(), None);
        while let Some((page, last)) = pages.next().await? {
            changes.extend(page);
            output = last.or(output);
        }
        Ok((changes, output))
    }

    async fn page(&self, cursor: Option<String>) -> Result<Paged<(Vec<ChangeBody>, Option<Value>)>, Failure> {
        let call = Call::Plan { operation: self.operation.name.clone(), input: self.input.clone(), linked: self.linked.clone(), cursor };
        match self.call(HookRights::looking("plan"), self.scope("plan"), call).await.result? {
            Answer::Page { changes, rest, output } => Ok(Paged { content: (changes, output), rest }),
            _ => Err(other_answer()),
        }
    }

    /// One observation.
    pub(super) async fn observe(&self) -> Result<Value, Failure> {
        let call =
            Call::Observe { context: self.context(""), operation: self.operation.name.clone(), input: self.input.clone(), change: None };
        match self.call(HookRights::looking("observe"), self.scope("observe"), call).await.result? {
            Answer::Observation(seen) => Ok(seen),
            _ => Err(other_answer()),
        }
    }

    /// The context of a hook call.
    pub(super) fn context(&self, change: &str) -> HookContext {
        let now = SystemClock.now();
        let deadline = now.after(Span(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)));
        let run = if change.is_empty() { String::new() } else { "conformance".to_owned() };
        HookContext { run, change: change.to_owned(), attempt: 1, now, deadline, idempotency_key: format!("conformance {change}") }
    }

    /// Calls a hook in a fresh instance, as the host does, and searches what it says.
    pub(super) async fn call(&self, rights: HookRights, scope: Arc<Scope>, call: Call) -> Called {
        self.call_within(self.timeout, rights, scope, call).await
    }

    /// The same in a world that never answers.
    pub(super) async fn call_in_silence(&self, rights: HookRights, scope: Arc<Scope>, call: Call) -> Called {
        self.trouble(&Trouble::Silent);
        self.call_within(SILENCE.min(self.timeout), rights, scope, call).await
    }

    async fn call_within(&self, timeout: Duration, rights: HookRights, scope: Arc<Scope>, call: Call) -> Called {
        let hook = rights.name;
        let ledger = rights.captured.is_some().then(|| Arc::new(NoRecord) as Arc<dyn Ledger>);
        let granted = Rights {
            operation: Arc::clone(&self.operation),
            seats: Arc::clone(&self.seats),
            hook: if ledger.is_some() { Hook::Writing } else { Hook::Looking },
            subject: rights.subject,
            captured: rights.captured.unwrap_or_default(),
            keep_raw: false,
        };
        let session =
            Arc::new(Session::new(granted, scope, ledger, Arc::clone(&self.entropy), CallLimits::default(), format!("conformance {hook}")));
        let powers = Arc::new(Listening { session: Arc::clone(&session), canaries: Arc::clone(&self.canaries), hook });
        let mut result = self.plugin.call(powers, call, timeout).await;
        let mut report = session.report();
        if let Some(violation) = report.violation.take() {
            result = Err(violation);
        }
        self.search(hook, &result);
        Called { result, session, report }
    }

    /// Looks for canaries in everything that an answer holds.
    fn search(&self, hook: &str, result: &Result<Answer, Failure>) {
        let watch = |what: &str, value: Option<&Value>| {
            if let Some(value) = value {
                self.canaries.watch(&format!("{hook}: {what}"), &value.to_string());
            }
        };
        match result {
            Err(failure) => self.canaries.watch(&format!("{hook}: its failure"), &failure.text),
            Ok(Answer::Page { changes, output, .. }) => {
                for change in changes {
                    let body = serde_json::to_value(change).expect("a change body has string keys only");
                    for (name, value) in body.as_object().into_iter().flatten() {
                        watch(&format!("`{name}` of change `{}`", change.id), Some(value));
                    }
                }
                watch("the output", output.as_ref());
            }
            Ok(Answer::Snapshot { state, expected }) => {
                watch("the state", state.as_ref());
                watch("`expected`", expected.as_ref());
            }
            Ok(Answer::Done { memo }) => watch("the memo", memo.as_ref()),
            Ok(Answer::Again { memo, note, .. }) => {
                watch("the memo", Some(memo));
                self.canaries.watch(&format!("{hook}: the note"), note);
            }
            Ok(Answer::Checks(checks)) => {
                checks.iter().for_each(|check| self.canaries.watch(&format!("{hook}: check `{}`", check.name), &check.detail));
            }
            Ok(Answer::Observation(seen)) => watch("the observation", Some(seen)),
        }
    }
}

impl Left {
    fn nothing(entropy: &dyn Entropy) -> Self {
        Self { world: World::new(), changes: Vec::new(), canaries: Arc::new(Canaries::new(entropy)) }
    }
}

/// What an author does instead where the kit has no place for a role.
const BY_A_RUN: &str = "leave the case out, test the hooks natively with `testing` of the SDK, and try the operation with `cutover run` \
     against servers of your own";

fn not_played(role: &str, kinds: &str) -> String {
    format!("role `{role}` takes kind `{kinds}`; the kit plays `http` and `file` only: {BY_A_RUN}")
}

/// The case's operation, if the case fits it.
fn operation(plugin: &Plugin, case: &Case) -> Result<Operation, String> {
    let manifest = plugin.manifest();
    let operation = manifest.operation(&case.operation).ok_or_else(|| {
        let names: Vec<&str> = manifest.operations.iter().map(|operation| operation.name.as_str()).collect();
        format!("the plugin has no operation `{}`; it has `{}`", case.operation, names.join("`, `"))
    })?;
    if operation.purpose == Purpose::Retire && case.changes.is_none() {
        let name = &operation.name;
        return Err(format!(
            "`{name}` ends what another operation moved: write a case for that one above, and `changes = \"ITS NAME\"` in this one"
        ));
    }
    if let Some(role) = operation.roles.iter().find(|role| role.cardinality == Cardinality::Many) {
        let name = &role.name;
        return Err(format!("role `{name}` takes a set of connections, which the kit does not play yet; {BY_A_RUN}"));
    }
    let named = case.world.keys().chain(case.public.keys());
    if let Some(role) = named.into_iter().find(|role| operation.role(role).is_none()) {
        let names: Vec<&str> = operation.roles.iter().map(|role| role.name.as_str()).collect();
        return Err(format!("operation `{}` has no role `{role}`; it has `{}`", operation.name, names.join("`, `")));
    }
    let validator = jsonschema::draft202012::new(&operation.input_schema).map_err(|error| error.masked().to_string())?;
    let problems: Vec<String> =
        validator.iter_errors(&case.with).map(|error| format!("`with{}`: {}", error.instance_path(), error.masked())).collect();
    if problems.is_empty() { Ok(operation.clone()) } else { Err(problems.join("; ")) }
}

/// Something that only a defect of this program can bring about.
pub(super) fn other_answer() -> Failure {
    let text = "the sandbox gave another answer than asked for".to_owned();
    Failure { case: cutover_engine::FailureCase::Internal, code: Some("CUT3409".to_owned()), text }
}
