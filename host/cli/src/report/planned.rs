//! A plan as its view shows it.

use std::collections::{BTreeMap, BTreeSet};

use cutover_engine::{
    Action, Catalog, ChangeNo, OnFailure, Per, Plan, PlannedOperation, PlannedProbe, PlannedStep, Pointer, Purpose, Role, RouteClass, Work,
};

use super::plan::{AccessView, ChangeCounts, LossView, Mark, PlanView, StepUndo, StepView, UndoView};

impl PlanView {
    /// The view of a plan. `catalog` has its plugins' offers if they are at hand: then the access names methods.
    #[must_use]
    pub fn of(plan: &Plan, catalog: Option<&Catalog>) -> Self {
        let header = &plan.header;
        let operations = || header.steps.iter().filter_map(|step| step.operation().map(|operation| (step, operation)));
        let wall = operations().find(|(_, operation)| operation.irreversible && !operation.changes.is_empty());
        let ids = |steps: &[cutover_engine::StepNo]| steps.iter().map(|step| plan.step(*step).id.clone()).collect::<Vec<_>>().join(", ");
        let grants = operations().flat_map(|(step, operation)| operation.plaintext.iter().map(move |grant| (step, operation, grant)));
        Self {
            digest: plan.digest.to_string(),
            workflow: header.name.clone(),
            file: header.file.clone(),
            owner: Some(header.owner.clone()).filter(|owner| !owner.is_empty()),
            plugins: header.plugins.values().map(|plugin| format!("{} {} {}", plugin.name, plugin.version, plugin.digest)).collect(),
            steps: header.steps.iter().map(|step| StepView::of(plan, step)).collect(),
            undo: wall.map_or(UndoView::Complete, |(step, _)| UndoView::UpTo(step.id.clone())),
            dual_run: header
                .dual_run
                .as_ref()
                .map(|dual| format!("{} .. {}, {} to {}", ids(&dual.from), ids(&dual.until), dual.min.exact(), dual.max.exact())),
            access: access(plan, catalog),
            plaintext: grants
                .map(|(step, operation, grant)| {
                    format!("{} lets plugin `{}` see {}{}: {}", step.id, operation.plugin, grant.role, grant.pointer, grant.reason)
                })
                .collect(),
            notes: notes(plan),
            saved: None,
            next: Vec::new(),
        }
    }
}

fn notes(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if !plan.changes.is_empty() {
        notes.push("the targets offer no lease: only this machine's lock keeps a second run away".to_owned());
    }
    if plan.header.on_failure == OnFailure::Pause {
        notes.push("a failure pauses the run; nothing goes back by itself".to_owned());
    }
    for step in &plan.header.steps {
        if let Some(operation) = step.operation()
            && operation.max_failed > 0
        {
            notes.push(format!("{}: up to {} changes may fail without failing the step", step.id, operation.max_failed));
        }
        if step.operation().is_some_and(|operation| operation.skipped) {
            notes.push(format!("{}: left out by `when`", step.id));
        }
    }
    notes
}

impl StepView {
    fn of(plan: &Plan, step: &PlannedStep) -> Self {
        let mut view = Self {
            id: step.id.clone(),
            mark: Mark::Gate,
            what: String::new(),
            counts: ChangeCounts::default(),
            losses: Vec::new(),
            undo: StepUndo::Nothing,
            checks: Vec::new(),
            rollout: None,
        };
        match &step.work {
            Work::Wait { span, until } => {
                let parts = [span.map(|span| format!("wait {}", span.exact())), until.map(|until| format!("wait until {until}"))];
                view.what = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
            }
            Work::Operation(operation) => view.describe(plan, operation),
        }
        view
    }

    fn describe(&mut self, plan: &Plan, operation: &PlannedOperation) {
        self.mark = if operation.purpose == Purpose::Retire { Mark::Retire } else { Mark::Change };
        let connections: Vec<&str> = operation.connections.values().map(String::as_str).collect();
        self.what = format!("{} {}", operation.operation, connections.join(" -> "));
        let changes = &plan.changes[operation.changes.start as usize..operation.changes.end as usize];
        let mut losses: BTreeMap<&str, u64> = BTreeMap::new();
        for change in changes {
            let count = match change.action {
                Action::Create => &mut self.counts.create,
                Action::Update => &mut self.counts.update,
                Action::Remove => &mut self.counts.remove,
                Action::Switch => &mut self.counts.switch,
            };
            *count += 1;
            for loss in &change.losses {
                *losses.entry(&loss.code).or_default() += u64::from(loss.count);
            }
        }
        // A plan with a material loss that nobody accepted is never made.
        let accepted = |code: &str| operation.accept.iter().any(|accepted| accepted == code);
        let loss = |(code, count): (&str, u64)| LossView {
            code: code.to_owned(),
            count,
            material: accepted(code),
            accepted: accepted(code),
            residue: operation.residue.contains_key(code),
        };
        self.losses = losses.into_iter().map(loss).collect();
        self.undo = match (changes.is_empty(), operation.irreversible) {
            (true, _) => StepUndo::Nothing,
            (false, true) => StepUndo::Irreversible,
            (false, false) => StepUndo::PreImage,
        };
        self.checks = operation.probes.iter().map(check).collect();
        let cohorts: Vec<String> = operation.cohorts.iter().map(ToString::to_string).collect();
        self.rollout = (cohorts.len() > 1).then(|| cohorts.join(", "));
    }
}

