//! What a hostile plugin tries, against the whole of sealing.

use cutover_engine::{Pointer, canonical};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    entropy::SystemEntropy,
    hook::{Form, GenerateKind},
};

const SECRET: &str = "hunter2-hunter2-hunter2";

fn key() -> Arc<SealingKey> {
    Arc::new(SealingKey::from_bytes(Zeroizing::new([1; 32])))
}

fn call() -> Call {
    Scope::new(key(), "copy/a".to_owned()).begin_call()
}

fn origin(role: &str) -> Origin {
    Origin { role: role.to_owned(), object: Some(object(role)) }
}

fn object(role: &str) -> Object {
    Object { role: role.to_owned(), member: None, path: "secret/data/a".to_owned() }
}

fn read(call: &Call, value: Value) -> String {
    call.seal(value, &origin("source"), &[]).as_str().expect("a token").to_owned()
}

fn anywhere(_: &str, _: &str) -> bool {
    true
}

fn nowhere(_: &str, _: &str) -> bool {
    false
}

fn plain(call: &Call, token: &str) -> Value {
    call.scope().unseal(&json!(token), "target", &anywhere, &[]).expect("it resolves")
}

fn code_of<T>(result: Result<T, Failure>) -> String {
    result.err().and_then(|failure| failure.code).expect("a failure with a code")
}

fn pointers(texts: &[&str]) -> Vec<Pointer> {
    texts.iter().map(|text| Pointer::parse(text).expect("a pointer")).collect()
}

#[test]
fn tokens_are_equal_exactly_where_values_are() {
    let call = call();
    let values = ["1", "1.0", "\"1\"", "true", "\"true\"", "\"\"", "9007199254740993", "9007199254740992", "-0", "0", "\"null\""];
    let tokens: BTreeSet<_> = values.iter().map(|text| read(&call, serde_json::from_str(text).expect("JSON"))).collect();
    assert_eq!(tokens.len(), values.len());
    let elsewhere = Scope::new(key(), "other/b".to_owned()).begin_call();
    assert_eq!(read(&call, json!(SECRET)), call.seal(json!({"x": [SECRET]}), &origin("target"), &[])["x"][0]);
    assert_eq!(read(&call, json!(SECRET)), read(&elsewhere, json!(SECRET)), "the same in plan and run");
    let other_key = Scope::new(Arc::new(SealingKey::generate(&SystemEntropy)), "copy/a".to_owned()).begin_call();
    assert_ne!(read(&call, json!(SECRET)), read(&other_key, json!(SECRET)));
    assert_eq!(call.seal_opaque(SECRET.into(), &origin("source"), None), read(&call, json!(SECRET)));
    assert_ne!(call.seal_opaque(vec![0xff], &origin("source"), None), read(&call, json!("/w==")), "bytes are no text");
}

#[test]
fn everything_is_sealed_but_public_places_and_null() {
    let call = call();
    let document =
        json!({"data": {"a": SECRET, "n": 1, "b": true, "z": null, "e": {}, "l": [[], ""]}, "version": 3, "name": "sealed:v1:forged"});
    let sealed = call.seal(document, &origin("source"), &pointers(&["/version", "/name"]));
    assert_eq!(
        (&sealed["version"], &sealed["data"]["z"], &sealed["data"]["e"], &sealed["data"]["l"][0]),
        (&json!(3), &json!(null), &json!({}), &json!([]))
    );
    assert_eq!(Scope::tokens_of(&sealed).len(), 5);
    assert_ne!(sealed["name"], json!("sealed:v1:forged"), "a public value that looks like a token is sealed");
    assert_eq!(plain(&call, sealed["name"].as_str().expect("a token")), json!("sealed:v1:forged"));
}

