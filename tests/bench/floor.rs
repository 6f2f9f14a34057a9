//! What cannot be avoided: the sandbox calls alone, and the bytes alone.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cutover_engine::{ChangeBody, Failure, FailureCase, PlanLine, Timestamp};
use cutover_runtime::{
    clock::BoxFuture,
    hook::{Body, Call, CertificateFacts, Form, GenerateKind, Generated, HookContext, LogLevel, Powers, Request, Response, Stage},
    sandbox::Plugin,
};
use serde_json::Value;

use crate::memory::Place;

/// How many changes are under way at once, as in the measured workflow.
pub(crate) const PARALLEL: usize = 16;

/// The bodies of a plan.
pub(crate) fn bodies(text: &str) -> Vec<ChangeBody> {
    text.lines().filter_map(|line| serde_json::from_str::<PlanLine>(line).ok()).map(|line| line.body).collect()
}

/// The time of the calls that a run makes for these changes, with nothing between guest and memory.
pub(crate) async fn calls(plugin: &Plugin, place: &Arc<Place>, bodies: Vec<ChangeBody>) -> Duration {
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..PARALLEL)
        .map(|_| {
            let (plugin, bodies, next) = (plugin.clone(), bodies.clone(), next.clone());
            let powers: Arc<dyn Powers> = Arc::new(Direct(place.clone()));
            tokio::spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for call in hooks(body) {
                        plugin.call(powers.clone(), call, Duration::from_mins(1)).await.expect("an answer");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    begun.elapsed()
}

/// Capture, apply, the host's look, verify.
fn hooks(body: &ChangeBody) -> [Call; 4] {
    let (operation, change) = ("put".to_owned(), body.clone());
    let context = HookContext {
        run: "20261122-014502-k3fd".to_owned(),
        change: body.id.to_string(),
        attempt: 1,
        now: Timestamp(0),
        deadline: Timestamp(0),
        idempotency_key: "0".repeat(64),
    };
    let capture = Call::Capture { context: context.clone(), operation: operation.clone(), change: change.clone() };
    let apply = Call::Apply { context: context.clone(), operation: operation.clone(), change: change.clone(), pre_image: None, memo: None };
    let verify = Call::Verify { context, operation, change, pre_image: None, memo: None, stage: Stage::Applied };
    [capture.clone(), apply, capture, verify]
}

/// The time of writing two files of these sizes in so many groups, each made durable: the sealed one first.
pub(crate) fn syncs(folder: &Path, groups: u32, sizes: [u64; 2]) -> Duration {
    let open = |name: &str| File::create(folder.join(name)).expect("a file");
    let files = [open("floor-sealed"), open("floor-journal")];
    let chunks = sizes.map(|size| vec![b'x'; usize::try_from(size).expect("a small file") / groups as usize]);
    let begun = Instant::now();
    for _ in 0..groups {
        for (mut file, chunk) in files.iter().zip(&chunks) {
            file.write_all(chunk).and_then(|()| file.sync_data()).expect("the disk takes it");
        }
    }
    begun.elapsed()
}

/// Powers without rules: every request goes straight to memory.
struct Direct(Arc<Place>);

impl Powers for Direct {
    fn send(&self, _: String, _: Option<String>, request: Request) -> BoxFuture<'_, Result<Response, Failure>> {
        Box::pin(async move {
            let body = match &request.body {
                Some(Body::Json(body)) => Some(body),
                _ => None,
            };
            let (status, body) = self.0.answer(&request.method, &request.path, body)?;
            Ok(Response { status, headers: Vec::new(), body })
        })
    }

    fn members(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn generate(&self, _: String, _: GenerateKind) -> BoxFuture<'_, Result<Generated, Failure>> {
        Box::pin(async { Err(unused()) })
    }

    fn parse(&self, _: &str, _: Form) -> Result<Value, Failure> {
        Err(unused())
    }

    fn render(&self, _: &Value, _: Form) -> Result<String, Failure> {
        Err(unused())
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<String, Failure> {
        Err(unused())
    }

    fn csr(&self, _: &str, _: &[String]) -> Result<String, Failure> {
        Err(unused())
    }

    fn certificate_facts(&self, _: &str) -> Result<CertificateFacts, Failure> {
        Err(unused())
    }

    fn claims(&self, _: &str) -> Result<Value, Failure> {
        Err(unused())
    }

    fn log(&self, _: LogLevel, _: &str) {}
}

fn unused() -> Failure {
    Failure { case: FailureCase::Internal, code: None, text: "the guest of the benchmarks does not ask for this".to_owned() }
}