/// `probe.get every 10s for 1m, 1 of them may fail: result.status == 200`.
fn check(probe: &PlannedProbe) -> String {
    let per = match probe.per {
        Per::Change => " per change",
        Per::Cohort => " per cohort",
        Per::Step => "",
    };
    let series = if probe.span.0 > 0 { format!(" every {} for {}", probe.every.exact(), probe.span.exact()) } else { String::new() };
    let failures = if probe.max_failures > 0 { format!(", {} may fail", probe.max_failures) } else { String::new() };
    format!("{}.{}{per}{series}{failures}: {}", probe.plugin, probe.operation, probe.expect)
}

/// What reaches one connection.
#[derive(Default)]
struct Reach {
    classes: BTreeMap<&'static str, BTreeSet<String>>,
    steps: BTreeSet<String>,
    public: BTreeSet<String>,
    objects: BTreeSet<String>,
}

impl Reach {
    /// Adds the requests of a role, up to a class.
    fn allow(&mut self, role: Option<&Role>, most: RouteClass) {
        for route in role.iter().flat_map(|role| &role.routes).filter(|route| route.class <= most) {
            let class = match route.class {
                RouteClass::Read => "read",
                RouteClass::Login => "login",
                RouteClass::Add => "add",
                RouteClass::Write => "write",
            };
            self.classes.entry(class).or_default().insert(route.method.clone());
        }
    }

    /// Where no kind knows which object a request is about, the plugin says it: what is not plainly the request's own path.
    fn take_for(&mut self, role: Option<&Role>) {
        let routes = role.iter().flat_map(|role| &role.routes);
        let other = routes.filter_map(|route| Some((route, route.object.as_deref().filter(|object| !begins(&route.path, object))?)));
        self.objects.extend(other.map(|(route, object)| format!("{} {} as {object}", route.method, route.path)));
    }

    fn words(&self) -> String {
        if self.classes.is_empty() {
            return format!("used by {}", self.steps.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        let word = |(class, methods): (&&str, &BTreeSet<String>)| {
            format!("{class} ({})", methods.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
        };
        self.classes.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

/// A public place in words.
fn place(pointer: &Pointer) -> String {
    match pointer.to_string() {
        whole if whole.is_empty() => "everything".to_owned(),
        place => place,
    }
}

fn access(plan: &Plan, catalog: Option<&Catalog>) -> Vec<AccessView> {
    let role = |plugin: &str, operation: &str, role: &str| {
        catalog.and_then(|catalog| catalog.plugins.get(plugin)?.manifest.operation(operation)?.role(role))
    };
    let mut reached: BTreeMap<&str, Reach> = BTreeMap::new();
    for (step, operation) in plan.header.steps.iter().filter_map(|step| Some((step, step.operation()?))) {
        let working = operation.connections.iter().map(|(name, connection)| (name, connection, most(plan, operation, name)));
        // The hook that verifies sends nothing else.
        let verifying = operation.verify_with.iter().map(|(name, connection)| (name, connection, RouteClass::Login));
        for (name, connection, most) in working.chain(verifying) {
            let reach = reached.entry(connection).or_default();
            reach.steps.insert(step.id.clone());
            let role = role(&operation.plugin, &operation.operation, name);
            reach.allow(role, most);
            if plan.header.connections.get(connection).is_some_and(|connection| connection.kind == "http") {
                reach.take_for(role);
            }
            let public = operation.public.get(name).into_iter().chain(operation.proposed.get(name));
            reach.public.extend(public.flatten().map(place));
        }
        for probe in &operation.probes {
            for (name, connection) in &probe.connections {
                let reach = reached.entry(connection).or_default();
                reach.steps.insert(step.id.clone());
                reach.allow(role(&probe.plugin, &probe.operation, name), RouteClass::Login);
                reach.public.extend(probe.public.iter().chain(probe.proposed.get(name).into_iter().flatten()).map(place));
            }
        }
    }
    let view = |(name, reach): (&str, Reach)| {
        let connection = plan.header.connections.get(name);
        let authority = connection.map_or_else(String::new, |connection| match connection.members.len() {
            0 => connection.authority.clone(),
            members => format!("{} ({members} members)", connection.authority),
        });
        let declared = connection.and_then(|connection| connection.declaration.get("public")?.as_array());
        let declared = declared.into_iter().flatten().filter_map(|pointer| pointer.as_str().map(str::to_owned));
        let declared = declared.map(|place| if place.is_empty() { "everything".to_owned() } else { place });
        let public: BTreeSet<String> = reach.public.iter().cloned().chain(declared).collect();
        AccessView {
            connection: name.to_owned(),
            authority,
            classes: reach.words(),
            public: public.into_iter().collect(),
            objects: reach.objects.into_iter().collect(),
        }
    };
    reached.into_iter().map(view).collect()
}

/// The highest class of requests that the changes of a step can send in a role: what is in no change's subject is never written.
fn most(plan: &Plan, operation: &PlannedOperation, role: &str) -> RouteClass {
    let mut subjects = operation.changes.clone().flat_map(|change| &plan.change(ChangeNo(change)).subject);
    if subjects.any(|object| object.role == role) { RouteClass::Write } else { RouteClass::Add }
}

/// Whether an object is the beginning of the path whose requests are about it.
fn begins(path: &str, object: &str) -> bool {
    let (path, object) = (path.trim_matches('/'), object.trim_matches('/'));
    path.strip_prefix(object).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
