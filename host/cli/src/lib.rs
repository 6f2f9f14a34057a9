//! The command line: the only room that prints, parses arguments or picks exit codes.
//!
//! Arguments ([`args`]) and the environment become [`settings`]; one file of `command` does the work; what it
//! shows is made by [`report`] from plain values and leaves through [`console`]; the end is an [`ExitCode`].
//! Failures of every sort, bugs included, are a [`error::CommandError`] with a code, a cause and advice.

pub mod args;
mod board;
pub mod bug;
pub mod builtin_plugin;
pub mod catalog;
mod command;
pub mod completion;
pub mod component;
pub mod console;
mod demo_application;
mod demo_files;
pub mod environment;
pub mod error;
pub mod exit_code;
mod guest_toolchain;
mod host;
mod host_error;
mod inquiry;
mod keyboard;
pub mod logging;
pub mod page;
pub mod plugin_path;
pub mod plugin_source;
pub mod plugin_template;
pub mod program;
mod question;
mod rehearsal;
pub mod report;
pub mod settings;
pub mod sieve;
pub mod signal;
pub mod source_file;
mod spectator;
pub mod telemetry;
pub mod variable;
mod workflow_file;
pub mod workflow_text;

pub use environment::Environment;
pub use exit_code::ExitCode;
pub use program::main_impl;
