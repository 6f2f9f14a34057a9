//! Guests written as text, so that each does exactly one wrong thing.

use std::sync::Mutex;

use cutover_engine::{Action, ChangeBody, ChangeId, Failure, FailureCase, Timestamp};
use serde_json::Value;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{
    clock::BoxFuture,
    hook::{Call, CertificateFacts, Form, GenerateKind, Generated, HookContext, LogLevel, Powers, Request, Response},
};

/// Where the manifest is in the guest's memory. Below it all is zero, and a zero is an empty answer of every hook.
const MANIFEST: usize = 1024;

/// A guest: what is not said does nothing.
pub(super) struct Guest {
    /// `migrator` or `prober`.
    pub(super) world: &'static str,
    /// Core imports, tables, functions and data.
    pub(super) parts: &'static str,
    /// What `describe` does before it returns the manifest.
    pub(super) describe: &'static str,
    /// What `capture` or `observe` does; leaves the address of its answer.
    pub(super) hook: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self { world: "migrator", parts: "", describe: "", hook: "(i32.const 512)" }
    }
}

impl Guest {
    /// The core module with the types of its world, as wit-bindgen would leave it.
    pub(super) fn module(&self) -> Vec<u8> {
        let Self { world, parts, describe, hook } = self;
        let hooks = match *world {
            "migrator" => format!(
                r#"(func (export "cutover:plugin/migration@0.1.0#plan") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 512))
                (func (export "cutover:plugin/migration@0.1.0#capture") (param i32) (result i32) {hook})
                (func (export "cutover:plugin/migration@0.1.0#apply") (param i32) (result i32) (i32.const 512))
                (func (export "cutover:plugin/migration@0.1.0#rollback") (param i32) (result i32) (i32.const 512))
                (func (export "cutover:plugin/migration@0.1.0#verify") (param i32) (result i32) (i32.const 512))"#
            ),
            _ => format!(r#"(func (export "cutover:plugin/probe@0.1.0#observe") (param i32) (result i32) {hook})"#),
        };
        let text = format!(
            r#"(module
                {parts}
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 65536))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (global.get $free)
                    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 15)) (i32.const -16))))
                (data (i32.const {MANIFEST}) "{}")
                (func (export "cutover:plugin/plugin@0.1.0#describe") (result i32) {describe} (i32.const {MANIFEST}))
                {hooks})"#,
            manifest()
        );
        let mut module = wat::parse_str(text).expect("module text");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir("../../wit").expect("wit");
        let world = resolve.select_world(&[package], Some(world)).expect("world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("types");
        module
    }
}

/// The manifest as the canonical ABI lays it out: a record of ten words and its only operation of sixteen, then the texts.
fn manifest() -> String {
    let (mut words, mut texts) = (Vec::new(), Vec::new());
    let mut text = |words: &mut Vec<usize>, text: &str| {
        words.extend([MANIFEST + 104 + texts.len(), text.len()]);
        texts.extend_from_slice(text.as_bytes());
    };
    for each in ["test:guest", "0.1.0", "a guest"] {
        text(&mut words, each);
    }
    words.extend([MANIFEST + 40, 1, 0, 0]);
    for each in ["do", "does"] {
        text(&mut words, each);
    }
    words.push(0); // migrate
    for each in ["{}", "{\"type\":\"object\"}"] {
        text(&mut words, each);
    }
    words.extend([0, 0, 0, 0, 0, 0, 1]); // resumable, nothing else
    let bytes = words.into_iter().flat_map(|word| u32::try_from(word).expect("small").to_le_bytes()).chain(texts);
    bytes.fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"))
}

/// A call of the hook that [`Guest::hook`] is.
pub(super) fn capture() -> Call {
    let change = ChangeBody {
        id: ChangeId::new("c").expect("valid"),
        subject: Vec::new(),
        links: Vec::new(),
        action: Action::Create,
        group: None,
        summary: "s".into(),
        instruction: Value::Null,
        losses: Vec::new(),
        by_hand: String::new(),
        conflict: None,
    };
    Call::Capture { context: context(), operation: "do".into(), change }
}

/// The same for a prober.
pub(super) fn observe() -> Call {
    Call::Observe { context: context(), operation: "do".into(), input: Value::Null, change: None }
}

fn context() -> HookContext {
    HookContext { run: "r".into(), change: "c".into(), attempt: 1, now: Timestamp(1), deadline: Timestamp(2), idempotency_key: "k".into() }
}

/// What the only request is answered with.
pub(super) enum Reply {
    Never,
    With(Result<Response, Failure>),
}

/// A host that answers requests in one way and keeps what is logged.
pub(super) struct Desk {
    pub(super) reply: Reply,
    pub(super) log: Mutex<Vec<(LogLevel, String)>>,
}

impl Desk {
    pub(super) fn new(reply: Reply) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { reply, log: Mutex::default() })
    }
}

fn unsupported<T>() -> Result<T, Failure> {
    Err(Failure { case: FailureCase::Unsupported, code: None, text: "not at this desk".into() })
}

impl Powers for Desk {
    fn send(&self, _role: String, _member: Option<String>, _request: Request) -> BoxFuture<'_, Result<Response, Failure>> {
        Box::pin(async {
            match &self.reply {
                Reply::Never => std::future::pending().await,
                Reply::With(reply) => reply.clone(),
            }
        })
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

    fn log(&self, level: LogLevel, message: &str) {
        self.log.lock().expect("not poisoned").push((level, message.to_owned()));
    }
}
