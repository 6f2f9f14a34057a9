//! Which imports and exports a plugin may have.

use std::fmt;

use semver::Version;

use super::{anatomy::ComponentError, text};

/// The contract this host offers: the package of `wit/`.
pub const CONTRACT_VERSION: Version = Version::new(0, 1, 0);

const PACKAGE: &str = "cutover:plugin";
const IMPORTS: [&str; 4] = ["connection", "log", "sealed", "types"];
const EXPORTS: [&str; 3] = ["plugin", "migration", "probe"];
/// Longest name shown, in bytes.
const NAME_BYTES: usize = 200;

/// Which hooks a plugin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// It moves things: `migration`.
    Migrator,
    /// It only looks: `probe`.
    Prober,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Migrator => "migrator",
            Self::Prober => "prober",
        })
    }
}

/// An import (or a versioned export) that the host does not go along with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedImport {
    /// As the component writes it, with its version.
    pub name: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Wasi,
    Unknown,
    Version { wanted: String, newer: bool },
}

impl RefusedImport {
    /// Whether only the version is wrong.
    pub(super) fn is_version(&self) -> bool {
        matches!(self.reason, Reason::Version { .. })
    }
}

impl fmt::Display for RefusedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.reason {
            Reason::Wasi => write!(
                f,
                "the plugin imports `{name}`, but no part of WASI is offered; build Rust for wasm32-unknown-unknown, JavaScript with `--backend-qjs-stub-wasi`, Python with `--stub-wasi`"
            ),
            Reason::Unknown => write!(
                f,
                "the plugin imports `{name}`, which the host does not offer; it offers `{PACKAGE}/connection`, `sealed`, `log` and `types` in version {CONTRACT_VERSION}"
            ),
            Reason::Version { wanted, newer } => {
                let remedy = if *newer { "use a newer cutover, or build the plugin" } else { "build the plugin again" };
                write!(
                    f,
                    "the plugin is for version {wanted} of `{}`, the host offers {CONTRACT_VERSION}; {remedy} with the SDK for {}.{}",
                    name.split('@').next().unwrap_or(name),
                    CONTRACT_VERSION.major,
                    CONTRACT_VERSION.minor,
                )
            }
        }
    }
}

/// The world of a component with these imports and exports, if the host can run it.
///
/// Other exports are let pass: the tools of some languages add their own.
pub(super) fn world(imports: &[String], exports: &[String]) -> Result<World, ComponentError> {
    let unknown: Vec<_> = imports.iter().filter_map(|name| refused(name, &IMPORTS)).collect();
    if !unknown.is_empty() {
        return Err(ComponentError::Imports { imports: unknown });
    }
    let ours = |name: &&String| name.strip_prefix(PACKAGE).is_some_and(|rest| rest.starts_with('/'));
    if let Some(export) = exports.iter().filter(ours).find_map(|name| refused(name, &EXPORTS).filter(RefusedImport::is_version)) {
        return Err(ComponentError::Version { export });
    }
    let has = |interface| exports.iter().any(|name| interface_of(name) == Some(interface));
    match (has("plugin"), has("migration"), has("probe")) {
        (true, true, false) => Ok(World::Migrator),
        (true, false, true) => Ok(World::Prober),
        _ => Err(ComponentError::World { exports: listed(exports) }),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => text::line(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "), NAME_BYTES),
    }
}

/// `connection` of `cutover:plugin/connection@0.1.0`.
fn interface_of(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split('@').next()
}

fn refused(name: &str, offered: &[&str]) -> Option<RefusedImport> {
    let reason = if name.starts_with("wasi:") {
        Some(Reason::Wasi)
    } else {
        match interface_of(name) {
            Some(interface) if offered.contains(&interface) => wrong_version(name.split_once('@').map_or("", |(_, version)| version)),
            _ => Some(Reason::Unknown),
        }
    };
    reason.map(|reason| RefusedImport { name: text::line(name, NAME_BYTES), reason })
}

/// None for 0.1.x: before 1.0 the minor number tells what goes together (Semantic Versioning 2.0.0, as cargo and the component model read it).
fn wrong_version(text: &str) -> Option<Reason> {
    let Ok(wanted) = Version::parse(text) else {
        let wanted = if text.is_empty() { "none".to_owned() } else { super::text::line(text, NAME_BYTES) };
        return Some(Reason::Version { wanted, newer: false });
    };
    let fits = (wanted.major, wanted.minor) == (CONTRACT_VERSION.major, CONTRACT_VERSION.minor) && wanted.pre.is_empty();
    (!fits).then(|| Reason::Version { newer: wanted > CONTRACT_VERSION, wanted: wanted.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(imports: &[&str], exports: &[&str]) -> Result<World, String> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        world(&owned(imports), &owned(exports)).map_err(|error| format!("{}: {error}", error.code()))
    }

    const MIGRATOR: [&str; 2] = ["cutover:plugin/plugin@0.1.0", "cutover:plugin/migration@0.1.0"];

    #[test]
    fn the_worlds_of_the_contract_pass() {
        let imports = ["cutover:plugin/types@0.1.0", "cutover:plugin/connection@0.1.7", "cutover:plugin/log@0.1.0"];
        assert_eq!(audit(&imports, &MIGRATOR), Ok(World::Migrator));
        assert_eq!(audit(&[], &["init", "cutover:plugin/probe@0.1.0", "cutover:plugin/plugin@0.1.0"]), Ok(World::Prober));
    }

    #[test]
    fn everything_else_is_refused_by_name_with_a_remedy() {
        let told = |imports: &[&str], exports: &[&str]| audit(imports, exports).expect_err("refused");
        let wasi = told(&["wasi:cli/environment@0.2.9", "wasi:sockets/tcp@0.2.9"], &MIGRATOR);
        assert!(wasi.starts_with("CUT3125") && wasi.contains("wasi:cli/environment@0.2.9") && wasi.contains("wasi:sockets/tcp@0.2.9"), "{wasi}");
        assert!(wasi.contains("wasm32-unknown-unknown"), "{wasi}");
        let later = told(&["cutover:plugin/connection@0.2.0"], &MIGRATOR);
        assert!(later.starts_with("CUT3126") && later.contains("version 0.2.0") && later.contains("offers 0.1.0"), "{later}");
        assert!(later.contains("use a newer cutover"), "{later}");
        assert!(told(&["cutover:plugin/connection@0.0.9"], &MIGRATOR).contains("build the plugin again"));
        assert!(told(&["cutover:plugin/connection@0.1.1-rc.1"], &MIGRATOR).contains("0.1.1-rc.1"));
        assert!(told(&["cutover:plugin/connection"], &MIGRATOR).contains("version none"));
        for name in ["env", "cutover:plugin/probe@0.1.0", "cutover:plugin/connection2@0.1.0", "cutover:pluginx/log@0.1.0", "evil:wasi/x@0.1.0"] {
            assert!(told(&[name], &MIGRATOR).starts_with("CUT3125"), "{name}");
        }
        let old = told(&[], &["cutover:plugin/plugin@1.0.0", "cutover:plugin/migration@1.0.0"]);
        assert!(old.starts_with("CUT3126") && old.contains("version 1.0.0"), "{old}");
        assert!(told(&[], &[]).contains("exports nothing"));
        assert!(told(&[], &["cutover:plugin/plugin@0.1.0"]).starts_with("CUT3127"));
        assert!(told(&[], &[MIGRATOR[0], MIGRATOR[1], "cutover:plugin/probe@0.1.0"]).starts_with("CUT3127"));
    }
}
