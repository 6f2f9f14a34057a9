//! The ways to be wrong, by the hook that goes wrong.

use cutover_plugin::{Action, Change, Check, Failure, Object, Request, Snapshot, Stage, log, sealed};
use serde_json::{Value, json};

use crate::{guess, honest};

const FOREIGN: &str = "t/foreign";

/// Requests that no plan may send.
pub(crate) fn while_planning(mode: &str) -> Result<(), Failure> {
    match mode {
        "plan-writes" => put("t/1", &json!({})),
        "plan-generates" => sealed::generate("early", &sealed::Kind::Ed25519).map(drop),
        _ => Ok(()),
    }
}

/// The pages that follow one.
pub(crate) fn pages(mode: &str, cursor: &str) -> Vec<String> {
    match mode {
        "plan-names-itself" => vec!["again".to_owned()],
        "plan-explodes" => (0..1_000).map(|number| format!("{cursor}/{number}")).collect(),
        _ => Vec::new(),
    }
}

/// The plan: three objects, and what a mode needs to be told again.
pub(crate) fn planned(mode: &str) -> Result<Change, Failure> {
    let object = |path: &str| Object::new("target", path);
    let mut change = Change::new(Action::Update, object("t/1")).also(object("t/2")).also(object("t/3"));
    change = change.summary("copy three secrets").by_hand("put the old values back");
    let mut token = Value::Null;
    match mode {
        "grant-in-plan" => change = change.summary(&format!("the pin is {}", pin()?)),
        "leak-elsewhere" => change = change.also(Object::new("elsewhere", "t/1")),
        "capture-skips" => change = change.also(object("t/4")),
        "capture-borrows" | "foreign-token" => {
            // Read while planning: the same token, but not of the change's own reads.
            token = Request::get("s/other").send("source")?.expect_success("read")?.body.unwrap_or_default()["password"].take();
        }
        _ => {}
    }
    change.instruct(&json!({ "mode": mode, "token": token }))
}

