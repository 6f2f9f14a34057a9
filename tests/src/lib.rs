//! What the tests share: a host on a folder of its own, and the guests that `cargo xtask plugins` built.

mod components;
mod rig;

pub use components::component;
pub use rig::{Rig, Trace};
