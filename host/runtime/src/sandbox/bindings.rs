//! Types and glue made from `wit/`, and nothing else.

/// The world that moves things; owner of every shared type.
pub(super) mod migrator {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "migrator",
        imports: {
            "cutover:plugin/connection.send": async | trappable,
            "cutover:plugin/sealed.generate": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

/// The world that only looks; of it only `probe` is used.
pub(super) mod prober {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "prober",
        exports: { default: async },
        with: {
            "cutover:plugin/types": super::migrator::cutover::plugin::types,
            "cutover:plugin/connection": super::migrator::cutover::plugin::connection,
            "cutover:plugin/sealed": super::migrator::cutover::plugin::sealed,
            "cutover:plugin/log": super::migrator::cutover::plugin::log,
        },
    });
}
