//! What people do today: a shell loop over the server's own program, which takes along the latest version only.

use std::{fs, process::Command};

use cutover_tests::OpenBao;

use super::pair::{MOUNT, Pair, Took};

const LOOP: &str = r#"
while read -r key; do
  BAO_ADDR=$OLD "$BAO" kv get -mount="$MOUNT" -format=json -field=data "$key" |
    BAO_ADDR=$NEW "$BAO" kv put -mount="$MOUNT" "$key" - >/dev/null || exit 1
done <keys
"#;

/// Copies the first so many secrets.
pub(crate) fn copy(pair: &Pair, secrets: usize) -> Took {
    let keys: String = pair.keys.iter().take(secrets).map(|key| format!("{key}\n")).collect();
    fs::write(pair.folder.path().join("keys"), keys).expect("a file");
    let mut shell = Command::new("sh");
    shell.args(["-ec", LOOP]).current_dir(pair.folder.path()).env_clear();
    shell.env("BAO", OpenBao::program()).env("BAO_TOKEN", pair.old.root()).env("MOUNT", MOUNT);
    shell.env("OLD", pair.old.url()).env("NEW", pair.new.url()).env("HOME", pair.folder.path());
    let took = pair.timed(shell);
    let path = format!("/v1/{MOUNT}/data/{}", pair.keys[secrets - 1]);
    let latest = |server: &OpenBao| server.must("GET", &path, serde_json::Value::Null)["data"]["data"].clone();
    assert_eq!(latest(&pair.old), latest(&pair.new), "the loop copies");
    took
}
