//! The host as this process uses it: to plan and drive runs, or only to look at them.

use std::{path::Path, sync::Arc};

use cutover_engine::{RunId, Span};
use cutover_runtime::{
    clock::SystemClock,
    connection::Kinds,
    disk::SystemDisk,
    entropy::{Entropy, SystemEntropy},
    key::{Key, KeySource},
    lock::LockFolder,
    policy::CallLimits,
    runs::Host,
    sandbox::{Cache, Limits, Sandbox},
    state::StateFolder,
};
use zeroize::Zeroizing;

use crate::{
    error::{CommandError, code},
    host_error::refused,
    program::Program,
};

/// A host that can plan and drive runs. Makes the state folder and its key at first use.
pub(crate) fn driving(program: &Program, longest_wait: Span) -> Result<Host, CommandError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let source = match &program.settings.key {
        Some(source) => source.as_str().parse().map_err(|problem: String| CommandError::usage(code::SETTING, problem))?,
        None => KeySource::Generated,
    };
    let state = open(&program.settings.state)?;
    let state_key = state.state_key(&source, &*entropy).map_err(|error| refused(error.into()))?;
    let cache_key = state_key.derive("compiled code");
    let cache = Cache::open(state.cache(), Zeroizing::new(*cache_key.as_bytes()))
        .map_err(|error| CommandError::no(code::MACHINE, "cannot keep compiled plugins in the state folder").because(&error))?;
    let sandbox = Sandbox::new(Limits::default(), program.compiler()?, Some(cache))
        .map_err(|error| CommandError::no(code::MACHINE, "cannot set up the sandbox").because(&error))?;
    host(state, state_key, sandbox, entropy, longest_wait)
}

/// A host that only reads journals and plans; nothing if there is no state folder. It needs no key and makes no file.
pub(crate) fn looking(program: &Program) -> Result<Option<Host>, CommandError> {
    if !program.settings.state.is_dir() {
        return Ok(None);
    }
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let no_key = Key::generate(&*entropy);
    host(open(&program.settings.state)?, no_key, program.sandbox()?, entropy, Span::default()).map(Some)
}

fn host(state: StateFolder, state_key: Key, sandbox: Sandbox, entropy: Arc<dyn Entropy>, longest_wait: Span) -> Result<Host, CommandError> {
    Ok(Host {
        state,
        locks: LockFolder::of_user().map_err(|error| refused(error.into()))?,
        state_key,
        kinds: Kinds::system(),
        sandbox: Arc::new(sandbox),
        clock: Arc::new(SystemClock),
        entropy,
        limits: CallLimits::default(),
        longest_wait,
    })
}

fn open(root: &Path) -> Result<StateFolder, CommandError> {
    StateFolder::open(Arc::new(SystemDisk), root).map_err(|error| refused(error.into()))
}

/// The run that a person means: an id, its beginning, its last part, or `last`.
pub(crate) fn find_run(host: Option<&Host>, text: &str, state: &Path) -> Result<RunId, CommandError> {
    let ids = match host {
        Some(host) => host.state.runs().map_err(|error| refused(error.into()))?,
        None => Vec::new(),
    };
    let fits = |id: &&RunId| !text.is_empty() && (id.as_str().starts_with(text) || id.as_str().ends_with(text));
    let found: Vec<&RunId> = if text == "last" { ids.last().into_iter().collect() } else { ids.iter().filter(fits).collect() };
    match found.as_slice() {
        [id] => Ok((*id).clone()),
        [] => Err(CommandError::no(code::RUN, format!("there is no run `{text}` in `{}`", state.display()))
            .hint("`cutover runs list` shows all runs; `--state DIR` names another folder")),
        several => {
            let names: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            Err(CommandError::no(code::RUN, format!("`{text}` can be one of {} runs: {}", names.len(), names.join(", ")))
                .hint("write more of the id"))
        }
    }
}
