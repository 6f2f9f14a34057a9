//! How a plan looks to the person who has to say yes.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::report::{palette, printable, table::Table};

/// A plan, ready to be shown. Holds names and counts, never values.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// SHA-256 of the plan; approvals and runs name it.
    pub digest: String,
    /// The workflow's name.
    pub workflow: String,
    /// Its file, as the person named it.
    pub file: String,
    /// Its owner, if it says one.
    pub owner: Option<String>,
    /// The plugins in use, as `package version digest`.
    pub plugins: Vec<String>,
    /// In the order they run.
    pub steps: Vec<StepView>,
    /// Up to where everything can be taken back.
    pub undo: UndoView,
    /// The span in which old and new both work, such as `copy .. retire, 1h to 72h`.
    pub dual_run: Option<String>,
    /// What the plugins can reach.
    pub access: Vec<AccessView>,
    /// Secrets that the workflow lets a plugin see, each with its reason.
    pub plaintext: Vec<String>,
    /// What else the person should know, such as that the target offers no lease.
    pub notes: Vec<String>,
    /// Where the plan was saved.
    pub saved: Option<String>,
    /// Commands that go on from here.
    pub next: Vec<String>,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct StepView {
    /// The step's id.
    pub id: String,
    /// What it is.
    pub mark: Mark,
    /// In words: operation and target, or what a gate waits for.
    pub what: String,
    /// How many changes it has of each sort.
    pub counts: ChangeCounts,
    /// What is lost, with the count, by code.
    pub losses: Vec<LossView>,
    /// How it goes back.
    pub undo: StepUndo,
    /// The checks on it; empty means that only the host's own comparison and the plugin look.
    pub checks: Vec<String>,
    /// How it is exposed, such as `1, 10%, 100%`; nothing if all at once.
    pub rollout: Option<String>,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Makes or changes something.
    Change,
    /// Ends an old path.
    Retire,
    /// Waits.
    Gate,
}

impl Mark {
    fn symbol(self, counts: &ChangeCounts, undo: &StepUndo) -> &'static str {
        match self {
            _ if matches!(undo, StepUndo::Irreversible) => "!",
            Self::Gate => "gate",
            Self::Retire => "-",
            Self::Change if counts.is_nothing() => "=",
            Self::Change if counts.update + counts.switch + counts.remove == 0 => "+",
            Self::Change => "~",
        }
    }
}

/// How many changes of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChangeCounts {
    /// Made where nothing was.
    pub create: u64,
    /// Given another value.
    pub update: u64,
    /// Taken away or put aside.
    pub remove: u64,
    /// Made the one in use.
    pub switch: u64,
    /// Already as wanted: nothing will be written.
    pub present: u64,
}

impl ChangeCounts {
    fn is_nothing(&self) -> bool {
        self.create + self.update + self.remove + self.switch == 0
    }

    /// `2 to create, 1 present`; empty if there are none at all.
    pub(super) fn words(&self) -> String {
        let parts = [
            (self.create, "to create"),
            (self.update, "to update"),
            (self.remove, "to remove"),
            (self.switch, "to switch"),
            (self.present, "present"),
        ];
        let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, verb)| format!("{count} {verb}")).collect();
        parts.join(", ")
    }

    fn add(&mut self, other: &Self) {
        self.create += other.create;
        self.update += other.update;
        self.remove += other.remove;
        self.switch += other.switch;
        self.present += other.present;
    }
}

/// How a step goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepUndo {
    /// There is nothing to take back.
    Nothing,
    /// Each change to its pre-image.
    PreImage,
    /// Not at all, and neither does anything that it depends on.
    Irreversible,
}

/// A loss in a plan.
#[derive(Debug, Clone, Serialize)]
pub struct LossView {
    /// Its code.
    pub code: String,
    /// How many items it touches.
    pub count: u64,
    /// Whether it must be accepted by name.
    pub material: bool,
    /// Whether the workflow accepts it.
    pub accepted: bool,
    /// Whether a rollback leaves it behind.
    pub residue: bool,
}

