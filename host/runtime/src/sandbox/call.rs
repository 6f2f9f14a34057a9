//! One call of a plugin: a fresh store, its limits, and what came of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::{Failure, FailureCase, Manifest};
use wasmtime::{Store, UpdateDeadline, component::Instance};

use super::{
    bindings::migrator::{cutover::plugin::types, exports::cutover::plugin::migration},
    code,
    conversion::{self, Broken},
    import::Host,
    limit::Exceeded,
    plugin::{Hooks, Plugin, Program},
    trap,
    witness::Stop,
};
use crate::hook::{Answer, Call, Powers};

impl Plugin {
    /// Calls a hook in a fresh instance, which is gone when this returns or is dropped.
    ///
    /// # Errors
    /// The hook's own failure, without a code, or the host's, with a code of [`code`]: `Exhausted` if the call ran into a
    /// limit, `Internal` if the plugin trapped or broke the contract.
    pub async fn call(&self, powers: Arc<dyn Powers>, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        let outcome = self.program.within(Some(powers), timeout, async |store, instance| match &self.program.hooks {
            Hooks::Migration(indices) => migrate(indices.load(&mut *store, &instance)?, store, call).await,
            Hooks::Probe(indices) => {
                let Call::Observe { context, operation, input, change } = call else { return Ok(Err(no_hook("migration"))) };
                let change = change.map(conversion::change_to_guest);
                let probe = indices.load(&mut *store, &instance)?;
                let context = conversion::context(context);
                let observed = probe.call_observe(store, &context, &operation, &input.to_string(), change.as_ref()).await?;
                Ok(answer(observed, |text| conversion::observation(&text)))
            }
        });
        outcome.await.and_then(|outcome| outcome)
    }
}

impl Program {
    /// What the plugin says of itself. It may call nothing.
    pub(super) async fn describe(&self) -> Result<Manifest, Failure> {
        let described = self.within(None, self.limits.describe_time, async |store, instance| {
            self.describe.load(&mut *store, &instance)?.call_describe(store).await
        });
        conversion::manifest(described.await?).map_err(Broken::into_failure)
    }

    /// Makes a store and an instance, and does something with them while there is time.
    async fn within<T>(
        &self,
        powers: Option<Arc<dyn Powers>>,
        timeout: Duration,
        act: impl AsyncFnOnce(&mut Store<Host>, Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let mut store = self.store(powers, timeout);
        let work = async {
            let instance = self.component.instantiate_async(&mut store).await?;
            act(&mut store, instance).await
        };
        // Wakes a call that waits for the host; the epoch ends one that computes.
        let outcome = tokio::time::timeout(timeout, work).await;
        store.data().stop(Stop::End);
        match outcome {
            Ok(outcome) => outcome.map_err(|error| trap::failure(&error)),
            Err(_) => Err(trap::exhausted(Exceeded::Time)),
        }
    }

    fn store(&self, powers: Option<Arc<dyn Powers>>, timeout: Duration) -> Store<Host> {
        let mut store = Store::new(self.component.engine(), Host::new(powers, &self.limits, self.witness.clone()));
        store.limiter(|host| host.limiter());
        store.set_hostcall_fuel(self.limits.transfer_bytes);
        store.set_max_component_handles(self.limits.handles);
        let deadline = Instant::now().checked_add(timeout);
        store.set_epoch_deadline(1);
        // The guest gives way at each tick and looks at the clock itself: while every worker of the runtime is inside a
        // guest, the runtime's timers do not fire in time. The callback leaves the store alone.
        store.epoch_deadline_callback(move |_| match deadline {
            Some(deadline) if Instant::now() >= deadline => Err(wasmtime::Error::new(Exceeded::Time)),
            _ => Ok(UpdateDeadline::Yield(1)),
        });
        store
    }
}

/// Calls a hook of `migration`.
async fn migrate(hooks: migration::Guest, store: &mut Store<Host>, call: Call) -> wasmtime::Result<Result<Answer, Failure>> {
    Ok(match call {
        Call::Plan { operation, input, linked, cursor } => {
            let linked: Vec<_> = linked.into_iter().map(conversion::change_to_guest).collect();
            let page = hooks.call_plan(store, &operation, &input.to_string(), &linked, cursor.as_deref()).await?;
            answer(page, conversion::page)
        }
        Call::Capture { context, operation, change } => {
            let (context, change) = (conversion::context(context), conversion::change_to_guest(change));
            let snapshot = hooks.call_capture(store, &context, &operation, &change).await?;
            answer(snapshot, |snapshot| conversion::snapshot(&snapshot))
        }
        Call::Apply { context, operation, change, pre_image, memo } => {
            let (context, change) = (conversion::context(context), conversion::change_to_guest(change));
            let (pre_image, memo) = (conversion::optional_text(pre_image.as_ref()), conversion::optional_text(memo.as_ref()));
            let progress = hooks.call_apply(store, &context, &operation, &change, pre_image.as_ref(), memo.as_ref()).await?;
            answer(progress, conversion::progress)
        }
        Call::Rollback { context, operation, change, pre_image, memo } => {
            let (context, change) = (conversion::context(context), conversion::change_to_guest(change));
            let (pre_image, memo) = (conversion::optional_text(pre_image.as_ref()), conversion::optional_text(memo.as_ref()));
            let progress = hooks.call_rollback(store, &context, &operation, &change, pre_image.as_ref(), memo.as_ref()).await?;
            answer(progress, conversion::progress)
        }
        Call::Verify { context, operation, change, pre_image, memo, stage } => {
            let (context, change) = (conversion::context(context), conversion::change_to_guest(change));
            let (pre_image, memo) = (conversion::optional_text(pre_image.as_ref()), conversion::optional_text(memo.as_ref()));
            let stage = conversion::stage(stage);
            let checks = hooks.call_verify(store, &context, &operation, &change, pre_image.as_ref(), memo.as_ref(), stage).await?;
            answer(checks, conversion::checks)
        }
        Call::Observe { .. } => Err(no_hook("probe")),
    })
}

fn answer<T>(returned: Result<T, types::Failure>, convert: impl FnOnce(T) -> Result<Answer, Broken>) -> Result<Answer, Failure> {
    convert(returned.map_err(conversion::failure_from_guest)?).map_err(Broken::into_failure)
}

fn no_hook(interface: &str) -> Failure {
    let text = format!("the plugin does not export `cutover:plugin/{interface}`");
    Failure { case: FailureCase::InvalidInput, code: Some(code::NO_HOOK.to_owned()), text }
}