#[test]
fn guesses_never_equal_what_was_read() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let text = read(&call, json!(format!("{{\"a\":\"{SECRET}\"}}")));
    let mut made = vec![
        call.render(&json!([SECRET]), Form::Concat).expect("joined"),
        call.render(&json!(["hunter2-", "hunter2-hunter2"]), Form::Concat).expect("joined"),
        call.render(&json!([token, ""]), Form::Concat).expect("joined"),
    ];
    let guess = call.render(&json!({"a": SECRET}), Form::Json).expect("rendered");
    assert_ne!(guess, text);
    assert_eq!(plain(&call, &guess), plain(&call, &text));
    made.push(call.parse(&guess, Form::Json).expect("parsed")["a"].as_str().expect("a token").to_owned());
    // A secret beside a guess in one text: each place has a salt of its own.
    let both = call.render(&json!({"a": token, "b": SECRET}), Form::Json).expect("rendered");
    let both = call.parse(&both, Form::Json).expect("parsed");
    assert_ne!(both["a"], both["b"]);
    made.extend([both["a"].as_str().expect("a token").to_owned(), both["b"].as_str().expect("a token").to_owned()]);
    let round = call.render(&json!(made[0]), Form::Base64).expect("encoded");
    assert_eq!(code_of(call.parse(&round, Form::Base64)), code::CRAFTED);
    assert!(made.iter().all(|made| *made != token));
    let distinct: BTreeSet<_> = made.iter().collect();
    assert_eq!(distinct.len(), made.len(), "nor each other");
    assert_eq!(call.render(&json!({"a": SECRET}), Form::Json), Ok(guess), "the same document gives the same token again");
}

#[test]
fn rearranging_what_was_read_stays_comparable() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let text = read(&call, json!(format!("{{\"a\":\"{SECRET}\",\"n\":1.10}}")));
    let parsed = call.parse(&text, Form::Json).expect("JSON");
    assert_eq!(parsed["a"], json!(token));
    assert_eq!(call.render(&parsed, Form::Json), Ok(text));
    assert_eq!(call.render(&json!([token]), Form::Concat), Ok(token.clone()));
    let encoded = call.render(&json!(token), Form::Base64).expect("encoded");
    assert_eq!(call.parse(&encoded, Form::Base64), Ok(json!(token)));
    let bytes = call.seal_opaque(vec![0xff, 0], &origin("source"), None);
    assert_eq!(plain(&call, &call.render(&json!(bytes), Form::Hex).expect("hex")), json!("ff00"));
    assert_eq!(code_of(call.scope().unseal(&json!(bytes), "target", &anywhere, &[])), code::WRONG_KIND);
}

#[test]
fn a_secret_cannot_become_a_key_a_label_a_claim_or_a_subject() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let joined = |parts: Value| call.render(&parts, Form::Concat).expect("joined");
    let object = joined(json!(["{\"", token, "\":1}"]));
    let label = joined(json!(["-----BEGIN ", token, "-----\nAAEC\n-----END ", token, "-----\n"]));
    for (token, form) in [(&object, Form::Json), (&object, Form::Yaml), (&label, Form::Pem)] {
        assert_eq!(code_of(call.parse(token, form)), code::CRAFTED);
    }
    let nested = call.render(&json!({"a": object}), Form::Json).expect("rendered");
    assert_eq!(code_of(call.parse(&nested, Form::Json)), code::CRAFTED);
    let dotenv = call.render(&json!({"a": token}), Form::Dotenv).expect("rendered");
    assert_eq!(code_of(call.parse(&dotenv, Form::Yaml)), code::CRAFTED);
    let inner = call.render(&json!({"a": dotenv}), Form::Json).expect("rendered");
    let inner = call.parse(&inner, Form::Json).expect("parsed")["a"].as_str().expect("a token").to_owned();
    assert_eq!(code_of(call.parse(&inner, Form::Yaml)), code::CRAFTED);
    assert_eq!(code_of(call.claims(&joined(json!(["e30.", token, ".e30"])))), code::CRAFTED);
    assert_eq!(code_of(call.certificate_facts(&label)), code::CRAFTED);
    assert_eq!(code_of(call.sign(&label, b"m")), code::CRAFTED);
    assert_eq!(code_of(call.render(&json!({token: 1}), Form::Json)), code::MISPLACED);
    let odd = read(
        &call,
        json!("-----BEGIN HUNTER-----\nAAEC\n-----END HUNTER-----\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"),
    );
    let odd = call.parse(&odd, Form::Pem).expect("PEM");
    assert!(odd[0]["label"].as_str().is_some_and(|label| label.starts_with(PREFIX)));
    assert_eq!(odd[1]["label"], json!("CERTIFICATE"));
}

