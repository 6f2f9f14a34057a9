//! The diagnostic codes of this room: CUT31xx. `cutover explain` tells more about each.

/// The plugin trapped: a panic, an `unreachable`, an access out of bounds.
pub const TRAP: &str = "CUT3101";
/// The call took longer than it may.
pub const TIME: &str = "CUT3102";
/// The memories of one call together are larger than they may be.
pub const MEMORY: &str = "CUT3103";
/// The tables of one call together have more elements than they may have.
pub const TABLES: &str = "CUT3104";
/// More core instances, memories or tables than one call may have.
pub const INSTANCES: &str = "CUT3105";
/// One transfer between plugin and host was larger than it may be.
pub const TRANSFER: &str = "CUT3106";
/// The plugin answered with something the contract does not allow, such as text that is no JSON.
pub const ANSWER: &str = "CUT3107";
/// `describe` called an import; it must be pure.
pub const IMPURE: &str = "CUT3108";
/// The plugin's world has no such hook.
pub const NO_HOOK: &str = "CUT3109";
/// The component is larger than it may be.
pub const TOO_LARGE: &str = "CUT3120";
/// The file is no WebAssembly component.
pub const NOT_A_COMPONENT: &str = "CUT3121";
/// The component has no manifest, or more than one: it was not packed.
pub const NOT_PACKED: &str = "CUT3122";
/// The manifest breaks a rule.
pub const MANIFEST: &str = "CUT3123";
/// The embedded manifest is not what `describe` returns.
pub const MANIFEST_DIFFERS: &str = "CUT3124";
/// The component imports something that the host does not offer.
pub const IMPORT: &str = "CUT3125";
/// The component is for another version of the contract.
pub const VERSION: &str = "CUT3126";
/// The component exports neither `migration` nor `probe`, or both.
pub const WORLD: &str = "CUT3127";
/// The component could not be compiled.
pub const COMPILE: &str = "CUT3128";
/// The component could not be linked: it uses the contract's names with other types.
pub const LINK: &str = "CUT3129";