impl LossView {
    /// What the operator should know besides its name and count.
    pub(super) fn words(&self, unaccepted: &str) -> String {
        let weight = match (self.material, self.accepted) {
            (false, _) => "inherent",
            (true, true) => "accepted by the workflow",
            (true, false) => unaccepted,
        };
        if self.residue { format!("{weight}, a rollback leaves it") } else { weight.to_owned() }
    }
}

/// Up to where everything can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoView {
    /// All of it.
    Complete,
    /// Up to this step; then none.
    UpTo(String),
}

/// What one connection lets through.
#[derive(Debug, Clone, Serialize)]
pub struct AccessView {
    /// The connection.
    pub connection: String,
    /// The one authority or folder that it grants.
    pub authority: String,
    /// Route classes, such as `read write`.
    pub classes: String,
    /// Places of its responses that are not sealed.
    pub public: Vec<String>,
    /// Requests that the plugin takes for reads or writes of another object than their path names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

impl PlanView {
    /// All changes of the plan.
    #[must_use]
    pub fn counts(&self) -> ChangeCounts {
        let mut sum = ChangeCounts::default();
        self.steps.iter().for_each(|step| sum.add(&step.counts));
        sum
    }

    /// Whether a run of it would write anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.counts().is_nothing()
    }

    /// For people. With ANSI styles.
    #[must_use]
    pub fn text(&self) -> String {
        let (strong, dim) = (palette::STRONG, palette::DIM);
        let digest: String = self.digest.chars().take(12).collect();
        let owner = self.owner.as_ref().map(|owner| format!("  owner {owner}")).unwrap_or_default();
        let mut out = format!(
            "{strong}Plan {digest}{strong:#}  {}  {}{}  {} step{}  {} plugin{}\n",
            printable::line(&self.file),
            printable::line(&self.workflow),
            printable::line(&owner),
            self.steps.len(),
            plural(self.steps.len()),
            self.plugins.len(),
            plural(self.plugins.len()),
        );
        out.push_str(&self.step_table());
        for line in self.losses() {
            let _ = writeln!(out, "{line}");
        }
        self.facts(&mut out);
        for (index, next) in self.next.iter().enumerate() {
            let _ = writeln!(out, "{strong}{:<10}{strong:#}{}", if index == 0 { "Next" } else { "" }, printable::line(next));
        }
        if self.next.is_empty() && !self.has_changes() {
            let _ = writeln!(out, "{dim}Nothing to do.{dim:#}");
        }
        out
    }

    fn step_table(&self) -> String {
        let mut table = Table::new(&[]).indented(2);
        for step in &self.steps {
            let undo = match step.undo {
                StepUndo::Nothing => "",
                StepUndo::PreImage => "undo: back to the pre-image",
                StepUndo::Irreversible => "IRREVERSIBLE",
            };
            let checks = match (step.mark, step.checks.as_slice()) {
                (Mark::Gate, _) => String::new(),
                (_, []) => "check: host and plugin only".to_owned(),
                (_, checks) => format!("check: {}", checks.join(", ")),
            };
            let rollout = step.rollout.as_ref().map(|rollout| format!("in cohorts {rollout}")).unwrap_or_default();
            table.row([step.symbol(), &step.id, &step.what, &step.counts.words(), undo, &checks, &rollout]);
        }
        table.text()
    }

    /// One line a loss code of a step.
    fn losses(&self) -> Vec<String> {
        let warning = palette::WARNING;
        let lines = self.steps.iter().flat_map(|step| step.losses.iter().map(move |loss| (step, loss)));
        let lines = lines.map(|(step, loss)| {
            let label = if loss.material && !loss.accepted { "LOSES" } else { "Loses" };
            let words = loss.words("must be accepted by name");
            format!(
                "{warning}{label:<10}{warning:#}{}: {} ({}), {words}",
                printable::line(&step.id),
                printable::line(&loss.code),
                loss.count
            )
        });
        lines.collect()
    }

