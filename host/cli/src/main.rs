//! The program `cutover`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cutover_cli::main_impl(std::env::args_os(), &cutover_cli::Environment::of_process())
}
