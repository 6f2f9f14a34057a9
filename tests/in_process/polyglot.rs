//! A guest in JavaScript and one in Python run within the default limits; what they need of each is measured here.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::{Ending, Failure, FailureCase, Timestamp};
use cutover_runtime::{
    clock::BoxFuture,
    hook::{Answer, Call, CertificateFacts, Form, GenerateKind, Generated, HookContext, LogLevel, Powers, Request, Response},
    sandbox::{Compiler, Limits, Sandbox, compile_child},
};
use cutover_tests::{GuestMemory, foreign_component, sandbox_within, watched_sandbox};
use serde_json::{Value, json};

use crate::{
    health::Application,
    scene::{Scene, copy},
};

/// Every limit is at least this much of what the guests need, in percent: more than half as much again.
const HEADROOM: usize = 160;
/// No guest in another language needs more table elements: `TABLE_ELEMENTS` was chosen after this.
const MOST_TABLE_ELEMENTS: usize = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_in_javascript_runs_within_the_default_limits() {
    runs("js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_in_python_runs_within_the_default_limits() {
    runs("python").await;
}

async fn runs(language: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let compiling = folder.path().join("compiling");
    let sandbox = Sandbox::new(Limits::default(), child(&compiling), None).expect("a sandbox");
    let start = Instant::now();
    let packed = sandbox.pack(&foreign_component(language)).await.expect("packed within the default limits");
    let wall = start.elapsed();
    drop(sandbox);

    watches_an_application(&packed).await;

    let needs = Needs::measured(&packed).await;
    println!("{language}: {needs:?}");
    println!("{language}: compiled in {} ms; {}", wall.as_millis(), fs::read_to_string(&compiling).expect("the compiling process tells"));
    needs.assert_well_within(&Limits::default());
}

/// Asks a real server over the host's own connection, as the verification of a step.
async fn watches_an_application(packed: &[u8]) {
    let mut components = BTreeMap::from([("probe".to_owned(), packed.to_vec())]);
    components.insert("files".to_owned(), cutover_tests::component("vault-migrator").await);
    for (said, ending) in [(7, Ending::Completed), (8, Ending::RolledBack)] {
        let app = Application::start(move |_| async move { said }).await;
        let mut scene = Scene::new().with_files(1);
        scene.rig.host.sandbox = Arc::new(sandbox_within(Limits::default()));
        let verify = r#"
[[step.verify]]
uses = "probe.get"
connections = { target = "app" }
with = { path = "health/deep" }
per = "step"
expect = "result.status == 200 && result.body.auth_failures == 7"
"#;
        let text = scene.workflow("", &format!(r#"app = {{ kind = "http", url = "{}" }}"#, app.url), &[&copy(verify)]);
        let prepared = scene.rig.prepare_with(&text, components.clone()).await.expect("a plan");
        let (rested, events) = scene.rig.start(prepared, false).await.expect("a run");
        assert_eq!(rested.ending, ending, "{events:#?}");
        assert_eq!(app.asked(), 1);
    }
}

/// What one call needs of each limit: the smallest value within which the guest still answers.
#[derive(Debug)]
struct Needs {
    component_bytes: usize,
    instances: usize,
    memories: usize,
    memory_bytes: usize,
    tables: usize,
    table_elements: usize,
}

impl Needs {
    async fn measured(packed: &[u8]) -> Self {
        let most = Limits::default();
        Self {
            component_bytes: packed.len(),
            instances: smallest(packed, most.instances, |instances| Limits { instances, ..Limits::default() }).await,
            memories: smallest(packed, most.memories, |memories| Limits { memories, ..Limits::default() }).await,
            memory_bytes: memory_bytes(packed).await,
            tables: smallest(packed, most.tables, |tables| Limits { tables, ..Limits::default() }).await,
            table_elements: smallest(packed, most.table_elements, |table_elements| Limits { table_elements, ..Limits::default() }).await,
        }
    }

    fn assert_well_within(&self, limits: &Limits) {
        let each = [
            ("component_bytes", self.component_bytes, limits.component_bytes),
            ("instances", self.instances, limits.instances),
            ("memory_bytes", self.memory_bytes, limits.memory_bytes),
            ("memories", self.memories, limits.memories),
            ("tables", self.tables, limits.tables),
            ("table_elements", self.table_elements, limits.table_elements),
        ];
        for (name, needed, limit) in each {
            assert!(needed * HEADROOM <= limit * 100, "{name}: {needed} of {limit} leaves too little room");
        }
        assert!(self.table_elements <= MOST_TABLE_ELEMENTS, "measure again and choose TABLE_ELEMENTS anew: {}", self.table_elements);
    }
}

/// The smallest value that works, by halving; `most` is known to work.
async fn smallest(packed: &[u8], most: usize, limits: impl Fn(usize) -> Limits) -> usize {
    let (mut fails, mut works) = (0, most);
    assert!(answers(&sandbox_within(limits(most)), packed).await);
    while works - fails > 1 {
        let middle = usize::midpoint(fails, works);
        if answers(&sandbox_within(limits(middle)), packed).await {
            works = middle;
        } else {
            fails = middle;
        }
    }
    works
}

/// The memory at the end of a call, as the host counts it.
async fn memory_bytes(packed: &[u8]) -> usize {
    let memories = GuestMemory::searched_for([("the answer".to_owned(), ANSWER.as_bytes().to_vec())]);
    assert!(answers(&watched_sandbox(memories.clone()), packed).await);
    let seen = memories.seen();
    assert!(seen.unseen == 0 && seen.hits.contains("End: the answer"), "every memory of the guest is seen: {seen:?}");
    seen.largest
}

const ANSWER: &str = "an answer of the desk that the guest gets to see";

/// Whether the guest can be loaded and gives back what it was answered. Any other answer is a mistake.
async fn answers(sandbox: &Sandbox, packed: &[u8]) -> bool {
    let Ok(plugin) = sandbox.load(packed).await else { return false };
    let context = HookContext {
        run: "r".into(),
        change: String::new(),
        attempt: 1,
        now: Timestamp(1),
        deadline: Timestamp(2),
        idempotency_key: "k".into(),
    };
    let call = Call::Observe { context, operation: "get".into(), input: json!({ "path": "a/b" }), change: None };
    match plugin.call(Arc::new(Desk), call, Duration::from_mins(1)).await {
        Ok(Answer::Observation(observed)) => {
            assert_eq!(observed, json!({ "status": 203, "body": { "said": ANSWER } }));
            true
        }
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            assert_eq!(failure.case, FailureCase::Exhausted, "{failure:?}");
            false
        }
    }
}

/// Answers the one request that the guests make.
struct Desk;

fn unsupported<T>() -> Result<T, Failure> {
    Err(Failure { case: FailureCase::Unsupported, code: None, text: "not at this desk".into() })
}

impl Powers for Desk {
    fn send(&self, role: String, member: Option<String>, request: Request) -> BoxFuture<'_, Result<Response, Failure>> {
        assert_eq!((role.as_str(), member, request.method.as_str(), request.path.as_str()), ("target", None, "GET", "/a/b"));
        Box::pin(async { Ok(Response { status: 203, headers: Vec::new(), body: Some(json!({ "said": ANSWER })) }) })
    }

    fn members(&self, _role: &str) -> Vec<String> {
        Vec::new()
    }

    fn generate(&self, _label: String, _kind: GenerateKind) -> BoxFuture<'_, Result<Generated, Failure>> {
        Box::pin(async { unsupported() })
    }

    fn parse(&self, _token: &str, _form: Form) -> Result<Value, Failure> {
        unsupported()
    }

    fn render(&self, _document: &Value, _form: Form) -> Result<String, Failure> {
        unsupported()
    }

    fn sign(&self, _key: &str, _message: &[u8]) -> Result<String, Failure> {
        unsupported()
    }

    fn csr(&self, _key: &str, _names: &[String]) -> Result<String, Failure> {
        unsupported()
    }

    fn certificate_facts(&self, _certificate: &str) -> Result<CertificateFacts, Failure> {
        unsupported()
    }

    fn claims(&self, _token: &str) -> Result<Value, Failure> {
        unsupported()
    }

    fn log(&self, _level: LogLevel, _message: &str) {}
}