    fn facts(&self, out: &mut String) {
        let mut fact = |label: &str, text: &str| {
            let strong = palette::STRONG;
            let _ = writeln!(out, "{strong}{label:<10}{strong:#}{}", printable::line(text));
        };
        match &self.undo {
            UndoView::Complete => fact("Undo", "complete"),
            UndoView::UpTo(step) => fact("Undo", &format!("complete up to {step}, then none for what it depends on")),
        }
        if let Some(dual_run) = &self.dual_run {
            fact("Dual run", dual_run);
        }
        for (index, access) in self.access.iter().enumerate() {
            fact(if index == 0 { "Access" } else { "" }, &access.line());
        }
        fact(if self.access.is_empty() { "Access" } else { "" }, "nothing else");
        for grant in &self.plaintext {
            fact("PLAINTEXT", grant);
        }
        for note in &self.notes {
            fact("Note", note);
        }
        fact("Contains", "no secret values and no credentials; safe to attach to a ticket");
        if let Some(saved) = &self.saved {
            fact("Saved", saved);
        }
    }

    /// For programs: the view itself, with the sums and `exit`.
    #[must_use]
    pub fn document(&self, exit: crate::exit_code::ExitCode) -> impl Serialize + '_ {
        Document { plan: self, changes: self.counts(), losses: self.loss_sums(), exit }
    }

    fn loss_sums(&self) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for loss in self.steps.iter().flat_map(|step| &step.losses) {
            *sums.entry(loss.code.as_str()).or_default() += loss.count;
        }
        sums
    }
}

impl StepView {
    /// `+`, `~`, `-`, `=`, `!` or `gate`.
    #[must_use]
    pub fn symbol(&self) -> &'static str {
        self.mark.symbol(&self.counts, &self.undo)
    }
}

