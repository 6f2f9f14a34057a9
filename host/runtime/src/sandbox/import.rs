//! What a plugin can call: one file per imported interface, each handing over to [`Powers`].

mod connection;
mod log;
mod sealed;

use std::sync::Arc;

use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

use self::log::LogQuota;
use super::{
    bindings::migrator::cutover::plugin,
    limit::{Limiter, Limits},
    witness::{Stop, Witness},
};
use crate::hook::Powers;

/// The host as one call sees it: the data of its store.
pub(super) struct Host {
    powers: Option<Arc<dyn Powers>>,
    limiter: Limiter,
    log: LogQuota,
    witness: Option<Arc<dyn Witness>>,
}

impl Host {
    /// Without powers every import traps.
    pub(super) fn new(powers: Option<Arc<dyn Powers>>, limits: &Limits, witness: Option<Arc<dyn Witness>>) -> Self {
        Self { powers, limiter: Limiter::new(limits), log: LogQuota::new(limits.log_bytes), witness }
    }

    pub(super) fn limiter(&mut self) -> &mut Limiter {
        &mut self.limiter
    }

    /// Tells whoever watches that the guest stands still.
    pub(super) fn stop(&self, stop: Stop) {
        if let Some(witness) = &self.witness {
            witness.stands_still(stop, self.limiter.memory_bytes());
        }
    }

    /// What every import begins with.
    fn powers(&self) -> wasmtime::Result<&dyn Powers> {
        self.stop(Stop::Import);
        self.powers.as_deref().ok_or_else(|| wasmtime::Error::new(Impure))
    }
}

/// An import was called where none may be.
#[derive(Debug, thiserror::Error)]
#[error("`describe` called an import; it must be pure")]
pub(super) struct Impure;

impl plugin::types::Host for Host {}

/// Everything that a plugin can be linked with. There is no WASI in it.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    plugin::types::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    plugin::connection::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    plugin::sealed::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    plugin::log::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    Ok(linker)
}
