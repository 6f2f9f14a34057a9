//! Speaks the contract without the SDK's traits, so that it can answer with text that is no JSON.

#[cfg(target_arch = "wasm32")]
use cutover_plugin::bindings::migrator as bindings;

#[cfg(target_arch = "wasm32")]
mod guest {
    use cutover_plugin::{Action, Change, Manifest, Object, Operation, Role, Route};

    use super::bindings::{
        cutover::plugin::types,
        exports::cutover::plugin::{migration, plugin},
    };

    pub(super) struct Malformed;

    impl plugin::Guest for Malformed {
        fn describe() -> plugin::Manifest {
            let target = Role::one("target").kind("http").route(Route::read("GET", "/{+path}").public_response(""));
            let operation = Operation::migrate("answer", "answers with something that is no JSON").role(target);
            Manifest::new("test:malformed", env!("CARGO_PKG_VERSION"), "answers with something that is no JSON").operation(operation).into()
        }
    }

    impl migration::Guest for Malformed {
        fn plan(_: String, _: String, _: Vec<types::Change>, _: Option<String>) -> Result<migration::Page, types::Failure> {
            let change = Change::new(Action::Create, Object::new("target", "t/1")).summary("nothing").by_hand("nothing");
            Ok(migration::Page { changes: vec![change.into()], rest: Vec::new(), output: None })
        }

        fn capture(_: types::Context, _: String, _: types::Change) -> Result<types::Snapshot, types::Failure> {
            Ok(types::Snapshot { state: Some("{\"a\": ".to_owned()), expected: Some("NaN".to_owned()) })
        }

        fn apply(
            _: types::Context,
            _: String,
            _: types::Change,
            _: Option<String>,
            _: Option<String>,
        ) -> Result<types::Progress, types::Failure> {
            Ok(types::Progress::Done(None))
        }

        fn rollback(
            _: types::Context,
            _: String,
            _: types::Change,
            _: Option<String>,
            _: Option<String>,
        ) -> Result<types::Progress, types::Failure> {
            Ok(types::Progress::Done(None))
        }

        fn verify(
            _: types::Context,
            _: String,
            _: types::Change,
            _: Option<String>,
            _: Option<String>,
            _: types::Stage,
        ) -> Result<Vec<types::Check>, types::Failure> {
            Ok(Vec::new())
        }
    }
}

#[cfg(target_arch = "wasm32")]
use guest::Malformed;
#[cfg(target_arch = "wasm32")]
cutover_plugin::bindings::migrator::export!(Malformed with_types_in cutover_plugin::bindings::migrator);
