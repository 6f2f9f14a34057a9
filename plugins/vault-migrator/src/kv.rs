//! Secrets in KV mounts of Vault and `OpenBao`, with every version.
//!
//! - [`key`], [`store`]: what a key is, and the requests
//! - [`mount`], [`settings`], [`history`]: what is read of a mount and of a key
//! - [`planned`], [`wanted`]: what the plan saw, and what a copy should hold; the states that the host compares
//! - [`listing`], [`walk`], [`constraint`]: what there is to copy, cut into portions
//! - [`copy`], [`offer`]: `copy-kv`, planned portion by portion
//! - [`apply`], [`writing`], [`rollback`], [`single`]: there and back; [`single`] for targets without versions
//! - [`retire`], [`destroy`]: `retire-kv`, `destroy-kv`

pub(crate) mod apply;
mod constraint;
pub(crate) mod copy;
pub(crate) mod destroy;
mod duration;
mod history;
mod key;
mod listing;
pub(crate) mod loss;
mod mount;
mod offer;
mod origin;
mod planned;
pub(crate) mod retire;
pub(crate) mod rollback;
mod settings;
mod single;
mod store;
pub(crate) mod verify;
mod walk;
mod wanted;
mod writing;

pub(crate) use destroy::DestroyedKv;
pub(crate) use origin::{CopiedKv, Origin};
pub(crate) use retire::RetiredKv;

pub(crate) const SOURCE: &str = "source";
pub(crate) const TARGET: &str = "target";

#[cfg(test)]
mod tests;
