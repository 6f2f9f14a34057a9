//! The program as people and scripts meet it: arguments in; stdout, stderr and exit code out.

use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::desk::{cutover, cutover_with, document, folder, seen};

#[test]
fn short_help_of_the_program() {
    assert_snapshot!(seen(&cutover(folder().path(), "-h")), @r"
    exit 0
    --- stdout
    Move secrets, certificates and trust from one system to another, one verified and reversible change
    at a time

    Usage: cutover [OPTIONS] [COMMAND]

    Commands:
      init         Write a first workflow into a folder
      validate     Check workflow files without network, credentials or running a plugin
      fmt          Format workflow files
      graph        Draw the steps of a workflow and what waits for what
      schema       Print or write the JSON Schema of workflow files
      plan         Show what a workflow would do; writes nothing anywhere
      doctor       Find what is wrong with the state folder, and with the credentials of a workflow
      run          Plan, ask and perform a workflow, or perform a saved plan
      resume       Go on with a run that was stopped, paused, killed or left waiting
      rollback     Take back what a run has done, newest first, each change checked
      runs         List runs and look into them
      plugin       Write, build, test and pack plugins, and look into them
      explain      Explain the code of an error, or an exit code
      config       Show the settings that count
      completions  Print a completion script for a shell
      man          Print the manual page, or write those of all commands
      demo-app     Answer as the application of `cutover init --template demo`

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Global options:
          --state <DIR>        Folder in which runs are kept [env: CUTOVER_STATE] [default: .cutover]
          --plugin-path <DIR>  Folder with plugins; can be repeated [env: CUTOVER_PLUGIN_PATH]
      -o, --output <OUTPUT>    Form of the answer on stdout. json and jsonl are valid on every way out,
                               failures included [default: text] [possible values: text, json, jsonl]
          --events <FILE>      Also write every event of the run to this file as JSON Lines, the version
                               of the format first
          --color <WHEN>       When to use colour [env: NO_COLOR, CLICOLOR_FORCE] [default: auto]
                               [possible values: auto, always, never]
          --progress <STYLE>   How to show a run under way [default: auto] [possible values: auto, live,
                               plain, none]
      -q, --quiet              Only the answer and errors
      -v, --verbose...         More about what happens inside; twice for all of it [env: RUST_LOG]
          --log-format <FORM>  Form of the log on stderr [env: CUTOVER_LOG_FORMAT] [default: text]
                               [possible values: text, json]
          --key <SOURCE>       Where the key of the state folder comes from: env:NAME, file:PATH or
                               exec:COMMAND [env: CUTOVER_KEY]
          --no-input           Never ask; what would have been asked fails
    --- stderr
    ");
}

#[test]
fn long_help_of_run() {
    assert_snapshot!(seen(&cutover(folder().path(), "run --help")), @r"
    exit 0
    --- stdout
    Plan, ask and perform a workflow, or perform a saved plan

    A saved plan is planned again first; if the world moved since, nothing is written (exit code 15).
    Ctrl-C once stops at the next safe point, twice at once. Both can be resumed.

    Usage: cutover run [OPTIONS] <FILE|PLAN>

    Arguments:
      <FILE|PLAN>
              A workflow file, or a plan saved by `cutover plan --out`

    Options:
          --yes
              Do not ask. Without a terminal a workflow file needs this; a saved plan does not

          --var <NAME=VALUE>
              Value for an input of the workflow; can be repeated. Never a secret: other users of the
              machine can read it

          --var-file <FILE>
              TOML file with values for inputs, one `name = value` a line; `--var` beats it

          --max-wait <DURATION>
              Stay at most this long when the run waits for a gate or a slow system; then leave with 13
              and let `resume` go on
              
              [default: 2m]

      -h, --help
              Print help (see a summary with '-h')

    Telemetry:
          --metrics <FILE>
              Keep the run's metrics in this file, in the form that Prometheus reads; the name should
              end in .prom
              
              Written anew every few seconds and at the end, each time as a whole.

          --trace-file <FILE>
              Write the run's trace to this file: OTLP in JSON, one request for export a line [env:
              TRACEPARENT]
              
              One trace for the run, a span for each step and each change. TRACEPARENT (W3C Trace
              Context) makes it part of the trace of whoever calls. A build with the feature `otlp` also
              sends it to OTEL_EXPORTER_OTLP_ENDPOINT.

    Global options:
          --state <DIR>
              Folder in which runs are kept [env: CUTOVER_STATE] [default: .cutover]

          --plugin-path <DIR>
              Folder with plugins; can be repeated [env: CUTOVER_PLUGIN_PATH]
              
              Searched in this order: these folders, those of the variable, the folder of the program,
              lib/cutover/plugins of the archive that it was unpacked from, target/plugins of the
              checkout that it was built in, and the program itself if it was installed by cargo.

      -o, --output <OUTPUT>
              Form of the answer on stdout. json and jsonl are valid on every way out, failures included

              Possible values:
              - text:  For people; changes from version to version
              - json:  One JSON object
              - jsonl: One JSON object a line, as it happens
              
              [default: text]

          --events <FILE>
              Also write every event of the run to this file as JSON Lines, the version of the format
              first

          --color <WHEN>
              When to use colour [env: NO_COLOR, CLICOLOR_FORCE]

              Possible values:
              - auto:   On a terminal, unless a variable says otherwise
              - always: Also in files and pipes
              - never:  Not at all
              
              [default: auto]

          --progress <STYLE>
              How to show a run under way

              Possible values:
              - auto:  live on a terminal, plain elsewhere
              - live:  Bars that move; plain where there is no terminal
              - plain: One line whenever a step moves on
              - none:  Nothing
              
              [default: auto]

      -q, --quiet
              Only the answer and errors

      -v, --verbose...
              More about what happens inside; twice for all of it [env: RUST_LOG]

          --log-format <FORM>
              Form of the log on stderr [env: CUTOVER_LOG_FORMAT] [default: text]

              Possible values:
              - text: A line for people
              - json: An object a line, with run, step, change and trace where they are known

          --key <SOURCE>
              Where the key of the state folder comes from: env:NAME, file:PATH or exec:COMMAND [env:
              CUTOVER_KEY]
              
              Without it a key file is made in the state folder, readable by you alone.

          --no-input
              Never ask; what would have been asked fails

    Examples:
      cutover run payments.cutplan
      cutover run workflow.toml --var prefix=payments/ --yes -o json
    --- stderr
    ");
}

#[test]
fn version_is_an_answer() {
    assert_snapshot!(seen(&cutover(folder().path(), "--version")), @r"
    exit 0
    --- stdout
    cutover 0.1.0
    --- stderr
    ");
}

#[test]
fn usage_errors_exit_with_64() {
    assert_snapshot!(seen(&cutover(folder().path(), "plan --outt x a.toml")), @r"
    exit 64
    --- stdout
    --- stderr
    error[CUT6001]: unexpected argument '--outt' found
    help: a similar argument exists: '--out'
    help: usage: cutover plan --out <PLAN> <FILE>
    ");
    assert_snapshot!(seen(&cutover(folder().path(), "serve --fix")), @r"
    exit 64
    --- stdout
    --- stderr
    error[CUT6002]: `cutover serve` is not yet supported
    help: run `cutover --help` for what this version can do
    ");
}

#[test]
fn usage_errors_are_json_where_json_was_asked_for() {
    assert_snapshot!(seen(&cutover(folder().path(), "plna -o json")), @r#"
    exit 64
    --- stdout
    {
      "error": {
        "code": "CUT6001",
        "message": "unrecognized subcommand 'plna'",
        "causes": [],
        "help": [
          "some similar subcommands exist: 'explain', 'plan'",
          "usage: cutover [OPTIONS] [COMMAND]"
        ]
      },
      "exit": 64
    }
    --- stderr
    error[CUT6001]: unrecognized subcommand 'plna'
    help: some similar subcommands exist: 'explain', 'plan'
    help: usage: cutover [OPTIONS] [COMMAND]
    "#);
    let line = cutover(folder().path(), "runs pause 7f3a --output=jsonl");
    assert_eq!(String::from_utf8_lossy(&line.stdout).lines().count(), 1);
    assert_eq!((document(&line)["error"]["code"].as_str(), line.status.code()), (Some("CUT6002"), Some(64)));
}

#[test]
fn a_bug_exits_with_70_and_does_not_show_its_payload() {
    let output = cutover(folder().path(), "__panic canary-canary-canary -o json");
    let text = seen(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(!text.contains("canary") && text.contains("host/cli/src/command.rs:"), "{text}");
    let document = document(&output);
    assert_eq!((document["error"]["code"].as_str(), document["exit"].as_u64()), (Some("CUT9001"), Some(70)));
}

#[test]
fn a_bug_leaves_no_core_file() {
    let folder = folder();
    assert_eq!(cutover(folder.path(), "__panic x").status.code(), Some(70));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn a_key_on_the_command_line_is_refused_and_not_repeated() {
    for (line, variables) in [("--key hvs.canary-canary", &[][..]), ("", &[("CUTOVER_KEY", "hvs.canary-canary")])] {
        let output = cutover_with(folder().path(), variables, line);
        let text = seen(&output);
        assert!(output.status.code() == Some(64) && !text.contains("canary") && text.contains("CUT6003"), "{text}");
    }
}

#[test]
fn colour_is_there_only_where_it_is_wanted() {
    let folder = folder();
    let escapes = |variables: &[(&str, &str)], line: &str| {
        let output = cutover_with(folder.path(), variables, line);
        (output.stdout.contains(&0x1b), output.stderr.contains(&0x1b))
    };
    assert_eq!(escapes(&[], ""), (false, false));
    assert_eq!(escapes(&[], "plna"), (false, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], ""), (true, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], "plna"), (false, true));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], "plna"), (false, false));
    assert_eq!(escapes(&[], "--color always --help"), (true, false));
    assert_eq!(escapes(&[("CLICOLOR_FORCE", "1")], "--color never --help"), (false, false));
}

#[test]
fn init_writes_a_workflow_once_and_says_the_next_command() {
    let folder = folder();
    assert_snapshot!(seen(&cutover(folder.path(), "init payments")), @r"
    exit 0
    --- stdout
    wrote payments/workflow.toml
    wrote payments/.gitignore
    Next  edit payments/workflow.toml, then: cutover validate payments/workflow.toml
    --- stderr
    ");
    let written = std::fs::read_to_string(folder.path().join("payments/workflow.toml")).expect("written");
    std::fs::write(folder.path().join("payments/workflow.toml"), "mine").expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "init payments")), @r"
    exit 1
    --- stdout
    --- stderr
    error[CUT6014]: `payments/workflow.toml` is there already; nothing was written
    help: choose another folder: `cutover init DIR`
    ");
    assert_eq!(std::fs::read_to_string(folder.path().join("payments/workflow.toml")).expect("kept"), "mine");
    assert!(written.contains("copy-files"));
    assert_eq!(std::fs::read_to_string(folder.path().join("payments/.gitignore")).expect("written"), ".cutover/\n*.cutplan\n");
}

#[test]
fn init_tells_programs_what_it_wrote() {
    let folder = folder();
    let written = document(&cutover(folder.path(), "init -o json --template blank"));
    assert_eq!(written["written"][0], "./workflow.toml");
    assert_eq!(written["exit"], 0);
    let again = document(&cutover(folder.path(), "init -o json"));
    assert_eq!((again["error"]["code"].as_str(), again["exit"].as_u64()), (Some("CUT6014"), Some(1)));
}

#[test]
fn the_demo_is_written_with_files_that_only_their_owner_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let output = cutover(folder.path(), "init demo --template demo");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("Next  cd demo && cutover validate workflow.toml\n"), "{}", seen(&output));
    for file in ["legacy/mail.env", "legacy/web/session.json", "store.agekey"] {
        let metadata = std::fs::metadata(folder.path().join("demo").join(file)).expect("written");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(folder.path().join("demo/store").is_dir());
}

