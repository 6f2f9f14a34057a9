//! Wasmtime's settings, and the clock that interrupts guests.

use std::{thread, time::Duration};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, Strategy, WasmBacktraceDetails};

/// How often running guests look whether their time is over.
pub(super) const EPOCH: Duration = Duration::from_millis(10);

/// Stack of a guest, in bytes.
const GUEST_STACK: usize = 512 * 1024;
/// Stack of a call, in bytes: the host's own functions run above the guest's frames, and an overflow there ends the process.
const CALL_STACK: usize = 2 * 1024 * 1024;

/// An engine without a ticker: for compiling.
pub(super) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// An engine whose epoch counts up every [`EPOCH`] until the engine is dropped.
pub(super) fn running_engine() -> wasmtime::Result<Engine> {
    let engine = compiling_engine()?;
    let weak = engine.weak();
    // A thread of its own: a runtime whose workers are all inside guests could not tick.
    thread::Builder::new().name("epochs".into()).spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(EPOCH);
        }
    })?;
    Ok(engine)
}

/// One configuration for compiling and running: a difference would make compiled code unusable.
fn config() -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift);
    switch_off_young_features(&mut config);

    config.epoch_interruption(true).consume_fuel(false);
    config.max_wasm_stack(GUEST_STACK).async_stack_size(CALL_STACK).async_stack_zeroing(true);
    // A fresh mapping for every call: no slot is ever used again.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand).memory_init_cow(false);
    // Several bugs of the past were held back by the guards alone.
    config.guard_before_linear_memory(true).signals_based_traps(true);
    // The same input gives the same output on every machine.
    config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    // What a guest had in memory stays out of every report.
    config.debug_info(false).wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Proposals that no plugin needs and that are not yet as well tried as the rest.
///
/// Several memories in one module are needed: where a component joins inner components, as one made of JavaScript does,
/// Wasmtime itself writes modules that copy between the memories of both, and its compiler panics if they are switched
/// off. Their number and their sum are limited all the same.
fn switch_off_young_features(config: &mut Config) {
    config.concurrency_support(false).shared_memory(false).gc_support(false);
    config.wasm_gc(false).wasm_function_references(false).wasm_exceptions(false);
    config.wasm_stack_switching(false).wasm_shared_everything_threads(false).wasm_custom_page_sizes(false);
    config.wasm_memory64(false).wasm_multi_memory(true).wasm_relaxed_simd(false).wasm_wide_arithmetic(false);
    config.wasm_component_model_memory64(false).wasm_component_model_gc(false).wasm_component_model_map(false);
    config.wasm_component_model_implements(false).wasm_component_model_fixed_length_lists(false);
    config.wasm_component_model_error_context(false);
}
