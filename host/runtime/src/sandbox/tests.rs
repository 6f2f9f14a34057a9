//! The room as a whole, with guests that misbehave.

mod guest;

use std::{
    ffi::OsString,
    fs,
    time::{Duration, Instant},
};

use cutover_engine::{Failure, FailureCase};
use serde_json::json;
use zeroize::Zeroizing;

use self::guest::{Desk, Guest, Reply, capture, observe};
use super::*;
use crate::hook::{Answer, LogLevel, Response};

const AMPLE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(50);

fn sandbox(limits: Limits) -> Sandbox {
    Sandbox::new(limits, Compiler::InProcess, None).expect("sandbox")
}

async fn plugin(guest: &Guest) -> Plugin {
    let sandbox = sandbox(Limits::default());
    let packed = sandbox.pack(&guest.module()).await.expect("packs");
    sandbox.load(&packed).await.expect("loads")
}

async fn fails(guest: &Guest, timeout: Duration) -> Failure {
    let plugin = plugin(guest).await;
    let call = if guest.world == "prober" { observe() } else { capture() };
    plugin.call(Desk::new(Reply::Never), call, timeout).await.expect_err("the guest misbehaves")
}

#[tokio::test]
async fn a_packed_plugin_loads_and_answers() {
    let sandbox = sandbox(Limits::default());
    let packed = sandbox.pack(&Guest::default().module()).await.expect("packs");
    assert_eq!(sandbox.pack(&packed).await.expect("packs again"), packed);

    let inspection = inspect(&packed).expect("inspects");
    assert_eq!((inspection.world, inspection.size), (World::Migrator, packed.len() as u64));
    assert_eq!(inspection.imports, ["cutover:plugin/types@0.1.0"]);
    let plugin = sandbox.load(&packed).await.expect("loads");
    assert_eq!((plugin.world(), plugin.digest(), plugin.manifest()), (World::Migrator, inspection.digest, &inspection.manifest));
    assert_eq!(plugin.manifest().operations[0].output_schema, json!({"type": "object"}));

    let answer = plugin.call(Desk::new(Reply::Never), capture(), AMPLE).await.expect("answers");
    assert!(matches!(answer, Answer::Snapshot { state: None, expected: None }));
    let failure = plugin.call(Desk::new(Reply::Never), observe(), AMPLE).await.expect_err("no probe");
    assert_eq!(failure.code.as_deref(), Some(code::NO_HOOK));
}

#[tokio::test]
async fn every_call_has_an_instance_of_its_own() {
    let once = r"(if (i32.load (i32.const 256)) (then unreachable)) (i32.store (i32.const 256) (i32.const 1)) (i32.const 512)";
    let plugin = plugin(&Guest { hook: once, ..Guest::default() }).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { plugin.call(Desk::new(Reply::Never), capture(), AMPLE).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("a fresh memory");
    }
}

// One thread: the guest sits on the runtime's only worker, and no timer of the runtime can fire.
#[tokio::test]
async fn a_guest_that_computes_for_ever_is_stopped() {
    let plugin = plugin(&Guest { hook: "(loop $l (br $l)) unreachable", ..Guest::default() }).await;
    let start = Instant::now();
    let failure = plugin.call(Desk::new(Reply::Never), capture(), SHORT).await.expect_err("stopped");
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some(code::TIME)));
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT + Duration::from_secs(1), "{:?}", start.elapsed());
}

const SEND: &str = r#"(import "cutover:plugin/connection@0.1.0" "send" (func $send (param i32 i32)))"#;

#[tokio::test]
async fn a_guest_that_waits_for_ever_is_stopped() {
    let hook = "(call $send (i32.const 0) (i32.const 512)) unreachable";
    let failure = fails(&Guest { parts: SEND, hook, ..Guest::default() }, SHORT).await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some(code::TIME)));
}

#[tokio::test]
async fn loading_ends_too() {
    let sandbox = sandbox(Limits { describe_time: SHORT, ..Limits::default() });
    let describe = Guest { describe: "(loop $l (br $l))", ..Guest::default() };
    let start = Guest { parts: "(func $spin (loop $l (br $l))) (start $spin)", ..Guest::default() };
    for guest in [describe, start] {
        let error = sandbox.pack(&guest.module()).await.expect_err("stopped");
        assert_eq!(error.code(), code::TIME, "{error}");
    }
}