impl AccessView {
    fn line(&self) -> String {
        let public = if self.public.is_empty() { String::new() } else { format!("  not sealed: {}", self.public.join(" ")) };
        let objects = if self.objects.is_empty() { String::new() } else { format!("  takes {}", self.objects.join(", ")) };
        format!("{}: {} {}{public}{objects}", self.connection, self.classes, self.authority)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    plan: &'a PlanView,
    changes: ChangeCounts,
    losses: BTreeMap<&'a str, u64>,
    exit: crate::exit_code::ExitCode,
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::exit_code::ExitCode;

    fn step(id: &str, mark: Mark, what: &str, counts: ChangeCounts, undo: StepUndo) -> StepView {
        StepView { id: id.into(), mark, what: what.into(), counts, losses: Vec::new(), undo, checks: Vec::new(), rollout: None }
    }

    fn example() -> PlanView {
        let copy = StepView {
            losses: vec![
                LossView { code: "file-comments".into(), count: 3, material: false, accepted: false, residue: false },
                LossView { code: "key-order".into(), count: 1, material: true, accepted: true, residue: true },
            ],
            checks: vec!["probe.get every 10s for 1m".into()],
            rollout: Some("1, 10%, 100%".into()),
            ..step(
                "copy",
                Mark::Change,
                "copy-files legacy -> store",
                ChangeCounts { create: 311, present: 1, ..Default::default() },
                StepUndo::PreImage,
            )
        };
        PlanView {
            digest: "9c41e2aa01ff".repeat(6)[..64].into(),
            workflow: "payments".into(),
            file: "payments.toml".into(),
            owner: Some("team-payments".into()),
            plugins: vec!["cutover:vault-migrator 0.1.0 5be0".into()],
            steps: vec![
                copy,
                step("soak", Mark::Gate, "wait 24h", ChangeCounts::default(), StepUndo::Nothing),
                step("retire", Mark::Retire, "retire-files legacy", ChangeCounts { remove: 312, ..Default::default() }, StepUndo::PreImage),
                step(
                    "destroy",
                    Mark::Retire,
                    "destroy-files legacy",
                    ChangeCounts { remove: 312, ..Default::default() },
                    StepUndo::Irreversible,
                ),
            ],
            undo: UndoView::UpTo("destroy".into()),
            dual_run: Some("copy .. retire, 24h to 72h".into()),
            access: vec![
                AccessView {
                    connection: "legacy".into(),
                    authority: "./legacy".into(),
                    classes: "read write".into(),
                    public: vec![],
                    objects: vec![],
                },
                AccessView {
                    connection: "app".into(),
                    authority: "https://app.corp".into(),
                    classes: "read".into(),
                    public: vec!["/auth_failures".into()],
                    objects: vec!["GET /sealed/{id} as {id}".into()],
                },
            ],
            plaintext: vec![],
            notes: vec!["the target offers no lease of its own".into()],
            saved: Some("payments.cutplan".into()),
            next: vec!["cutover run payments.cutplan".into()],
        }
    }

    #[test]
    fn text_names_counts_undo_losses_access_and_the_next_command() {
        assert_snapshot!(anstream::adapter::strip_str(&example().text()), @r"
        Plan 9c41e2aa01ff  payments.toml  payments  owner team-payments  4 steps  1 plugin
          +     copy     copy-files legacy -> store  311 to create, 1 present  undo: back to the pre-image  check: probe.get every 10s for 1m  in cohorts 1, 10%, 100%
          gate  soak     wait 24h
          -     retire   retire-files legacy         312 to remove             undo: back to the pre-image  check: host and plugin only
          !     destroy  destroy-files legacy        312 to remove             IRREVERSIBLE                 check: host and plugin only
        Loses     copy: file-comments (3), inherent
        Loses     copy: key-order (1), accepted by the workflow, a rollback leaves it
        Undo      complete up to destroy, then none for what it depends on
        Dual run  copy .. retire, 24h to 72h
        Access    legacy: read write ./legacy
                  app: read https://app.corp  not sealed: /auth_failures  takes GET /sealed/{id} as {id}
                  nothing else
        Note      the target offers no lease of its own
        Contains  no secret values and no credentials; safe to attach to a ticket
        Saved     payments.cutplan
        Next      cutover run payments.cutplan
        ");
    }

    #[test]
    fn markdown_has_the_same_facts() {
        assert_snapshot!(example().markdown(), @r"
        ### Plan `9c41e2aa01ff`: `payments`, owner `team-payments`

        | | step | what | changes | undo | check |
        |---|---|---|---|---|---|
        | `+` | `copy` | `copy-files legacy -> store` | 311 to create, 1 present, in cohorts `1, 10%, 100%` | to the pre-image | `probe.get every 10s for 1m` |
        | `gate` | `soak` | `wait 24h` |  |  |  |
        | `-` | `retire` | `retire-files legacy` | 312 to remove | to the pre-image |  |
        | `!` | `destroy` | `destroy-files legacy` | 312 to remove | **IRREVERSIBLE** |  |

        - **Loses**: `copy`: `file-comments` (3), inherent
        - **Loses**: `copy`: `key-order` (1), accepted by the workflow, a rollback leaves it
        - **Undo**: complete up to `destroy`, then **none** for what it depends on
        - **Dual run**: `copy .. retire, 24h to 72h`
        - **Access**: `legacy`: read write `./legacy`
        - **Access**: `app`: read `https://app.corp`, not sealed: `/auth_failures`, takes `GET /sealed/{id} as {id}`
        - **Note**: `the target offers no lease of its own`
        - **Plugin**: `cutover:vault-migrator 0.1.0 5be0`

        No secret values and no credentials. Digest: `9c41e2aa01ff9c41e2aa01ff9c41e2aa01ff9c41e2aa01ff9c41e2aa01ff9c41`
        ");
    }

    #[test]
    fn a_plan_without_changes_says_so() {
        let mut plan = example();
        plan.steps = vec![step("copy", Mark::Change, "copy-files", ChangeCounts { present: 4, ..Default::default() }, StepUndo::Nothing)];
        plan.next.clear();
        assert!(!plan.has_changes());
        let text = anstream::adapter::strip_str(&plan.text()).to_string();
        assert!(text.contains("  =  copy  copy-files  4 present") && text.ends_with("Nothing to do.\n"), "{text}");
    }

    #[test]
    fn document_has_sums() {
        let document = serde_json::to_value(example().document(ExitCode::Changes)).expect("JSON");
        assert_eq!(document["changes"]["create"], 311);
        assert_eq!(document["changes"]["remove"], 624);
        assert_eq!(document["losses"]["file-comments"], 3);
        assert_eq!(document["exit"], 2);
        assert_eq!(document["plan"]["undo"]["up-to"], "destroy");
    }
}