fn write(call: &Call, document: &Value) {
    call.scope().note_written(&object("target"), &Leaf::of(document));
}

fn look(call: &Call, document: Value) -> Value {
    call.seal(document, &origin("target"), &[])
}

/// The scope of a process that goes on after a crash.
fn resumed(call: &Call) -> Call {
    let stored = serde_json::to_string(&call.scope().entries_since(0)).expect("JSON");
    let later = Scope::new(key(), "copy/a".to_owned());
    later.import(serde_json::from_str::<Vec<SealedEntry>>(&stored).expect("JSON"));
    later.begin_call()
}

#[test]
fn a_read_of_ones_own_write_gives_the_written_token() {
    let call = call();
    let made = call.render(&json!(["x-", SECRET]), Form::Concat).expect("joined");
    let value = plain(&call, &made);
    assert_ne!(look(&call, json!({"a": value})), json!({"a": made}), "not before it is written");
    write(&call, &json!({"password": made}));
    let read = look(&call, json!({"password": value, "data": {"password": value}, "renamed": value, "other": "another value"}));
    assert_eq!((&read["password"], &read["data"]["password"], &read["renamed"]), (&json!(made), &json!(made), &json!(made)));
    assert_ne!(read["other"], json!(made));
    assert_ne!(look(&call, json!({"a": value})), json!({"a": made}), "but not where that value stood before");
    let public = call.seal(json!({"password": value, "b": value}), &origin("target"), &pointers(&["/password", "/b"]));
    assert_eq!(public, json!({"password": made, "b": made}), "not even at a public place");
    assert_ne!(call.seal(value.clone(), &origin("source"), &[]), json!(made), "nowhere else");
    assert_eq!(code_of(call.parse(&made, Form::Json)), code::CRAFTED, "reading it back does not launder it");
    let later = resumed(&call);
    assert_eq!(look(&later, json!({"password": value}))["password"], json!(made), "also after a crash");
    assert_ne!(look(&later, json!({"a": value}))["a"], json!(made), "and what stood there before is still known");
}

/// All that a plugin can compare after it wrote a guess beside a secret: the answers' pattern of equal tokens.
fn pattern(guess: &str, probe: impl Fn(&Call, &str, &str) -> Vec<Value>) -> Vec<Vec<usize>> {
    let first = call();
    let secret = read(&first, json!(SECRET));
    let mut documents = vec![json!(secret)];
    documents.extend(probe(&first, guess, &secret));
    let tokens: Vec<String> = documents.iter().flat_map(Leaf::of).map(|leaf| leaf.value.to_string()).collect();
    // Which tokens are equal to which, so that two runs can be compared.
    tokens.iter().map(|token| tokens.iter().enumerate().filter(|(_, other)| *other == token).map(|(at, _)| at).collect()).collect()
}

