//! The trait of plugins that only look.

use serde_json::Value;

use crate::{change::Change, failure::Failure, manifest::Manifest, migrator::Context};

/// A plugin that only looks. Only routes of class read and login are open to it.
pub trait Prober {
    /// What it offers and asks for: the same on every call.
    fn manifest() -> Manifest;

    /// One observation, fitting the operation's output schema.
    fn observe(context: &Context, operation: &str, input: &Value, change: Option<&Change>) -> Result<Value, Failure>;
}

/// Makes a component of world `prober` from a type that implements [`Prober`](crate::Prober).
#[macro_export]
macro_rules! export_prober {
    ($plugin:ident) => {
        const _: () = {
            const fn is_prober<T: $crate::Prober>() {}
            is_prober::<$plugin>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
    $crate::bindings::prober::export!($plugin with_types_in $crate::bindings::prober);
        };
    };
}
