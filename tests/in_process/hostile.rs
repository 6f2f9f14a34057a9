//! A plugin that misbehaves in every way: each is refused or found out, the run goes back, and the next run is untouched.

use std::{collections::BTreeMap, sync::Arc};

use cutover_engine::{ChangeNo, Ending, Event, Failure, HookKind, LineLevel, Outcome};
use cutover_runtime::{disk::SystemDisk, drive::WITHHELD, runs::Rested};
use cutover_tests::{MemoryKind, MemoryServer, Rig, TestClock, warm_sandbox};
use serde_json::{Value, json};

/// The field that the workflow grants in plain.
const PIN: &str = "pin 4711-8822-granted";

/// Changes of an honest step beside it.
const MANY: usize = 300;

/// A source with secrets, a target with old values and one object that is nobody's business.
struct World {
    rig: Rig,
    kind: Arc<MemoryKind>,
    target: Arc<MemoryServer>,
    elsewhere: Arc<MemoryServer>,
    start: BTreeMap<String, Value>,
}

impl World {
    fn new() -> Self {
        let kind = MemoryKind::new();
        let source = kind.server("https://source.test");
        let secret = |text: &str| json!({ "password": text });
        source.put("s/1", secret("correct horse battery staple"));
        source.put("s/2", secret("tr0ub4dor-and-three-more"));
        source.put("s/3", secret("0123456789abcdef0123"));
        source.put("s/4", secret("never to be copied"));
        source.put("s/other", json!({ "password": "the secret of another change", "pin": PIN }));
        let target = kind.server("https://target.test");
        target.put("t/1", secret("the old value"));
        target.put("t/foreign", secret("of somebody else"));
        target.put("other/1", secret("of somebody else"));
        let mut rig = Rig::with(Arc::new(SystemDisk), Arc::new(TestClock::new()), kind.kinds());
        rig.host.sandbox = warm_sandbox();
        let start = target.documents();
        Self { rig, target, elsewhere: kind.server("https://elsewhere.test"), start, kind }
    }

    async fn run(&self, mode: &str) -> Result<(Rested, Vec<Event>), String> {
        self.rig.run(&workflow(mode), &[("hostile", "hostile")]).await.map_err(|error| format!("{error:?}"))
    }

    /// Everything is as it was, and an honest run works.
    async fn is_untouched(&self, case: &str) {
        assert_eq!(self.target.documents(), self.start, "{case}");
        assert!(self.elsewhere.documents().is_empty(), "{case}");
        let (rested, events) = self.run("").await.expect("an honest run");
        assert_eq!(rested.ending, Ending::Completed, "after {case}: {events:#?}");
        let copied = self.target.documents();
        assert_eq!(copied["t/2"], json!({ "password": "tr0ub4dor-and-three-more" }), "after {case}");
    }
}

/// A workflow in which the plugin misbehaves in this way; empty for none.
fn workflow(mode: &str) -> String {
    format!(
        r#"
cutover = 1
name = "hostile"
owner = "tests"

[plugins]
hostile = {{ path = "hostile.wasm" }}

[connections]
source = {{ kind = "http", url = "https://source.test" }}
target = {{ kind = "http", url = "https://target.test" }}
elsewhere = {{ kind = "http", url = "https://elsewhere.test" }}

[[step]]
id = "copy"
uses = "hostile.copy"
connections = {{ source = "source", target = "target", elsewhere = "elsewhere" }}
with = {{ mode = "{mode}" }}
plaintext = [{{ role = "source", pointer = "/pin", reason = "the plugin checks its form" }}]
timeout = "3s"
"#
    )
}

/// All failures of a run, in order.
fn failures(rested: &Rested, events: &[Event]) -> Vec<Failure> {
    let failed = |event: &Event| match event {
        Event::HookFailed { failure, .. }
        | Event::ApplyEnded { outcome: Outcome::Failed(failure) | Outcome::Unknown(failure), .. }
        | Event::RollbackEnded { outcome: Outcome::Failed(failure) | Outcome::Unknown(failure), .. } => Some(failure.clone()),
        _ => None,
    };
    events.iter().filter_map(failed).chain(rested.run.failure(ChangeNo(0)).cloned()).collect()
}