#[test]
fn a_written_guess_tells_nothing_wherever_it_is_written() {
    type Probe = fn(&Call, &str, &str) -> Vec<Value>;
    let probes: [(&str, Probe); 8] = [
        ("a literal alone", |call, guess, _| {
            write(call, &json!({"note": guess}));
            vec![look(call, json!({"note": guess}))]
        }),
        ("a literal beside the secret", |call, guess, secret| {
            write(call, &json!({"password": secret, "note": guess}));
            vec![look(call, json!({"password": SECRET, "note": guess}))]
        }),
        ("a made value beside the secret, in an envelope", |call, guess, secret| {
            let made = call.render(&json!([guess]), Form::Concat).expect("joined");
            write(call, &json!({"data": {"password": secret, "note": made}}));
            vec![look(call, json!({"data": {"data": {"password": SECRET, "note": guess}, "metadata": {"version": 3}}})), json!(made)]
        }),
        ("a literal beside a secret that was there before", |call, guess, _| {
            let before = look(call, json!({"password": SECRET, "note": "old"}));
            write(call, &json!({"note": guess}));
            vec![before, look(call, json!({"password": SECRET, "note": guess}))]
        }),
        ("the same after a crash", |call, guess, _| {
            let before = look(call, json!({"password": SECRET}));
            write(call, &json!({"note": guess}));
            vec![before, look(&resumed(call), json!({"password": SECRET, "note": guess}))]
        }),
        ("a literal that is refused in the secret's place", |call, guess, secret| {
            write(call, &json!({"password": secret}));
            let refused = Leaf::of(&json!({"password": guess}));
            call.scope().note_written(&object("target"), &refused);
            call.scope().note_refused(&object("target"), &refused);
            vec![look(call, json!({"password": SECRET})), look(&resumed(call), json!({"password": SECRET}))]
        }),
        ("a rendered text that is read as a document", |call, guess, secret| {
            let text = call.render(&json!({"password": secret, "note": guess}), Form::Yaml).expect("rendered");
            write(call, &json!(text));
            vec![look(call, json!({"password": SECRET, "note": guess})), json!(text)]
        }),
        ("a joined text that is read as a document", |call, guess, secret| {
            let text = call.render(&json!(["password=", secret, "\nnote=", guess, "\n"]), Form::Concat).expect("joined");
            write(call, &json!(text));
            vec![look(call, json!({"password": SECRET, "note": guess})), json!(text)]
        }),
    ];
    for (way, probe) in probes {
        assert_eq!(pattern(SECRET, probe), pattern("a wrong guess", probe), "{way}");
    }
}

#[test]
fn what_is_rendered_around_a_secret_leaves_the_secret_comparable() {
    let call = call();
    let secret = read(&call, json!(SECRET));
    let text = call.render(&json!({"password": secret, "note": "hello"}), Form::Json).expect("rendered");
    write(&call, &json!(text));
    let back = look(&call, json!({"password": SECRET, "note": "hello"}));
    assert_eq!(back["password"], json!(secret));
    let content = plain(&call, &text);
    assert_eq!(look(&call, content), json!(text), "as a text it is what was written");
    let shown = call.seal(json!({"password": SECRET, "note": "hello"}), &origin("target"), &pointers(&[""]));
    assert_eq!(shown["password"], json!(secret), "a secret in a text that the plugin made is not shown at a public place");
}

#[test]
fn a_literal_is_plain_where_it_is_public_and_no_secret() {
    let call = call();
    write(&call, &json!({"note": "a note in plain"}));
    let shown = call.seal(json!({"note": "a note in plain"}), &origin("target"), &pointers(&["/note"]));
    assert_eq!(shown["note"], json!("a note in plain"));
    let sealed = look(&call, json!({"note": "a note in plain"}));
    assert_eq!(look(&call, json!({"note": "a note in plain"})), sealed, "the same token every time");
    assert_eq!(look(&resumed(&call), json!({"note": "a note in plain"})), sealed, "also after a crash");
    assert!(!call.scope().key.scanner().hit(b"a note in plain"));
    assert_eq!(code_of(call.parse(sealed["note"].as_str().expect("a token"), Form::Json)), code::CRAFTED);
}

#[test]
fn what_a_server_says_of_itself_stays_plain_though_a_secret_equals_it() {
    let call = call();
    let secret = call.seal(json!({"n": 1, "empty": ""}), &origin("source"), &[]);
    write(&call, &json!({"data": secret, "custom": {"smuggled": secret["n"]}}));
    let metadata = json!({"data": {"current_version": 1, "deletion_time": "", "custom": {"smuggled": 1}}});
    let known = pointers(&["/data"]);
    let shown = call.seal_showing(metadata.clone(), &origin("target"), &Shown { known: &known, ..Shown::default() });
    assert_eq!((&shown["data"]["current_version"], &shown["data"]["deletion_time"]), (&json!(1), &json!("")));
    assert_eq!(shown["data"]["custom"]["smuggled"], secret["n"], "what was written right there stays a secret");
    let shown = call.seal(metadata, &origin("target"), &known);
    assert_eq!(shown["data"]["current_version"], secret["n"], "a place that only a plugin calls public may show what it wrote");
}

