//! The program `cutover`.

use std::process::ExitCode;

/// Faster than the system's where many threads allocate, and harder to abuse.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cutover_cli::main_impl(std::env::args_os(), &cutover_cli::Environment::of_process())
}