#[tokio::test]
async fn memory_and_table_bombs_hit_the_limit() {
    let memory = "(loop $l (drop (memory.grow (i32.const 16))) (br $l)) unreachable";
    let failure = fails(&Guest { hook: memory, ..Guest::default() }, AMPLE).await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some(code::MEMORY)));
    assert_eq!(failure.text, "the plugin's memories would have more than 67108864 bytes together");

    let table = "(loop $l (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $l)) unreachable";
    let failure = fails(&Guest { parts: "(table $t 1 funcref)", hook: table, ..Guest::default() }, AMPLE).await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some(code::TABLES)));
}

#[tokio::test]
async fn what_is_too_large_from_the_start_does_not_load() {
    let code_of = async |limits: Limits, guest: Guest| {
        let error = sandbox(limits).pack(&guest.module()).await.expect_err("refused");
        error.code().to_owned()
    };
    let table = Guest { parts: "(table 2000000 funcref)", ..Guest::default() };
    assert_eq!(code_of(Limits::default(), table).await, code::TABLES);
    assert_eq!(code_of(Limits { memory_bytes: 65_536, ..Limits::default() }, Guest::default()).await, code::MEMORY);
    assert_eq!(code_of(Limits { memories: 0, ..Limits::default() }, Guest::default()).await, code::INSTANCES);
    let imports = Guest { parts: SEND, ..Guest::default() };
    assert_eq!(code_of(Limits { instances: 1, ..Limits::default() }, imports).await, code::INSTANCES);
    assert_eq!(code_of(Limits { component_bytes: 100, ..Limits::default() }, Guest::default()).await, code::TOO_LARGE);
}

#[tokio::test]
async fn a_trap_tells_its_kind_and_nothing_from_memory() {
    let parts = r#"(data (i32.const 300) "hunter2hunter2") (func $deep (call $deep) (call $deep))"#;
    let cases = [
        ("unreachable", "`unreachable` was reached"),
        ("(i32.load (i32.const -4))", "out of bounds memory access"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer divide by zero"),
        ("(call $deep) (i32.const 512)", "call stack exhausted"),
        // An answer at 300, whose first byte is no case of `result`.
        ("(i32.const 300)", "component model"),
        ("(i32.const 3)", "component model"),
    ];
    for (hook, words) in cases {
        let failure = fails(&Guest { parts, hook, ..Guest::default() }, AMPLE).await;
        assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Internal, Some(code::TRAP)), "{hook}");
        assert!(failure.text.contains(words) && !failure.text.contains("hunter"), "{}", failure.text);
    }
}

#[tokio::test]
async fn answers_that_break_the_contract_are_refused() {
    // A snapshot with a state: `some` at 4, address and length after it.
    let state = "(i32.store (i32.const 516) (i32.const 1)) (i32.store (i32.const 520) (i32.const 300)) (i32.store (i32.const 524) (i32.const 14)) (i32.const 512)";
    let guest = Guest { parts: r#"(data (i32.const 300) "hunter2hunter2")"#, hook: state, ..Guest::default() };
    let failure = fails(&guest, AMPLE).await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Internal, Some(code::ANSWER)));
    assert_eq!(failure.text, "`state` is no JSON (line 1, column 1)");

    let invalid =
        Guest { parts: r#"(data (i32.const 300) "\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff")"#, hook: state, ..Guest::default() };
    assert_eq!(fails(&invalid, AMPLE).await.code.as_deref(), Some(code::TRAP));

    // Five MiB of text, all zero.
    let large = "(drop (memory.grow (i32.const 100))) (i32.store (i32.const 516) (i32.const 1)) (i32.store (i32.const 520) (i32.const 65536)) (i32.store (i32.const 524) (i32.const 5242880)) (i32.const 512)";
    let failure = fails(&Guest { hook: large, ..Guest::default() }, AMPLE).await;
    assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Exhausted, Some(code::TRANSFER)));
}

#[tokio::test]
async fn describe_may_call_nothing() {
    let guest = Guest { parts: SEND, describe: "(call $send (i32.const 0) (i32.const 512))", ..Guest::default() };
    let error = sandbox(Limits::default()).pack(&guest.module()).await.expect_err("impure");
    assert_eq!(error.code(), code::IMPURE);
}

