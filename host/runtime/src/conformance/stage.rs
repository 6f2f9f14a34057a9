//! The backend that a plugin meets: a backdrop, with a log of requests and trouble on order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::{
    backdrop::{Backdrop, Documents},
    canary::Canaries,
    trouble::Trouble,
};
use crate::{
    clock::BoxFuture,
    connection::{Backend, ConnectionConfig, Kind, OpenError, Opening, SendError, WireRequest, WireResponse, WireResponseBody},
    policy::KindTable,
};

/// One role's place.
pub(super) struct Stage {
    backdrop: Backdrop,
    backend: Arc<dyn Backend>,
    canaries: Arc<Canaries>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trouble: Trouble,
    /// `METHOD /path` of every write since the stage was set.
    writes: Vec<String>,
    refused: usize,
    /// The document that an intruder wrote, by path.
    intruded: Option<String>,
}

impl Stage {
    pub(super) fn new(backdrop: Backdrop, canaries: Arc<Canaries>) -> Self {
        let backend = backdrop.backend();
        Self { backdrop, backend, canaries, state: Mutex::default() }
    }

    /// The kind that it plays.
    pub(super) fn kind(&self) -> &'static str {
        self.backdrop.kind()
    }

    /// What is there.
    pub(super) fn documents(&self) -> Documents {
        self.backdrop.documents()
    }

    /// Makes this be there and nothing else, without trouble and with an empty log.
    pub(super) fn set(&self, documents: &Documents) {
        self.backdrop.replace(documents);
        *self.state() = State::default();
    }

    /// From now on this goes wrong.
    pub(super) fn trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    /// The writes since the stage was set.
    pub(super) fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// How many requests it refused since it was set.
    pub(super) fn refused(&self) -> usize {
        self.state().refused
    }

    /// Where an intruder wrote since it was set.
    pub(super) fn intruded(&self) -> Option<String> {
        self.state().intruded.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to this request, with its number among the writes; 0 for a read.
    fn admit(&self, request: &WireRequest) -> (Trouble, usize) {
        let mut state = self.state();
        let is_write = !matches!(request.method.as_str(), "GET" | "HEAD" | "LIST");
        if is_write {
            state.writes.push(format!("{} {}", request.method, request.path));
        }
        let number = if is_write { state.writes.len() } else { 0 };
        if matches!(state.trouble, Trouble::Refuses(_)) {
            state.refused += 1;
        }
        if number == 1
            && let Trouble::Intrudes(document) = state.trouble.clone()
        {
            let path = request.path.object();
            let mut documents = self.backdrop.documents();
            documents.insert(path.clone(), document);
            self.backdrop.replace(&documents);
            state.intruded = Some(path);
        }
        (state.trouble.clone(), number)
    }

    async fn answer(&self, request: WireRequest) -> Result<WireResponse, SendError> {
        match self.admit(&request) {
            (Trouble::Silent, _) => std::future::pending().await,
            (Trouble::Refuses(status), _) => {
                // Servers quote what they were asked and what they hold.
                let document = json!({ "errors": [self.canaries.of_refusals()] });
                let bytes = document.to_string().len() as u64;
                Ok(WireResponse { status, headers: Vec::new(), body: WireResponseBody::Json(document), bytes, form: None })
            }
            (Trouble::LosesAnswer(lost), number) if lost == number => {
                self.backend.send(request).await?;
                Err(SendError::Lost { text: "the connection broke before the answer".to_owned() })
            }
            _ => self.backend.send(request).await,
        }
    }
}

impl Backend for Stage {
    fn authority(&self) -> &str {
        self.backend.authority()
    }

    fn table(&self) -> &Arc<KindTable> {
        self.backend.table()
    }

    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, SendError>> {
        Box::pin(self.answer(request))
    }
}

/// The kind that opens one stage, whatever is declared.
pub(super) struct StageKind(pub(super) Arc<Stage>);

impl Kind for StageKind {
    fn table(&self) -> &Arc<KindTable> {
        self.0.backend.table()
    }

    fn open<'a>(&'a self, _: &'a ConnectionConfig, _: &'a Opening) -> BoxFuture<'a, Result<Arc<dyn Backend>, OpenError>> {
        Box::pin(async move { Ok(Arc::clone(&self.0) as Arc<dyn Backend>) })
    }
}
