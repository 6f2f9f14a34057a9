//! A loaded plugin: audited, compiled, linked and known to be what its manifest says.

use std::sync::Arc;

use cutover_engine::{Digest, Failure, Manifest, canonical_digest};
use wasmtime::component::{Component, InstancePre};

use super::{
    Sandbox,
    anatomy::{Anatomy, ComponentError},
    audit::{self, World},
    bindings::{
        migrator::exports::cutover::plugin::{migration, plugin},
        prober::exports::cutover::plugin::probe,
    },
    cache::CompiledCode,
    code,
    compiler::CompileError,
    import::Host,
    limit::Limits,
    text,
    witness::Witness,
};

/// Longest text of the linker that is shown, in bytes.
const REASON_BYTES: usize = 500;

/// Why a component is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file itself is at fault.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// There is no machine code.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The contract's names with other types, or functions that this host does not have.
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    /// `describe` did not return.
    #[error("`describe` failed: {}", .0.text)]
    Describe(Failure),
    /// The embedded manifest is not the plugin's own.
    #[error("the embedded manifest is not what `describe` returns ({differs} differs); pack the plugin again with `cutover plugin pack`")]
    ManifestDiffers {
        /// The first place where they differ.
        differs: &'static str,
    },
}

impl LoadError {
    /// The diagnostic code.
    pub fn code(&self) -> &str {
        match self {
            Self::Component(error) => error.code(),
            Self::Compile(_) => code::COMPILE,
            Self::Link(_) => code::LINK,
            Self::Describe(failure) => failure.code.as_deref().unwrap_or(code::TRAP),
            Self::ManifestDiffers { .. } => code::MANIFEST_DIFFERS,
        }
    }
}

/// A plugin that can be called. Clones share everything.
#[derive(Clone)]
pub struct Plugin {
    digest: Digest,
    manifest: Arc<Manifest>,
    pub(super) program: Arc<Program>,
}

impl Plugin {
    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it offers and asks for.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which hooks it has.
    pub fn world(&self) -> World {
        match self.program.hooks {
            Hooks::Migration(_) => World::Migrator,
            Hooks::Probe(_) => World::Prober,
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.manifest.name).field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A linked component: all that can be done before a call is done.
pub(super) struct Program {
    pub(super) component: InstancePre<Host>,
    pub(super) describe: plugin::GuestIndices,
    pub(super) hooks: Hooks,
    pub(super) limits: Limits,
    pub(super) witness: Option<Arc<dyn Witness>>,
}

/// Where the exports of a world are.
pub(super) enum Hooks {
    Migration(migration::GuestIndices),
    Probe(probe::GuestIndices),
}

impl Sandbox {
    /// Loads a packed component.
    ///
    /// What can be told without running it is told first. Then it is compiled, unless it was before, and `describe` must
    /// return the embedded manifest.
    pub async fn load(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let (anatomy, world) = self.admit(bytes)?;
        let manifest = anatomy.manifest()?;
        let (digest, described) = (Digest::of(bytes), manifest_digest(&manifest));
        let known = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, digest));
        let program = match known {
            Some(entry) if entry.described == described => self.link(&entry.component, world)?,
            _ => {
                let (program, code) = self.compile(bytes, world).await?;
                let own = program.describe().await.map_err(LoadError::Describe)?;
                if let Some(differs) = difference(&manifest, &own) {
                    return Err(LoadError::ManifestDiffers { differs });
                }
                self.keep(digest, described, &code);
                program
            }
        };
        Ok(Plugin { digest, manifest: Arc::new(manifest), program: Arc::new(program) })
    }

    /// What can be refused without compiling.
    pub(super) fn admit<'a>(&self, bytes: &'a [u8]) -> Result<(Anatomy<'a>, World), ComponentError> {
        let limit = self.limits.component_bytes;
        if bytes.len() > limit {
            return Err(ComponentError::TooLarge { size: bytes.len(), limit });
        }
        let anatomy = Anatomy::read(bytes)?;
        let world = audit::world(&anatomy.imports, &anatomy.exports)?;
        Ok((anatomy, world))
    }

    /// Compiles and links an admitted component.
    pub(super) async fn compile(&self, bytes: &[u8], world: World) -> Result<(Program, CompiledCode), LoadError> {
        let code = self.compiler.compile(&self.engine, bytes).await?;
        let component = code.load(&self.engine).map_err(|error| link_error(&error))?;
        Ok((self.link(&component, world)?, code))
    }

    fn link(&self, component: &Component, world: World) -> Result<Program, LoadError> {
        let component = self.linker.instantiate_pre(component).map_err(|error| link_error(&error))?;
        let describe = plugin::GuestIndices::new(&component).map_err(|error| link_error(&error))?;
        let hooks = match world {
            World::Migrator => migration::GuestIndices::new(&component).map(Hooks::Migration),
            World::Prober => probe::GuestIndices::new(&component).map(Hooks::Probe),
        };
        let hooks = hooks.map_err(|error| link_error(&error))?;
        Ok(Program { component, describe, hooks, limits: self.limits.clone(), witness: self.witness.clone() })
    }

    /// A cache that cannot be written costs time, nothing else.
    fn keep(&self, digest: Digest, described: Digest, code: &CompiledCode) {
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.put(&self.engine, digest, described, code)) {
            tracing::warn!(%digest, %error, "compiled code could not be kept");
        }
    }
}

fn manifest_digest(manifest: &Manifest) -> Digest {
    canonical_digest(&serde_json::to_value(manifest).expect("a manifest has string keys only"))
}

fn difference(embedded: &Manifest, own: &Manifest) -> Option<&'static str> {
    let parts = [
        ("name", embedded.name == own.name),
        ("version", embedded.version == own.version),
        ("summary", embedded.summary == own.summary),
        ("operations", embedded.operations == own.operations),
        ("losses", embedded.losses == own.losses),
    ];
    parts.into_iter().find_map(|(part, same)| (!same).then_some(part))
}

fn link_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Link(text::line(&format!("{error:#}"), REASON_BYTES))
}