/// Sends an empty request and returns the response's body, or the failure as it came.
const ECHO: &str = "(call $send (i32.const 0) (i32.const 512))
    (if (result i32) (i32.load8_u (i32.const 512))
        (then (i32.const 512))
        (else (i64.store (i32.const 804) (i64.load (i32.const 532))) (i32.const 800)))";

#[tokio::test]
async fn responses_and_failures_go_to_the_guest_and_back() {
    let plugin = plugin(&Guest { world: "prober", parts: SEND, hook: ECHO, ..Guest::default() }).await;
    assert_eq!(plugin.world(), World::Prober);
    let body = json!({"n": 1.5, "t": "sealed:v1:x"});
    let response = Response { status: 200, headers: vec![("etag".into(), "e".into())], body: Some(body.clone()) };
    let answer = plugin.call(Desk::new(Reply::With(Ok(response))), observe(), AMPLE).await.expect("answers");
    assert!(matches!(answer, Answer::Observation(observed) if observed == body));

    let refusal = Failure { case: FailureCase::Refused, code: Some("CUT4001".into()), text: "not your path\x1b".into() };
    let failure = plugin.call(Desk::new(Reply::With(Err(refusal))), observe(), AMPLE).await.expect_err("refused");
    assert_eq!(failure, Failure { case: FailureCase::Denied, code: None, text: "not your path\\u{1b}".into() });
}

#[tokio::test]
async fn a_log_flood_is_cut_and_printable() {
    let parts = r#"(import "cutover:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32))) (data (i32.const 300) "\1b[2Jhello")"#;
    let hook = "(local $i i32)
        (loop $l
            (call $write (i32.const 1) (i32.const 300) (i32.const 9))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 10000))))
        (i32.const 512)";
    let plugin = plugin(&Guest { parts, hook, ..Guest::default() }).await;
    let desk = Desk::new(Reply::Never);
    plugin.call(desk.clone(), capture(), AMPLE).await.expect("goes on");
    let log = desk.log.lock().expect("not poisoned");
    assert_eq!(log[0], (LogLevel::Info, "\\u{1b}[2Jhello".to_owned()));
    assert!(log.iter().map(|(_, line)| line.len()).sum::<usize>() < LOG_BYTES + 200);
    assert!(matches!(log.last(), Some((LogLevel::Warn, line)) if line.contains("the rest is left out")));
}