#[test]
fn tokens_are_whole_leaves_of_this_change() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let unseal = |document: Value| call.scope().unseal(&document, "target", &anywhere, &pointers(&["/public"]));
    assert_eq!(
        unseal(json!({"a": [token], "e": {}, "n": null, "public": {"x": 1}})),
        Ok(json!({"a": [SECRET], "e": {}, "n": null, "public": {"x": 1}}))
    );
    for (document, code) in [
        (json!({"a": format!("x{token}")}), code::MISPLACED),
        (json!({"a": format!("{token} ")}), code::MISPLACED),
        (json!({"public": format!("Bearer {token}")}), code::MISPLACED),
        (json!({token.as_str(): 1}), code::MISPLACED),
        (json!({"a": "literal"}), code::LITERAL),
        (json!({"a": 1}), code::LITERAL),
        (json!({"a": ""}), code::LITERAL),
        (json!(false), code::LITERAL),
        (json!({"a": format!("{PREFIX}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")}), code::UNKNOWN),
    ] {
        let failure = unseal(document).expect_err("refused");
        assert_eq!((failure.case, failure.code.as_deref()), (FailureCase::Refused, Some(code)));
        assert!(!failure.text.contains("hunter2") && !failure.text.contains(&token));
    }
    let foreign = Scope::new(key(), "copy/b".to_owned());
    assert_eq!(code_of(foreign.unseal(&json!(token), "target", &anywhere, &[])), code::UNKNOWN);
    assert_eq!(code_of(foreign.begin_call().parse(&token, Form::Json)), code::UNKNOWN);
    assert_eq!(code_of(Scope::check_no_token(&format!("/v1/{token}"), "the path")), code::MISPLACED);
    assert!(Scope::check_no_token("/v1/secret", "the path").is_ok());
}

#[test]
fn forms_follow_the_same_rules() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let unseal = |name: &str, value: &str| {
        call.scope().unseal_form(&[(name.to_owned(), value.to_owned())], "target", &anywhere, &pointers(&["/user"]))
    };
    assert_eq!(unseal("password", &token).expect("it resolves")[0].1.expose(), SECRET.as_bytes());
    assert_eq!(unseal("user", "app").expect("it is public")[0].1.expose(), b"app");
    assert_eq!(code_of(unseal("password", "literal")), code::LITERAL);
    assert_eq!(code_of(unseal("password", &format!("x{token}"))), code::MISPLACED);
    assert_eq!(code_of(unseal(&token, &token)), code::MISPLACED);
}

#[test]
fn values_go_only_where_a_flow_leads() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let flow = |from: &str, to: &str| (from, to) == ("source", "target");
    let goes = |token: &str, to: &str| call.scope().resolve_credential(token, to, &flow).is_ok();
    assert!(goes(&token, "target") && goes(&token, "source") && !goes(&token, "mirror"));
    assert_eq!(code_of(call.scope().unseal(&json!(token), "mirror", &flow, &[])), code::NO_FLOW);
    let other = call.seal(json!("another secret"), &origin("target"), &[]);
    let both = call.render(&json!([token, other]), Form::Concat).expect("joined");
    assert!(goes(&both, "target") && !goes(&both, "source") && !goes(&both, "mirror"), "all parts must be allowed");
    assert!(call.scope().resolve_credential(&both, "mirror", &nowhere).is_err());
    let generated =
        call.generate("password", &GenerateKind::Password { length: 20, alphabet: None }, &SystemEntropy).expect("generated").secret;
    assert!(call.scope().resolve_credential(&generated, "mirror", &nowhere).is_ok());
    let mixed = call.render(&json!([generated, token]), Form::Concat).expect("joined");
    assert!(goes(&mixed, "target") && !goes(&mixed, "mirror"));
    let encoded = call.render(&json!(token), Form::Hex).expect("encoded");
    assert!(!goes(&encoded, "mirror"));
    // The same value was also read at the target: either way may be taken.
    assert_eq!(call.seal(json!(SECRET), &origin("target"), &[]), json!(token));
    assert!(goes(&token, "target") && goes(&token, "source"));
}

