//! The project's own commands: `cargo xtask COMMAND`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

mod bench;
mod bindings;
mod book;
mod debian;
mod demo;
// Shared with `cutover demo-app` and `cutover init --template demo`; by their paths, as the toolchain below.
#[path = "../../host/cli/src/demo_application.rs"]
mod demo_application;
#[path = "../../host/cli/src/demo_files.rs"]
mod demo_files;
mod failed;
// Shared with `cutover plugin build`; by its path, so that nothing else is compiled for it.
#[path = "../../host/cli/src/guest_toolchain.rs"]
mod guest_toolchain;
mod openbao;
mod plugins;
mod polyglot;
mod program;
mod release;
mod runner;
mod sysroot;
mod test;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use failed::Failed;

const HELP: &str = "\
cargo xtask COMMAND

  demo               moves made-up secrets from files into an encrypted store and back, showing every command
  demo --openbao     moves made-up secrets between two real servers on loopback (installs OpenBao into target/tools)
  test               builds everything and runs all tests; ends with the summary of the host's
  lint               checks the form of all code: rustfmt and clippy
  plugins            builds every plugin and test guest into target/plugins/NAME.wasm
  plugins --modules  builds them, but packs nothing (core modules stay in target/guests)
  openbao            installs the OpenBao server of the tests into target/tools
  polyglot           builds the test guests in JavaScript and Python into target/polyglot (installs their tools into target/tools)
  bench [NAME...]    prints how fast it is, as ratios to floors measured in the same run
  book               builds the book of docs/ into target/book (installs mdBook into target/tools)
  book --reference   writes the pages of docs/src/reference anew, from what the program says of itself
  release            makes an archive of program, plugins, manual pages and completions in target/release-archive
  bindings           writes the SDK's bindings anew from wit/
  bindings --check   fails if they differ from wit/
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root();
    let outcome = match args.as_slice() {
        ["demo"] => demo::play(&root),
        ["demo", "--openbao"] => demo::servers::play(&root),
        ["test"] => test::all(&root),
        ["lint"] => test::lint(&root),
        ["plugins"] => {
            program::build(&root, &["--quiet"]).and_then(|()| plugins::build(&root)).and_then(|modules| plugins::pack(&root, &modules))
        }
        ["plugins", "--modules"] => plugins::build(&root).map(drop),
        ["openbao"] => openbao::install(&root).map(drop),
        ["polyglot"] => polyglot::build(&root),
        ["bench", names @ ..] => bench::measure(&root, names),
        ["book"] => book::build(&root),
        ["book", "--reference"] => book::reference(&root),
        ["release"] => release::make(&root),
        ["bindings"] => bindings::write(&root),
        ["bindings", "--check"] => bindings::check(&root),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(Failed(format!("unknown command `{}`\n\n{HELP}", args.join(" ")))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("xtask: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// The repository: the folder above this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