#[tokio::test]
async fn foreign_imports_and_versions_are_refused_before_compiling() {
    // A compiler that cannot be started: whatever gets that far fails otherwise.
    let compiler = Compiler::ChildProcess { command: vec!["/nonexistent".into()] };
    let sandbox = Sandbox::new(Limits::default(), compiler, None).expect("sandbox");
    let told = async |text: &str| {
        let error = sandbox.load(&wat::parse_str(text).expect("component text")).await.expect_err("refused");
        format!("{} {error}", error.code())
    };
    let wasi = told(r#"(component (import "wasi:cli/stdout@0.2.9" (instance)))"#).await;
    assert!(wasi.starts_with("CUT3125") && wasi.contains("`wasi:cli/stdout@0.2.9`") && wasi.contains("no part of WASI"), "{wasi}");
    let version = told(r#"(component (import "cutover:plugin/log@0.2.0" (instance)))"#).await;
    assert!(version.starts_with("CUT3126") && version.contains("0.2.0") && version.contains("0.1.0"), "{version}");
    assert!(told(r"(component)").await.starts_with("CUT3127"));
}

#[tokio::test]
async fn a_later_patch_of_the_contract_is_accepted() {
    let sandbox = sandbox(Limits::default());
    let mut packed = sandbox.pack(&Guest { parts: SEND, ..Guest::default() }.module()).await.expect("packs");
    let places: Vec<_> = packed.windows(6).enumerate().filter_map(|(place, window)| (window == b"@0.1.0").then_some(place + 5)).collect();
    for place in places {
        packed[place] = b'7';
    }
    assert!(inspect(&packed).expect("inspects").imports.contains(&"cutover:plugin/connection@0.1.7".to_owned()));
    let plugin = sandbox.load(&packed).await.expect("loads");
    plugin.call(Desk::new(Reply::Never), capture(), AMPLE).await.expect("answers");
}

#[tokio::test]
async fn a_manifest_that_is_not_the_plugins_own_is_refused() {
    let sandbox = sandbox(Limits::default());
    let packed = sandbox.pack(&Guest::default().module()).await.expect("packs");
    let mut forged = read_manifest(&packed).expect("there");
    forged.operations[0].irreversible = true;
    let forged = anatomy::with_manifest(&packed, &forged).expect("well-formed");
    let error = sandbox.load(&forged).await.expect_err("refused");
    assert_eq!(error.code(), code::MANIFEST_DIFFERS);
    assert!(error.to_string().contains("operations differs"), "{error}");
}

#[tokio::test]
async fn compiled_code_is_used_again_and_made_again_when_it_was_touched() {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("code");
    let open = |compiler| {
        let cache = Cache::open(&place, Zeroizing::new([7; 32])).expect("cache");
        Sandbox::new(Limits::default(), compiler, Some(cache)).expect("sandbox")
    };
    let broken = || Compiler::ChildProcess { command: vec!["/nonexistent".into()] };
    let packed = sandbox(Limits::default()).pack(&Guest::default().module()).await.expect("packs");

    assert_eq!(open(broken()).load(&packed).await.expect_err("nothing there yet").code(), code::COMPILE);
    open(Compiler::InProcess).load(&packed).await.expect("compiles");
    let plugin = open(broken()).load(&packed).await.expect("from the cache");
    plugin.call(Desk::new(Reply::Never), capture(), AMPLE).await.expect("runs");

    let file = fs::read_dir(&place).expect("folder").next().expect("one file").expect("entry").path();
    let mut bytes = fs::read(&file).expect("file");
    bytes[0] ^= 1;
    fs::write(&file, &bytes).expect("touched");
    assert_eq!(open(broken()).load(&packed).await.expect_err("not trusted").code(), code::COMPILE);
    open(Compiler::InProcess).load(&packed).await.expect("compiles again");
    open(broken()).load(&packed).await.expect("whole again");
}

#[tokio::test]
async fn a_compiling_process_that_fails_is_told_apart() {
    let packed = sandbox(Limits::default()).pack(&Guest::default().module()).await.expect("packs");
    let told = async |script: &str| {
        let command: Vec<OsString> = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        let sandbox = Sandbox::new(Limits::default(), Compiler::ChildProcess { command }, None).expect("sandbox");
        sandbox.load(&packed).await.expect_err("no code").to_string()
    };
    assert_eq!(told("printf 'bad\\033[2J'; exit 3").await, "the component cannot be compiled: bad\\u{1b}[2J");
    assert!(told("kill -ABRT $$").await.contains("1024 MiB"));
    assert_eq!(told("exit 1").await, "the compiling process could not be run");
    // A panic is 101, or 70 where the program catches it; what was said of it stays there.
    for status in [101, 70] {
        let words = format!("the compiler has a defect that this component brings to light: its process ended with status {status}");
        assert_eq!(told(&format!("echo 'thread panicked' >&2; exit {status}")).await, words);
    }
    // What comes back is still looked at: this is no code.
    assert!(told("echo nonsense").await.starts_with("the component does not fit the contract"));
    // The environment stays here.
    assert_eq!(told("printf \"$HOME$CARGO_MANIFEST_DIR\"; exit 3").await, "the component cannot be compiled: ");
}

/// This test is both sides: it starts itself as the compiling process, which writes to descriptor 3 since the test
/// harness writes to the standard output.
#[tokio::test]
async fn a_plugin_is_compiled_by_a_process_with_limits() {
    if std::env::var_os("COMPILE").is_some() {
        let output = fs::File::options().write(true).open("/dev/fd/3").expect("descriptor 3");
        compile_child(std::io::stdin(), output);
        return;
    }
    let script =
        "exec 3>&1 >/dev/null; COMPILE=1 exec \"$0\" --exact sandbox::tests::a_plugin_is_compiled_by_a_process_with_limits --nocapture";
    let itself = std::env::current_exe().expect("this program").into_os_string();
    let command = vec!["/bin/sh".into(), "-c".into(), script.into(), itself];
    let sandbox = Sandbox::new(Limits::default(), Compiler::ChildProcess { command }, None).expect("sandbox");
    let packed = sandbox.pack(&Guest::default().module()).await.expect("packs");
    let plugin = sandbox.load(&packed).await.expect("loads");
    plugin.call(Desk::new(Reply::Never), capture(), AMPLE).await.expect("answers");
}