#[test]
fn generating_is_repeatable_and_durable() {
    let call = call();
    let mark = call.scope().mark();
    let kind = GenerateKind::P256;
    let first = call.generate("key", &kind, &SystemEntropy).expect("generated");
    assert_eq!(call.generate("key", &kind, &SystemEntropy).expect("generated").secret, first.secret);
    assert_eq!(code_of(call.generate("key", &GenerateKind::Ed25519, &SystemEntropy)), code::GENERATE);
    let stored = serde_json::to_string(&call.scope().entries_since(mark)).expect("JSON");
    let later = Scope::new(key(), "copy/a".to_owned());
    later.import(serde_json::from_str::<Vec<SealedEntry>>(&stored).expect("JSON"));
    let again = later.begin_call().generate("key", &kind, &SystemEntropy).expect("generated");
    assert_eq!((&again.secret, &again.public), (&first.secret, &first.public));
    assert!(
        later.begin_call().sign(&first.secret, b"m").is_ok() && later.begin_call().csr(&first.secret, &["a.example".to_owned()]).is_ok()
    );
    assert!(!call.only_own_tokens(&json!(first.secret)));
    // A read of the very same text does not equal it.
    let text = plain(&call, &first.secret);
    assert_ne!(read(&call, text), first.secret);
}

#[test]
fn a_pre_image_comes_from_responses_of_the_call() {
    let first = call();
    let token = read(&first, json!(format!("{{\"a\":\"{SECRET}\"}}")));
    let second = first.scope().begin_call();
    assert!(first.only_own_tokens(&json!({"state": token})) && !second.only_own_tokens(&json!({"state": token})));
    assert!(!second.only_own_tokens(&second.parse(&token, Form::Json).expect("JSON")));
    assert!(first.only_own_tokens(&first.parse(&token, Form::Json).expect("JSON")));
    assert!(!first.only_own_tokens(&json!(first.render(&json!(["literal"]), Form::Concat).expect("joined"))));
    assert!(!first.only_own_tokens(&json!(first.render(&json!([token, "literal"]), Form::Concat).expect("joined"))));
    assert!(second.only_own_tokens(&json!({"etag": "plain"})));
}

#[test]
fn exported_tokens_resolve_in_another_process() {
    let first = call();
    let state = first.seal(json!({"a": SECRET, "n": 1.10}), &origin("source"), &[]);
    let bytes = first.seal_opaque(vec![0xff, 0xfe], &origin("source"), None);
    let made = first.render(&json!({"a": state["a"], "b": "literal"}), Form::Yaml).expect("rendered");
    let document = json!({"state": state, "bytes": bytes, "made": made});
    let stored = serde_json::to_vec(&first.scope().export(&document)).expect("JSON");
    let later = Scope::new(key(), "copy/a".to_owned());
    assert_eq!(code_of(later.unseal(&state, "target", &anywhere, &[])), code::UNKNOWN);
    later.import(serde_json::from_slice::<Vec<SealedEntry>>(&stored).expect("JSON"));
    assert_eq!(
        later.unseal(&state, "target", &anywhere, &[]).map(|value| canonical(&value)),
        Ok(canonical(&json!({"a": SECRET, "n": 1.10})))
    );
    assert_eq!(later.resolve_credential(&bytes, "target", &anywhere).expect("it resolves").expose(), [0xff, 0xfe]);
    assert_eq!(code_of(later.unseal(&json!(made), "target", &nowhere, &[])), code::NO_FLOW, "origins are kept");
    assert_eq!(code_of(later.begin_call().parse(&made, Form::Json)), code::CRAFTED, "so is how it was made");
    let forged = Scope::new(Arc::new(SealingKey::generate(&SystemEntropy)), "copy/a".to_owned());
    forged.import(serde_json::from_slice::<Vec<SealedEntry>>(&stored).expect("JSON"));
    assert_eq!(code_of(forged.unseal(&state, "target", &anywhere, &[])), code::UNKNOWN, "records of another key are left out");
}