/// A snapshot that is none; none to be honest.
pub(crate) fn capture(mode: &str, change: &Change) -> Result<Option<Snapshot>, Failure> {
    let empty = || Some(Snapshot { state: Some(json!({})), expected: Some(json!({ "a": 1 })) });
    match mode {
        "capture-blind" => Ok(empty()),
        "capture-elsewhere" => {
            Request::get("other/1").send("target")?;
            Ok(empty())
        }
        "capture-borrows" => {
            let mut snapshot = honest::capture(change)?;
            snapshot.state = Some(json!({ "password": change.instruction["token"] }));
            Ok(Some(snapshot))
        }
        "capture-skips" => {
            let read = Change { subject: change.subject[..3].to_vec(), ..change.clone() };
            honest::capture(&read).map(Some)
        }
        "capture-writes" => {
            put("t/1", &json!({}))?;
            Ok(None)
        }
        "capture-generates" => {
            sealed::generate("early", &sealed::Kind::Ed25519)?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// True if the mode was all that apply does.
pub(crate) fn apply(mode: &str, change: &Change) -> Result<bool, Failure> {
    let first = &change.subject[0];
    match mode {
        "apply-nothing" => return Ok(true),
        "apply-two-of-three" => {
            let two = Change { subject: change.subject[..2].to_vec(), ..change.clone() };
            return honest::apply(&two).map(|()| true);
        }
        "apply-fourth" => {
            honest::apply(change)?;
            put("t/4", &json!({}))?;
        }
        "capture-skips" => put("t/4", &json!({}))?,
        "swallow" => {
            honest::apply(change)?;
            // The refusal is ignored; a plugin that goes on must not get away with it.
            let _ = put(FOREIGN, &json!({}));
            return Ok(true);
        }
        "no-route" => drop(Request::post("admin/shutdown").send("target")?),
        "unnamed-read" => drop(Request::post("search").json(json!({ "all": true })).send("source")?),
        "no-role" => drop(Request::get("t/1").send("admin")?),
        "no-member" => drop(Request::get("t/1").send_to(&first.clone().at("m1"))?),
        "dot-segments" => {
            let mut request = Request::get("t/1");
            request.path = "/t/%2e%2e/secret".to_owned();
            drop(request.send("target")?);
        }
        "host-header" => drop(Request::get("t/1").header("Host", "elsewhere.test").send("target")?),
        "leak-elsewhere" => drop(Request::put("t/1").json(json!({ "password": secret()? })).send("elsewhere")?),
        "token-in-path" => drop(Request::get(&format!("t/{}", secret()?)).send("target")?),
        "token-in-query" => drop(Request::get("t/1").query("q", &secret()?).send("target")?),
        "token-in-header" => drop(Request::get("t/1").header("x-note", &secret()?).send("target")?),
        "token-in-text" => put("t/1", &json!({ "password": format!("prefix {}", secret()?) }))?,
        "token-in-note" => put("t/1", &json!({ "note": format!("see {} here", secret()?) }))?,
        "token-in-key" => put("t/1", &json!({ secret()?: null }))?,
        "token-in-bytes" => drop(Request::put("t/1").bytes(secret()?.into_bytes()).send("target")?),
        "literal" => put("t/1", &json!({ "password": "chosen by the plugin" }))?,
        "fake-token" => put("t/1", &json!({ "password": "sealed:v1:AAAAAAAAAAAAAAAAAAAAAA" }))?,
        "foreign-token" => put("t/1", &json!({ "password": change.instruction["token"] }))?,
        "guess" => return guess::apply(first).map(|()| true),
        "requests" => {
            for _ in 0..5_000 {
                Request::get("t/1").send("target")?;
            }
        }
        "logs" => {
            for _ in 0..1_000 {
                log::warn("\u{1b}[2J\u{1b}]0;owned\u{7}\r\nforged line \u{202e}");
            }
        }
        _ => return starve(mode),
    }
    Ok(false)
}

/// What a fault of the guest itself looks like from outside.
#[expect(clippy::panic, reason = "a trap is what is wanted")]
fn starve(mode: &str) -> Result<bool, Failure> {
    match mode {
        "trap" => panic!("a defect of the guest"),
        "trap-after-write" => {
            put("t/1", &json!({ "password": secret()? }))?;
            panic!("a defect of the guest")
        }
        "loop" => loop {
            std::hint::black_box(());
        },
        "memory" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        "large-memo" => {
            put("t/1", &json!({ "note": "n".repeat(8 << 20) }))?;
            Ok(false)
        }
        // Honest now; its rollback or its checks are not.
        "fails-then-rollback-destroys" | "fails-then-rollback-greedy" | "fails-then-rollback-more" => {
            put("t/1", &json!({ "password": secret()? }))?;
            Err(Failure::denied("as planned by the test"))
        }
        _ => Ok(false),
    }
}

/// True if the mode was all that rollback does.
pub(crate) fn rollback(mode: &str, change: &Change) -> Result<bool, Failure> {
    match mode {
        // Takes away what was there before the change.
        "fails-then-rollback-destroys" => {
            for object in &change.subject {
                Request::delete(&object.path).send_to(object)?;
            }
            Ok(true)
        }
        "fails-then-rollback-greedy" => Request::delete(FOREIGN).send("target").map(|_| false),
        _ => Ok(false),
    }
}

/// What a rollback does on top of its work.
pub(crate) fn after_rollback(mode: &str) -> Result<(), Failure> {
    if mode == "fails-then-rollback-more" {
        Request::delete(FOREIGN).send("target")?;
    }
    Ok(())
}

/// Checks that say nothing; none to be honest.
pub(crate) fn verify(mode: &str, stage: Stage) -> Result<Option<Vec<Check>>, Failure> {
    let yes = || Some(vec![Check::application("fine", true, "trust me")]);
    match mode {
        "apply-nothing" | "apply-two-of-three" | "verify-blind" if stage == Stage::Applied => Ok(yes()),
        "verify-writes" if stage == Stage::Applied => {
            put("t/1", &json!({}))?;
            Ok(yes())
        }
        "grant-in-check" if stage == Stage::Applied => Ok(Some(vec![Check::application("fine", true, format!("the pin is {}", pin()?))])),
        "grant-in-log" if stage == Stage::Applied => {
            log::info(&format!("the pin is {}", pin()?));
            Ok(None)
        }
        "verify-elsewhere" if stage == Stage::Applied => {
            Request::get("other/1").send("target")?;
            Ok(yes())
        }
        _ => Ok(None),
    }
}

pub(crate) fn put(path: &str, document: &Value) -> Result<(), Failure> {
    Request::put(path).json(document.clone()).send("target")?.expect_success("write").map(drop)
}

/// What the workflow grants in plain.
fn pin() -> Result<String, Failure> {
    let document = Request::get("s/other").send("source")?.expect_success("read")?.body.unwrap_or_default();
    Ok(document["pin"].as_str().unwrap_or_default().to_owned())
}

/// The token of the first secret.
pub(crate) fn secret() -> Result<String, Failure> {
    let document = Request::get("s/1").send("source")?.expect_success("read")?.body.unwrap_or_default();
    Ok(document["password"].as_str().unwrap_or_default().to_owned())
}
