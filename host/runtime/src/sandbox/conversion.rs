//! Between the words of `wit/` and those of the host. What comes from a guest is hostile: everything is bounded and checked.

mod manifest;

use cutover_engine::{Action, ChangeBody, ChangeId, Failure, FailureCase, Loss, Object, Verdict};
use serde_json::Value;

pub(super) use self::manifest::manifest;
use super::{
    bindings::migrator::{
        cutover::plugin::{connection, log, sealed, types},
        exports::cutover::plugin::migration,
    },
    code, text,
};
use crate::hook::{Answer, Body, CertificateFacts, Check, Form, GenerateKind, Generated, HookContext, LogLevel, Request, Response, Stage};

/// Longest JSON text, in bytes. A parsed document can take thirty times as much memory as its text.
const JSON_BYTES: usize = 2 * 1024 * 1024;
/// Longest name, path or other single word, in bytes: paths of backends end far below.
const WORD_BYTES: usize = 4 * 1024;
/// Longest prose, in bytes.
const PROSE_BYTES: usize = 16 * 1024;
/// Most changes on one page; a plan has as many pages as it needs.
const PAGE_CHANGES: usize = 10_000;
/// Most pages that one page may name.
const PAGE_CURSORS: usize = 10_000;
/// Most objects, links or losses of one change, and most checks of one verification.
const ITEMS: usize = 1_000;

/// What a guest sent breaks the contract. The text says where, never what.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

impl Broken {
    /// As the failure of a hook whose answer it was.
    pub(super) fn into_failure(self) -> Failure {
        Failure { case: FailureCase::Internal, code: Some(code::ANSWER.to_owned()), text: self.0 }
    }

    /// As the answer to an import whose argument it was.
    pub(super) fn into_invalid_input(self) -> types::Failure {
        types::Failure::InvalidInput(self.0)
    }
}

/// A JSON text of a guest.
pub(super) fn json(text: &str, what: &str) -> Result<Value, Broken> {
    if text.len() > JSON_BYTES {
        return Err(Broken(format!("`{what}` has {} bytes of JSON, more than {JSON_BYTES}", text.len())));
    }
    // Only the place: a message about the content could quote it.
    serde_json::from_str(text).map_err(|error| Broken(format!("`{what}` is no JSON (line {}, column {})", error.line(), error.column())))
}

fn optional_json(text: Option<&str>, what: &str) -> Result<Option<Value>, Broken> {
    text.map(|text| json(text, what)).transpose()
}

fn word(text: String, what: &str) -> Result<String, Broken> {
    match text {
        text if text.len() > WORD_BYTES => Err(Broken(format!("`{what}` has {} bytes, more than {WORD_BYTES}", text.len()))),
        text if text.chars().any(char::is_control) => Err(Broken(format!("`{what}` has control characters"))),
        text => Ok(text),
    }
}

fn at_most<T>(items: Vec<T>, most: usize, what: &str) -> Result<Vec<T>, Broken> {
    match items.len() {
        count if count > most => Err(Broken(format!("`{what}` has {count} items, more than {most}"))),
        _ => Ok(items),
    }
}

fn change_id(id: String, what: &str) -> Result<ChangeId, Broken> {
    ChangeId::new(id).map_err(|error| Broken(format!("`{what}`: {}", text::line(&error, WORD_BYTES))))
}

/// The text of an optional document, for a guest.
pub(super) fn optional_text(value: Option<&Value>) -> Option<String> {
    value.map(Value::to_string)
}

pub(super) fn context(context: HookContext) -> types::Context {
    types::Context {
        run: context.run,
        change: context.change,
        attempt: context.attempt,
        now: context.now.0,
        deadline: context.deadline.0,
        idempotency_key: context.idempotency_key,
    }
}

pub(super) fn stage(stage: Stage) -> types::Stage {
    match stage {
        Stage::Applied => types::Stage::Applied,
        Stage::RolledBack => types::Stage::RolledBack,
        Stage::Retired => types::Stage::Retired,
    }
}