/// Each mode is refused with this code and these words; the run goes back and nothing is left.
async fn all_go_back(cases: &[(&str, &str, &str)]) {
    for (mode, code, words) in cases {
        let world = World::new();
        let (rested, events) = world.run(mode).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        let failures = failures(&rested, &events);
        let told = failures.iter().any(|failure| failure.code.as_deref() == Some(code) && failure.text.contains(words));
        assert!(told, "{mode}: wanted {code} `{words}`, got {failures:#?}");
        assert_eq!(rested.ending, Ending::RolledBack, "{mode}: {events:#?}");
        world.is_untouched(mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_that_do_not_look_are_refused() {
    all_go_back(&[
        ("capture-blind", "CUT3410", "read no object of the change's subject"),
        ("capture-elsewhere", "CUT3410", "read no object of the change's subject"),
        ("capture-borrows", "CUT3411", "sealed values that it did not read"),
        ("capture-skips", "CUT3207", "which this change's capture did not read"),
        ("capture-writes", "CUT3205", "this hook may only look"),
        ("capture-generates", "CUT3406", "only apply and rollback may generate"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_writes_is_no_plan() {
    for (mode, code, words) in
        [("plan-writes", "CUT3205", "this hook may only look"), ("plan-generates", "CUT3406", "only apply and rollback")]
    {
        let world = World::new();
        let error = world.run(mode).await.err().unwrap_or_else(|| panic!("{mode} has a plan"));
        assert!(error.contains(code) && error.contains(words), "{mode}: {error}");
        world.is_untouched(mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_end_is_no_plan() {
    for (mode, words) in [("plan-names-itself", "names the same page twice"), ("plan-explodes", "more than 100000 pages")] {
        let world = World::new();
        let error = world.run(mode).await.err().unwrap_or_else(|| panic!("{mode} has a plan"));
        assert!(error.contains("CUT3414") && error.contains(words), "{mode}: {error}");
        world.is_untouched(mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apply_claims_is_compared_with_the_world() {
    all_go_back(&[("apply-nothing", "CUT3505", "nothing changed"), ("apply-two-of-three", "CUT3505", "its subject is not as expected")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_did_not_look_pass_nothing() {
    all_go_back(&[
        ("verify-blind", "CUT3506", "inconclusive"),
        ("verify-elsewhere", "CUT3506", "inconclusive"),
        ("verify-writes", "CUT3205", "this hook may only look"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_outside_the_grant_are_refused_even_if_the_refusal_is_swallowed() {
    all_go_back(&[
        ("apply-fourth", "CUT3206", "which is not in the change's subject"),
        ("swallow", "CUT3206", "which is not in the change's subject"),
        ("no-route", "CUT3203", "is on no route of role `target`"),
        ("unnamed-read", "CUT3204", "add the line `reads = "),
        ("no-role", "CUT3402", "no role `admin`"),
        ("no-member", "CUT3403", "no member `m1`"),
        ("dot-segments", "CUT3201", "the path"),
        ("host-header", "CUT3208", "it belongs to the host"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_go_nowhere_but_into_whole_leaves_of_their_flow() {
    all_go_back(&[
        ("leak-elsewhere", "CUT3302", "no flow of the operation leads from `source` to `elsewhere`"),
        ("token-in-path", "CUT3304", "the path"),
        ("token-in-query", "CUT3304", "the query"),
        ("token-in-header", "CUT3304", "a header"),
        ("token-in-text", "CUT3304", "inside a longer string"),
        ("token-in-note", "CUT3304", "inside a longer string"),
        ("token-in-key", "CUT3304", "an object's key"),
        ("token-in-bytes", "CUT3304", "a body of bytes"),
        ("literal", "CUT3303", "takes only sealed or generated values"),
        ("fake-token", "CUT3301", "not of this change"),
        ("foreign-token", "CUT3301", "not of this change"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_traps_or_takes_too_much_ends_alone() {
    all_go_back(&[
        ("trap", "CUT3101", ""),
        ("trap-after-write", "CUT3101", ""),
        ("loop", "CUT3102", ""),
        ("memory", "CUT3103", ""),
        ("large-memo", "CUT3106", ""),
        ("requests", "CUT3209", "a hook call is limited to 1000 requests"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_log_lines_changes_nothing() {
    let world = World::new();
    let (rested, events) = world.run("logs").await.expect("a run");
    assert_eq!(rested.ending, Ending::Completed);
    assert!(!format!("{events:?}").contains('\u{1b}'));
    let lines = events.iter().filter_map(|event| match event {
        Event::Logged { change: Some(_), hook: HookKind::Apply, level: LineLevel::Warn, text, .. } => Some(text),
        _ => None,
    });
    let (mut count, mut bytes) = (0, 0);
    lines.for_each(|line| (count, bytes) = (count + 1, bytes + line.len()));
    assert!(count > 1 && bytes < 3 * 17 * 1024, "three changes, each call may log 16 KiB: {count} lines, {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_takes_more_is_refused_and_told() {
    // Its own work was done before it reached for more: the change is back.
    all_go_back(&[("fails-then-rollback-more", "CUT3206", "`target:t/foreign`, which is not in the change's subject")]).await;
    for mode in ["fails-then-rollback-greedy", "fails-then-rollback-destroys"] {
        let world = World::new();
        let (rested, events) = world.run(mode).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!(rested.ending, Ending::Stuck, "{mode}: {events:#?}");
        assert_eq!(rested.run.open().count(), 1, "{mode}");
        let (now, start) = (world.target.documents(), &world.start);
        assert_eq!((&now["t/foreign"], &now["other/1"]), (&start["t/foreign"], &start["other/1"]), "{mode}");
        if mode == "fails-then-rollback-greedy" {
            assert!(failures(&rested, &events).iter().any(|failure| failure.code.as_deref() == Some("CUT3206")), "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_make_a_token_tells_whether_a_guess_is_right() {
    let world = World::new();
    let (rested, _) = world.run("guess").await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack, "a note is not what was wanted");
    let notes = world.target.log().into_iter().filter_map(|exchange| exchange.body?["note"].as_str().map(str::to_owned));
    let note = notes.last().expect("the plugin says what it found");
    let found = note.strip_prefix("found: ").expect("the plugin came to its end");
    assert!(found.is_empty(), "ways that tell: {found}");
    world.is_untouched("guess").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_in_plain_reaches_no_log() {
    let world = World::new();
    let (rested, events) = world.run("grant-in-log").await.expect("a run");
    assert_eq!(rested.ending, Ending::Interrupted, "{events:#?}");
    let lines: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Logged { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("withheld")), "{lines:?}");
    assert!(!format!("{events:?}").contains(PIN));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_in_plain_reaches_neither_plan_nor_journal() {
    for mode in ["grant-in-plan", "grant-in-check"] {
        let world = World::new();
        match world.run(mode).await {
            Err(told) => assert!(told.contains("Leak { place: \"line 2 of the plan\" }") && !told.contains(PIN), "{mode}: {told}"),
            // Its text is withheld, and the run stops where it is.
            Ok((rested, events)) => {
                assert_eq!((mode, rested.ending), ("grant-in-check", Ending::Interrupted));
                let told = format!("{events:?}");
                assert!(told.contains(WITHHELD) && !told.contains(PIN), "{mode}: {told}");
            }
        }
        let state = world.rig.path("state");
        let mut folders = vec![state];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match std::fs::read(entry.path()) {
                    Ok(bytes) => assert!(!bytes.windows(PIN.len()).any(|part| part == PIN.as_bytes()), "{mode}: {:?}", entry.path()),
                    Err(_) => folders.push(entry.path()),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_json_is_refused() {
    let world = World::new();
    let workflow = r#"
cutover = 1
name = "malformed"
owner = "tests"

[plugins]
malformed = { path = "malformed.wasm" }

[connections]
target = { kind = "http", url = "https://target.test" }

[[step]]
id = "answer"
uses = "malformed.answer"
connections = { target = "target" }
"#;
    let (rested, events) = world.rig.run(workflow, &[("malformed", "malformed")]).await.expect("a run");
    assert_eq!(rested.ending, Ending::RolledBack);
    assert!(failures(&rested, &events).iter().any(|failure| failure.code.as_deref() == Some("CUT3107")), "{events:#?}");
    world.is_untouched("malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_changes_in_flight_end_their_hooks_and_other_runs_go_on() {
    let world = World::new();
    let kind = |name: &str| world.kind.server(&format!("https://{name}.test"));
    let (numbers, others) = (kind("numbers"), kind("others"));
    let plugins = [("hostile", "hostile"), ("numbers", "one-write")];
    let step = |target: &str| {
        format!(
            "[[step]]\nid = \"put\"\nuses = \"numbers.put\"\nneeds = []\nwith = {{ count = {MANY} }}\nconnections = {{ target = \"{target}\" }}\n\
             rollout = {{ parallel = 2 }}\n"
        )
    };
    let both = format!("{}\n{}", workflow("trap"), step("numbers")).replace(
        "[plugins]",
        "[connections.numbers]\nkind = \"http\"\nurl = \"https://numbers.test\"\n\n[plugins]\nnumbers = { path = \"numbers.wasm\" }",
    );
    let alone = format!(
        "cutover = 1\nname = \"alone\"\nowner = \"tests\"\n[plugins]\nnumbers = {{ path = \"numbers.wasm\" }}\n\
         [connections.others]\nkind = \"http\"\nurl = \"https://others.test\"\n{}",
        step("others")
    );
    let (hostile, honest) = tokio::join!(world.rig.run(&both, &plugins), world.rig.run(&alone, &plugins[1..]));
    let ((hostile, events), (honest, _)) = (hostile.expect("a run"), honest.expect("a run"));

    assert_eq!(hostile.ending, Ending::RolledBack, "{events:#?}");
    let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    let started = count(|event| matches!(event, Event::ApplyStarted { .. }));
    assert_eq!(started, count(|event| matches!(event, Event::ApplyEnded { .. })), "each hook that began came to its end");
    assert!((2..MANY).contains(&started), "{started} of {MANY}: some were under way, and none began after that");
    assert!(numbers.documents().is_empty(), "what was written is taken back");
    assert_eq!(world.target.documents(), world.start);

    assert_eq!((honest.ending, others.documents().len()), (Ending::Completed, MANY));
}
