//! The room that owns Wasmtime: loading, packing and calling plugins. Its types never leave it.
//!
//! A component is audited by its bytes ([`inspect`]), compiled in a process of its own or taken from the [`Cache`], linked
//! with nothing but the imports of `wit/`, and asked for its manifest, which must be the embedded one ([`Sandbox::load`]).
//! Every call ([`Plugin::call`]) gets a fresh store with limits; what it asks of the host goes to
//! [`Powers`](crate::hook::Powers).

mod anatomy;
mod audit;
mod bindings;
mod cache;
mod call;
pub mod code;
mod compiler;
mod conversion;
mod engine;
mod import;
mod limit;
mod manifest;
mod pack;
mod plugin;
mod text;
mod trap;
mod witness;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use wasmtime::{Engine, component::Linker};

use self::import::Host;
pub use self::{
    anatomy::{ComponentError, Inspection, inspect, read_manifest},
    audit::{CONTRACT_VERSION, RefusedImport, World},
    cache::Cache,
    compiler::{CompileError, Compiler, compile_child},
    limit::{
        COMPONENT_BYTES, DESCRIBE_TIME, HANDLES, INSTANCES, LOG_BYTES, Limits, MEMORIES, MEMORY_BYTES, TABLE_ELEMENTS, TABLES,
        TRANSFER_BYTES,
    },
    pack::PackError,
    plugin::{LoadError, Plugin},
    witness::{Stop, Witness},
};

/// One engine with its settings, imports and limits. A process needs one.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<Host>,
    limits: Limits,
    compiler: Compiler,
    cache: Option<Cache>,
    witness: Option<Arc<dyn Witness>>,
}

/// The sandbox cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot be set up: {0}")]
pub struct SandboxError(String);

impl Sandbox {
    /// Sets up the engine and starts the thread that interrupts guests; it ends with the last plugin.
    pub fn new(limits: Limits, compiler: Compiler, cache: Option<Cache>) -> Result<Self, SandboxError> {
        let told = |error: wasmtime::Error| SandboxError(format!("{error:#}"));
        let engine = engine::running_engine().map_err(told)?;
        let linker = import::linker(&engine).map_err(told)?;
        Ok(Self { engine, linker, limits, compiler, cache, witness: None })
    }
}