#[test]
fn a_second_application_of_the_demo_does_not_take_the_place_of_the_first() {
    let folder = folder();
    let _listener = std::os::unix::net::UnixListener::bind(folder.path().join("app.sock")).expect("a socket");
    let output = cutover(folder.path(), "demo-app");
    assert!(output.status.code() == Some(1) && seen(&output).contains("stop it first"), "{}", seen(&output));
}

#[test]
fn without_a_command_it_lists_workflows() {
    let folder = folder();
    assert_snapshot!(seen(&cutover(folder.path(), "")), @r"
    exit 0
    --- stdout
    No workflow in this folder.
    Next  cutover init
    --- stderr
    ");
    assert_eq!(document(&cutover(folder.path(), "-o json"))["workflows"], serde_json::json!([]));
    cutover(folder.path(), "init");
    assert_snapshot!(seen(&cutover(folder.path(), "")), @r"
    exit 0
    --- stdout
    Workflows
      workflow.toml  files-to-store
    Next  cutover plan workflow.toml
    --- stderr
    ");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["completions", "zsh"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(seen(&output), "exit 0\n--- stdout\n--- stderr\n");
}

#[test]
fn validate_reports_every_mistake_of_every_file() {
    let folder = folder();
    let text = "cutover = 1\nname = \"Payments\"\n\n[plugins]\nvault = { package = \"tests:not-packed\", version = \"0.1\" }\n\n\
                [[step]]\nid = \"copy\"\nuess = \"vault.copy-files\"\n";
    std::fs::write(folder.path().join("a.toml"), text).expect("written");
    let output = cutover(folder.path(), "validate a.toml missing.toml -o json");
    let document = document(&output);
    assert_eq!((output.status.code(), document["exit"].as_u64()), (Some(1), Some(1)));
    let found: Vec<(&str, Option<u64>)> = document["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| (problem["code"].as_str().expect("a code"), problem["line"].as_u64()))
        .collect();
    for wanted in [("CUT0108", Some(2)), ("CUT0215", Some(5)), ("CUT0104", Some(9)), ("CUT6011", None)] {
        assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
    }
    let text = seen(&cutover(folder.path(), "validate"));
    assert!(text.contains("--> a.toml:9:1") && text.contains("did you mean `uses`?") && text.contains("looked in `"), "{text}");
}

#[test]
fn validate_needs_a_file() {
    assert_snapshot!(seen(&cutover(folder().path(), "validate")), @r"
    exit 1
    --- stdout
    --- stderr
    error[CUT6011]: there is no workflow in this folder
    help: write one with `cutover init`, or name a file
    ");
}

#[test]
fn schema_is_written_where_the_workflow_points() {
    let folder = folder();
    assert_snapshot!(seen(&cutover(folder.path(), "schema --write")), @r"
    exit 0
    --- stdout
    wrote .cutover/workflow.schema.json
    --- stderr
    ");
    let written = std::fs::read(folder.path().join(".cutover/workflow.schema.json")).expect("written");
    assert_eq!(written, cutover(folder.path(), "schema").stdout);
    assert_eq!(document(&cutover(folder.path(), "schema"))["properties"]["cutover"]["const"], 1);
}

#[test]
fn what_is_no_component_is_refused_with_a_reason() {
    let folder = folder();
    std::fs::write(folder.path().join("text.wasm"), "hello").expect("written");
    std::fs::write(folder.path().join("module.wasm"), b"\0asm\x01\0\0\0").expect("written");
    assert_snapshot!(seen(&cutover(folder.path(), "plugin inspect text.wasm")), @r"
    exit 1
    --- stdout
    --- stderr
    error[CUT3121]: `text.wasm` is no plugin that this version can use
      caused by: this is no WebAssembly component: the file does not begin with the four bytes `\0asm`
    ");
    assert_snapshot!(seen(&cutover(folder.path(), "plugin inspect module.wasm")), @r"
    exit 1
    --- stdout
    --- stderr
    error[CUT3121]: `module.wasm` is no plugin that this version can use
      caused by: this is a core WebAssembly module, no component; make one of it with `cutover plugin pack`
    ");
    let packed = cutover(folder.path(), "plugin pack module.wasm --out packed.wasm -o json");
    assert_eq!((packed.status.code(), document(&packed)["exit"].as_u64()), (Some(1), Some(1)), "{}", seen(&packed));
    assert!(!folder.path().join("packed.wasm").exists());
}
