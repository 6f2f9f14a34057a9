//! How fast it is: ratios to floors that are measured in the same run, so that they hold on a busy machine too.
//!
//! `cargo xtask bench` builds all that is needed and runs this; names of measurements pick some of them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

mod floor;
mod growth;
mod kv;
mod memory;
mod process;
mod recovery;
mod setting;
mod table;
mod thousand;
mod validate;
mod warm_start;

use std::path::Path;

use table::Row;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEASUREMENTS: [&str; 6] = ["thousand", "growth", "recovery", "validate", "warm-start", "kv"];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // This program started by itself.
        ["one-size", changes, folder] => {
            runtime.block_on(growth::one_size(changes.parse().expect("a number"), Path::new(folder)));
        }
        ["one-start", folder] => runtime.block_on(warm_start::start(Path::new(folder))),
        names => {
            if let Some(unknown) = names.iter().find(|name| !MEASUREMENTS.contains(name)) {
                eprintln!("there is no measurement `{unknown}`; there are {}", MEASUREMENTS.join(", "));
                std::process::exit(2);
            }
            let names = if names.is_empty() { &MEASUREMENTS[..] } else { names };
            let folder = tempfile::tempdir().expect("a folder");
            let mut further = String::new();
            Row::print_head();
            for name in names {
                let rows = match *name {
                    "thousand" => runtime.block_on(thousand::measure(folder.path())),
                    "growth" => growth::measure(folder.path()),
                    "recovery" => runtime.block_on(recovery::measure(folder.path())),
                    "validate" => runtime.block_on(validate::measure(folder.path())),
                    "kv" => {
                        let (rows, text) = runtime.block_on(kv::measure(folder.path()));
                        further = text;
                        rows
                    }
                    _ => warm_start::measure(folder.path()),
                };
                rows.iter().for_each(Row::print);
            }
            print!("{further}");
        }
    }
}
