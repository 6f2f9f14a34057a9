//! Which crate uses which.

use crate::checkout::text;

/// The names in the tables of a manifest whose header ends with `dependencies]`; those for tests only if asked for.
fn dependencies(manifest: &str, tests_too: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in text(manifest).lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && (tests_too || !line.contains("dev-dependencies"));
        } else if inside && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', '=', ' ']).next().expect("a line has a beginning");
            names.push(name.trim_matches('"').to_owned());
        }
    }
    assert!(!names.is_empty(), "{manifest}");
    names
}

fn ours(manifest: &str) -> Vec<String> {
    let mut ours: Vec<String> = dependencies(manifest, true).into_iter().filter(|name| name.starts_with("cutover")).collect();
    ours.sort();
    ours.dedup();
    ours
}

#[test]
fn the_engine_uses_nothing_of_ours_and_nothing_that_acts() {
    assert_eq!(ours("host/engine/Cargo.toml"), Vec::<String>::new());
    let acting = ["tokio", "wasmtime", "hyper", "rustix", "getrandom", "tempfile", "rustls", "tracing"];
    let found: Vec<String> =
        dependencies("host/engine/Cargo.toml", false).into_iter().filter(|name| acting.contains(&name.as_str())).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_rooms_of_the_host_use_each_other_in_one_direction() {
    assert_eq!(ours("host/runtime/Cargo.toml"), ["cutover-engine"]);
    assert_eq!(ours("host/cli/Cargo.toml"), ["cutover-engine", "cutover-runtime"]);
}

#[test]
fn host_and_plugins_meet_only_in_wit() {
    for manifest in ["host/engine/Cargo.toml", "host/runtime/Cargo.toml", "host/cli/Cargo.toml"] {
        assert!(!text(manifest).contains("plugins/"), "{manifest}");
        assert!(!ours(manifest).contains(&"cutover-plugin".to_owned()), "{manifest}");
    }
    for plugin in ["sdk", "example", "http-probe", "vault-migrator"] {
        let manifest = format!("plugins/{plugin}/Cargo.toml");
        assert!(ours(&manifest).iter().all(|name| name == "cutover-plugin"), "{manifest}");
    }
}

#[test]
fn starting_xtask_compiles_nothing_else() {
    let manifest = text("xtask/Cargo.toml");
    let heavy: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains("optional = true"))
        .collect();
    assert_eq!(heavy, Vec::<&str>::new());
}