/// A compiler like the program's: a process with limits, which is this test program. It tells in `told` what it needed.
fn child(told: &Path) -> Compiler {
    // The harness writes to the standard output, so the code goes to descriptor 3.
    let script = "exec 3>&1 >/dev/null; COMPILING=$1 exec \"$0\" --exact polyglot::the_compiling_process --nocapture";
    let itself = std::env::current_exe().expect("this program").into_os_string();
    let command: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), script.into(), itself, told.into()];
    Compiler::ChildProcess { command }
}

/// The compiling process of [`child`]; as a test of its own it has nothing to do.
#[test]
fn the_compiling_process() {
    let Some(told) = std::env::var_os("COMPILING") else { return };
    let output = fs::File::options().write(true).open("/dev/fd/3").expect("descriptor 3");
    compile_child(std::io::stdin(), output);
    let status = fs::read_to_string("/proc/self/status").expect("proc(5)");
    let sizes = status.lines().filter(|line| line.starts_with("VmPeak") || line.starts_with("VmHWM")).collect::<Vec<_>>().join(", ");
    // After the program's name: user and system time of all threads are the twelfth and thirteenth word, in 1/100 s.
    let stat = fs::read_to_string("/proc/self/stat").expect("proc(5)");
    let words = stat.rsplit_once(')').expect("a name in brackets").1.split_ascii_whitespace();
    let ticks: u64 = words.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    fs::write(told, format!("{sizes}, processor: {} ms", ticks * 10)).expect("a file");
}
