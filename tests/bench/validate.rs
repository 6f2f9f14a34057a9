//! `cutover validate` of a hundred steps, beyond the start of the process.

use std::{
    fmt::Write,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::table::{Row, median, ms};

const STEPS: u32 = 100;
const ROUNDS: usize = 21;

/// Milliseconds beyond those of `cutover --version`.
pub(crate) async fn measure(folder: &Path) -> Vec<Row> {
    let program = std::env::current_exe().expect("this program").with_file_name("cutover");
    assert!(program.exists(), "{} is not built; type `cargo xtask bench`", program.display());
    fs::write(folder.join("example.wasm"), cutover_tests::component("example").await).expect("a file");
    fs::write(folder.join("hundred.toml"), workflow()).expect("a file");
    let time = |arguments: &[&str]| {
        let begun = Instant::now();
        let output = Command::new(&program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts");
        let time = begun.elapsed();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        time
    };
    let (mut starts, mut validations): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        starts.push(time(&["--version"]));
        validations.push(time(&["validate", "hundred.toml"]));
    }
    let (start, validation) = (median(starts), median(validations));
    vec![Row {
        what: format!("`validate` of {STEPS} steps, beyond process start"),
        measured: ms(validation),
        against: format!("`--version` {}", ms(start)),
        result: (validation.as_secs_f64() - start.as_secs_f64()) * 1000.0,
        target: 10.0,
        unit: "ms",
    }]
}

fn workflow() -> String {
    let mut text = String::from(
        r#"
cutover = 1
name = "hundred"
owner = "bench"

[plugins]
example = { path = "example.wasm" }

[connections]
web = { kind = "http", url = "http://localhost" }
"#,
    );
    for step in 0..STEPS {
        let with = format!("with = {{ path = \"flags/{step}\", value = {{ on = true, step = {step} }} }}");
        let step = format!("\n[[step]]\nid = \"put-{step}\"\nuses = \"example.put\"\n{with}\nconnections = {{ target = \"web\" }}\n");
        text.write_str(&step).expect("memory takes every byte");
    }
    text
}
