//! The commands about plugins as typed. Doc comments are the help text.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::examples;

/// Options of `plugin`.
#[derive(Debug, Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "a doc comment would become the text of the help")]
    pub command: PluginCommand,
}

/// Commands about plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Write a plugin to start from, in Rust, JavaScript or Python
    ///
    /// The folder gets everything that a build needs but the language's own tools: code, the contract, a fixture for
    /// `cutover plugin test`, and for Rust the SDK. Nothing that is there already is overwritten.
    #[command(after_long_help = examples::PLUGIN_NEW)]
    New {
        /// The folder to make; its last part is the plugin's name
        #[arg(value_name = "NAME")]
        folder: PathBuf,
        /// The language
        #[arg(long, value_enum)]
        lang: PluginLanguage,
        /// What the plugin does
        #[arg(long, value_enum, default_value_t = PluginWorld::Migrator)]
        world: PluginWorld,
    },
    /// Build the plugin of a folder into a packed component
    ///
    /// Knows the language by the folder: `Cargo.toml`, `app.js` or `app.py`. Uses the language's own tools and installs
    /// none; if one is missing, says what to type. The component is NAME.wasm in the folder.
    #[command(after_long_help = examples::PLUGIN_BUILD)]
    Build {
        /// The plugin's folder
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Test whether a plugin keeps the rules of the contract
    ///
    /// Plays each case of `conformance.toml` in this process, against servers in memory and folders that are gone
    /// afterwards: applies twice, loses answers, breaks the world, takes back. Exit code 1 if a rule is broken.
    #[command(after_long_help = examples::PLUGIN_TEST)]
    Test {
        /// The packed component, or the plugin's folder
        #[arg(value_name = "COMPONENT|DIR", default_value = ".")]
        target: PathBuf,
        /// The cases; without it, the `conformance.toml` beside the component
        #[arg(long, value_name = "FILE")]
        fixture: Option<PathBuf>,
    },
    /// Build and test a plugin whenever one of its files changes
    ///
    /// One line a round. Ctrl-C ends it (exit code 130).
    #[command(after_long_help = examples::PLUGIN_DEV)]
    Dev {
        /// The plugin's folder
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Make a component of a core module and embed the manifest that it describes
    ///
    /// Takes what `cargo build --target wasm32-unknown-unknown` made, or a component. The plugin's `describe` is
    /// called once, without any connection.
    #[command(after_long_help = examples::PLUGIN_PACK)]
    Pack {
        /// The module or component
        #[arg(value_name = "WASM")]
        module: PathBuf,
        /// Where the packed component goes; a file that is there is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what a component offers and asks for, without running it
    #[command(after_long_help = examples::PLUGIN_INSPECT)]
    Inspect {
        /// The component
        #[arg(value_name = "FILE")]
        component: PathBuf,
    },
}

/// Languages that a plugin can be begun in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PluginLanguage {
    /// With the SDK; the smallest components
    Rust,
    /// Made a component by jco, with QuickJS
    Js,
    /// Made a component by componentize-py
    Python,
}

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PluginWorld {
    /// Moves things: plan, capture, apply, roll back, verify
    Migrator,
    /// Only looks
    Prober,
}