/// A change, for a guest.
pub(super) fn change_to_guest(change: ChangeBody) -> types::Change {
    types::Change {
        id: change.id.as_str().to_owned(),
        subject: change
            .subject
            .into_iter()
            .map(|object| types::Object { role: object.role, member: object.member, path: object.path })
            .collect(),
        links: change.links.iter().map(|link| link.as_str().to_owned()).collect(),
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

fn change_from_guest(change: types::Change) -> Result<ChangeBody, Broken> {
    let object = |object: types::Object| {
        Ok(Object {
            role: word(object.role, "role")?,
            member: object.member.map(|member| word(member, "member")).transpose()?,
            path: word(object.path, "path")?,
        })
    };
    let loss = |loss: types::Loss| {
        Ok(Loss { code: word(loss.code, "loss code")?, count: loss.count, detail: text::line(&loss.detail, PROSE_BYTES) })
    };
    Ok(ChangeBody {
        id: change_id(change.id, "id")?,
        subject: at_most(change.subject, ITEMS, "subject")?.into_iter().map(object).collect::<Result<_, _>>()?,
        links: at_most(change.links, ITEMS, "links")?.into_iter().map(|link| change_id(link, "links")).collect::<Result<_, _>>()?,
        action: match change.action {
            types::Action::Create => Action::Create,
            types::Action::Update => Action::Update,
            types::Action::Remove => Action::Remove,
            types::Action::Switch => Action::Switch,
        },
        group: change.group.map(|group| word(group, "group")).transpose()?,
        summary: text::line(&change.summary, PROSE_BYTES),
        instruction: json(&change.instruction, "instruction")?,
        losses: at_most(change.losses, ITEMS, "losses")?.into_iter().map(loss).collect::<Result<_, _>>()?,
        by_hand: text::block(&change.by_hand, PROSE_BYTES),
        conflict: change.conflict.map(|why| text::line(&why, PROSE_BYTES)),
    })
}

/// What `plan` returned.
pub(super) fn page(page: migration::Page) -> Result<Answer, Broken> {
    Ok(Answer::Page {
        changes: at_most(page.changes, PAGE_CHANGES, "changes")?.into_iter().map(change_from_guest).collect::<Result<_, _>>()?,
        rest: at_most(page.rest, PAGE_CURSORS, "rest")?.into_iter().map(cursor).collect::<Result<_, _>>()?,
        output: optional_json(page.output.as_deref(), "output")?,
    })
}

fn cursor(cursor: String) -> Result<String, Broken> {
    match cursor.len() {
        bytes if bytes > PROSE_BYTES => Err(Broken(format!("a cursor in `rest` has {bytes} bytes, more than {PROSE_BYTES}"))),
        _ => Ok(cursor),
    }
}

/// What `capture` returned.
pub(super) fn snapshot(snapshot: &types::Snapshot) -> Result<Answer, Broken> {
    Ok(Answer::Snapshot {
        state: optional_json(snapshot.state.as_deref(), "state")?,
        expected: optional_json(snapshot.expected.as_deref(), "expected")?,
    })
}

/// What `apply` or `rollback` returned.
pub(super) fn progress(progress: types::Progress) -> Result<Answer, Broken> {
    Ok(match progress {
        types::Progress::Done(memo) => Answer::Done { memo: optional_json(memo.as_deref(), "memo")? },
        types::Progress::Again(again) => Answer::Again {
            after_seconds: again.after_seconds,
            memo: json(&again.memo, "memo")?,
            note: text::line(&again.note, PROSE_BYTES),
        },
    })
}

/// What `verify` returned.
pub(super) fn checks(checks: Vec<types::Check>) -> Result<Answer, Broken> {
    let check = |check: types::Check| {
        Ok(Check {
            name: word(check.name, "check name")?,
            plane: match check.plane {
                types::Plane::Identity => "identity",
                types::Plane::Application => "application",
                types::Plane::Telemetry => "telemetry",
            },
            verdict: match check.verdict {
                types::Verdict::Pass => Verdict::Pass,
                types::Verdict::Fail => Verdict::Fail,
                types::Verdict::Inconclusive => Verdict::Inconclusive,
            },
            detail: text::line(&check.detail, PROSE_BYTES),
        })
    };
    at_most(checks, ITEMS, "checks")?.into_iter().map(check).collect::<Result<_, _>>().map(Answer::Checks)
}

/// What `observe` returned.
pub(super) fn observation(text: &str) -> Result<Answer, Broken> {
    json(text, "observation").map(Answer::Observation)
}

/// A hook's own failure.
pub(super) fn failure_from_guest(failure: types::Failure) -> Failure {
    use types::Failure as Guest;
    let (case, words) = match failure {
        Guest::InvalidInput(words) => (FailureCase::InvalidInput, words),
        Guest::Denied(words) => (FailureCase::Denied, words),
        Guest::NotFound(words) => (FailureCase::NotFound, words),
        Guest::Conflict(words) => (FailureCase::Conflict, words),
        Guest::RateLimited(seconds) => (FailureCase::RateLimited(seconds), "the backend asks to wait".to_owned()),
        Guest::Unavailable(words) => (FailureCase::Unavailable, words),
        Guest::Unsupported(words) => (FailureCase::Unsupported, words),
        Guest::Internal(words) => (FailureCase::Internal, words),
    };
    Failure { case, code: None, text: text::line(&words, PROSE_BYTES) }
}

/// The host's failure, for a guest. It has fewer cases there: what only the host can find has no name in the contract.
pub(super) fn failure_to_guest(failure: Failure) -> types::Failure {
    use types::Failure as Guest;
    match failure.case {
        FailureCase::InvalidInput => Guest::InvalidInput(failure.text),
        FailureCase::Denied | FailureCase::Refused | FailureCase::Exhausted => Guest::Denied(failure.text),
        FailureCase::NotFound => Guest::NotFound(failure.text),
        FailureCase::Conflict => Guest::Conflict(failure.text),
        FailureCase::RateLimited(seconds) => Guest::RateLimited(seconds),
        FailureCase::Unavailable => Guest::Unavailable(failure.text),
        FailureCase::Unsupported => Guest::Unsupported(failure.text),
        FailureCase::Internal | FailureCase::Mismatch => Guest::Internal(failure.text),
    }
}

/// A request as a guest wrote it; the connection's policy judges it.
pub(super) fn request(request: connection::Request) -> Result<Request, Broken> {
    let body = match request.body {
        Some(connection::Body::Json(text)) => Some(Body::Json(json(&text, "body")?)),
        Some(connection::Body::Form(pairs)) => Some(Body::Form(pairs)),
        Some(connection::Body::Bytes(bytes)) => Some(Body::Bytes(bytes)),
        None => None,
    };
    Ok(Request {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: request.headers,
        body,
        credential: request.as_,
    })
}

pub(super) fn response(response: Response) -> connection::Response {
    connection::Response { status: response.status, headers: response.headers, body: optional_text(response.body.as_ref()) }
}

pub(super) fn kind(kind: sealed::Kind) -> GenerateKind {
    match kind {
        sealed::Kind::Password(password) => GenerateKind::Password { length: password.length, alphabet: password.alphabet },
        sealed::Kind::KeyPair(sealed::KeyAlgorithm::P256) => GenerateKind::P256,
        sealed::Kind::KeyPair(sealed::KeyAlgorithm::Ed25519) => GenerateKind::Ed25519,
    }
}

pub(super) fn generated(generated: Generated) -> sealed::Generated {
    sealed::Generated { secret: generated.secret, public: generated.public }
}

pub(super) fn form(form: sealed::Form) -> Form {
    match form {
        sealed::Form::Json => Form::Json,
        sealed::Form::Yaml => Form::Yaml,
        sealed::Form::Toml => Form::Toml,
        sealed::Form::Dotenv => Form::Dotenv,
        sealed::Form::Pem => Form::Pem,
        sealed::Form::Base64 => Form::Base64,
        sealed::Form::Hex => Form::Hex,
        sealed::Form::Concat => Form::Concat,
    }
}

pub(super) fn facts(facts: CertificateFacts) -> sealed::Facts {
    sealed::Facts {
        subject: facts.subject,
        issuer: facts.issuer,
        serial: facts.serial,
        not_before: facts.not_before.0,
        not_after: facts.not_after.0,
        names: facts.names,
        fingerprint: facts.fingerprint,
    }
}

pub(super) fn level(level: log::Level) -> LogLevel {
    match level {
        log::Level::Debug => LogLevel::Debug,
        log::Level::Info => LogLevel::Info,
        log::Level::Warn => LogLevel::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> types::Change {
        types::Change {
            id: "copy:a".into(),
            subject: vec![types::Object { role: "target".into(), member: None, path: "a/b".into() }],
            links: vec!["x".into()],
            action: types::Action::Update,
            group: Some("team".into()),
            summary: "copies a".into(),
            instruction: r#"{"n":9007199254740993,"d":1.0}"#.into(),
            losses: vec![types::Loss { code: "history".into(), count: 2, detail: "two versions".into() }],
            by_hand: "first\nthen".into(),
            conflict: Some("the target holds another value".into()),
        }
    }

    #[test]
    fn a_change_survives_the_way_there_and_back() {
        let body = change_from_guest(change()).expect("well-formed");
        assert_eq!(body.by_hand, "first\nthen");
        assert_eq!(change_from_guest(change_to_guest(body.clone())), Ok(body));
    }

    #[test]
    fn hostile_changes_are_refused_without_a_quote() {
        let spoiled = |spoil: fn(&mut types::Change)| {
            let mut change = change();
            spoil(&mut change);
            change_from_guest(change).expect_err("refused").0
        };
        assert_eq!(spoiled(|change| change.instruction = "{\"a\": hunter2}".into()), "`instruction` is no JSON (line 1, column 7)");
        assert!(spoiled(|change| change.instruction = format!("\"{}\"", "x".repeat(JSON_BYTES))).contains("bytes of JSON"));
        assert!(spoiled(|change| change.instruction = "[".repeat(10_000)).contains("is no JSON"));
        assert!(spoiled(|change| change.id = String::new()).contains("is empty"));
        assert!(spoiled(|change| change.links = vec!["a\nb".into()]).contains("control characters"));
        assert!(spoiled(|change| change.subject[0].path = "a\0b".into()).contains("`path` has control characters"));
        assert!(spoiled(|change| change.group = Some("x".repeat(WORD_BYTES + 1))).contains("`group` has"));
        assert!(spoiled(|change| change.links = vec!["x".into(); ITEMS + 1]).contains("`links` has 1001 items"));
    }

    #[test]
    fn pages_name_no_more_and_no_longer_cursors_than_they_may() {
        let named = |rest: Vec<String>| page(migration::Page { changes: Vec::new(), rest, output: None });
        let longest = "x".repeat(PROSE_BYTES);
        assert!(matches!(named(vec![longest.clone(); 2]), Ok(Answer::Page { rest, .. }) if rest == [longest.clone(), longest.clone()]));
        let refused = |rest| named(rest).expect_err("refused").0;
        assert_eq!(refused(vec![format!("{longest}x")]), "a cursor in `rest` has 16385 bytes, more than 16384");
        assert!(refused(vec![String::new(); PAGE_CURSORS + 1]).contains("`rest` has 10001 items"));
    }

    #[test]
    fn prose_is_made_printable() {
        let mut hostile = change();
        hostile.summary = "ok\x1b[2J\n".into();
        hostile.conflict = Some("no\x1b[2J".into());
        let change = change_from_guest(hostile).expect("well-formed");
        assert_eq!((change.summary.as_str(), change.conflict.as_deref()), ("ok\\u{1b}[2J\\n", Some("no\\u{1b}[2J")));
        let failure = failure_from_guest(types::Failure::Conflict("\x07".into()));
        assert_eq!((failure.case, failure.text.as_str()), (FailureCase::Conflict, "\\u{7}"));
    }

    #[test]
    fn what_only_the_host_can_find_has_the_nearest_name_in_the_contract() {
        let told = |case| failure_to_guest(Failure { case, code: Some("CUT9999".into()), text: "t".into() });
        assert!(matches!(told(FailureCase::Refused), types::Failure::Denied(text) if text == "t"));
        assert!(matches!(told(FailureCase::Exhausted), types::Failure::Denied(_)));
        assert!(matches!(told(FailureCase::Mismatch), types::Failure::Internal(_)));
        assert!(matches!(told(FailureCase::RateLimited(7)), types::Failure::RateLimited(7)));
    }
}