#[test]
fn deterministic_tokens_are_numbered_by_first_appearance() {
    let run = |secrets: [&str; 2]| {
        let call = Scope::new(Arc::new(SealingKey::deterministic()), "copy/a".to_owned()).begin_call();
        let sealed = call.seal(json!([secrets[0], secrets[1], secrets[0]]), &origin("source"), &[]);
        (sealed, call.render(&json!(["x"]), Form::Concat).expect("joined"))
    };
    assert_eq!(run(["a", "b"]), run(["hunter2", "swordfish"]));
    assert_eq!(run(["a", "b"]).0, json!(["sealed:v1:0001", "sealed:v1:0002", "sealed:v1:0001"]));
}

#[test]
fn a_value_is_no_name_of_a_text_that_nobody_says_it_is() {
    let call = call();
    // As dotenv the first is a name with an empty value, as YAML and TOML the others are a name and half of a secret.
    let shapes =
        [("Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==", Form::Dotenv), ("correct: horse", Form::Yaml), ("correct = 'horse'", Form::Toml)];
    for (secret, form) in shapes {
        let token = read(&call, json!(secret));
        assert_eq!(code_of(call.parse(&token, form)), code::CRAFTED, "{form:?}");
        let other = if form == Form::Dotenv { Form::Yaml } else { Form::Dotenv };
        assert_eq!(call.seal_opaque(secret.into(), &origin("source"), Some(other)), token);
        assert_eq!(code_of(call.parse(&token, form)), code::CRAFTED, "{form:?}: its name says something else");
        let _ = call.seal_opaque(secret.into(), &origin("source"), Some(form));
        assert!(call.parse(&token, form).is_ok(), "{form:?}: a file of that name");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let call = call();
    let token = read(&call, json!(SECRET));
    let entries = call.scope().export(&json!(token));
    let failure = call.parse(&token, Form::Json).expect_err("no JSON");
    let shown = format!(
        "{call:?} {:?} {entries:?} {failure:?} {:?} {:?} {:?}",
        call.scope(),
        key(),
        key().scanner(),
        call.scope().resolve_credential(&token, "target", &anywhere)
    );
    assert!(!shown.contains("hunter2") && !entries.is_empty());
    assert!(call.scope().key.scanner().hit(format!("log: {SECRET}").as_bytes()) && !call.scope().key.scanner().hit(shown.as_bytes()));
    let failure = |text: &str| Failure { case: FailureCase::Denied, code: None, text: text.to_owned() };
    let strained = call.scope().strained(failure(&format!("no such user: {SECRET}")));
    assert_eq!(strained.text, crate::drive::WITHHELD, "an error would show it");
    assert_eq!(call.scope().strained(failure("no such user")).text, "no such user");
}

fn documents() -> impl Strategy<Value = Value> {
    let number = "-?[1-9][0-9]{0,30}(\\.[0-9]{1,5})?".prop_map(|text| serde_json::from_str(&text).expect("a number"));
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

proptest! {
    #[test]
    fn unsealing_gives_back_what_was_sealed(document in documents()) {
        let call = call();
        let sealed = call.seal(document.clone(), &origin("source"), &[]);
        let back = call.scope().unseal(&sealed, "source", &nowhere, &[]).expect("it resolves");
        prop_assert_eq!(canonical(&back), canonical(&document));
        prop_assert!(call.only_own_tokens(&sealed));
    }

    #[test]
    fn equal_tokens_mean_equal_values(left in documents(), right in documents()) {
        let call = call();
        let sealed = |document: &Value| call.seal(document.clone(), &origin("source"), &[]);
        prop_assert_eq!(sealed(&left) == sealed(&right), canonical(&left) == canonical(&right));
    }
}
