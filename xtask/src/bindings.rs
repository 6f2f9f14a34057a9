//! `cargo xtask bindings`: the SDK's Rust bindings, generated from `wit/` and checked in.
//!
//! Checked in, because a plugin then needs no procedural macro: its cold build takes seconds, not a minute.

use std::path::Path;

use crate::failed::Failed;

/// Writes the bindings of both worlds.
pub(crate) fn write(root: &Path) -> Result<(), Failed> {
    inner::write(root)
}

/// Fails if a binding differs from what `write` would write.
pub(crate) fn check(root: &Path) -> Result<(), Failed> {
    inner::check(root)
}

#[cfg(not(feature = "bindings"))]
mod inner {
    //! Without the generator compiled in: the same command again, with it.

    use std::path::Path;

    use crate::failed::{Failed, cargo, run};

    pub(super) fn write(root: &Path) -> Result<(), Failed> {
        again(root, &[])
    }

    pub(super) fn check(root: &Path) -> Result<(), Failed> {
        again(root, &["--check"])
    }

    fn again(root: &Path, args: &[&str]) -> Result<(), Failed> {
        // It runs for a second: compiling the generator optimised would take minutes.
        let command = ["run", "--quiet", "--locked", "--config", "profile.dev.opt-level=0", "--package", "xtask", "--features", "bindings"];
        run(cargo(root).args(command).args(["--", "bindings"]).args(args))
    }
}

#[cfg(feature = "bindings")]
mod inner {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
    use wit_bindgen_rust::{Opts, WithOption};

    use crate::failed::Failed;

    const WORLDS: [&str; 2] = ["migrator", "prober"];

    /// Interfaces that both worlds import: the second world uses the first one's types and functions.
    const SHARED: [&str; 4] = ["types", "connection", "sealed", "log"];

    pub(super) fn write(root: &Path) -> Result<(), Failed> {
        for world in WORLDS {
            let file = file(root, world);
            fs::write(&file, generate(root, world)?).map_err(|error| Failed::at(&file, &error))?;
        }
        Ok(())
    }

    pub(super) fn check(root: &Path) -> Result<(), Failed> {
        for world in WORLDS {
            let file = file(root, world);
            let found = fs::read_to_string(&file).map_err(|error| Failed::at(&file, &error))?;
            if found != generate(root, world)? {
                return Err(Failed(format!("{} differs from wit/: run `cargo xtask bindings`", file.display())));
            }
        }
        Ok(())
    }

    fn file(root: &Path, world: &str) -> PathBuf {
        root.join("plugins/sdk/src/bindings").join(world).with_extension("rs")
    }

    fn generate(root: &Path, world: &str) -> Result<String, Failed> {
        let wit = root.join("wit");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(&wit).map_err(|error| Failed(format!("{}: {error:#}", wit.display())))?;
        let id = resolve.select_world(&[package], Some(world)).map_err(|error| Failed(format!("world {world}: {error:#}")))?;
        let mut files = Files::default();
        let mut generator = options(world).build();
        generator.generate(&mut resolve, id, &mut files).map_err(|error| Failed(format!("world {world}: {error:#}")))?;
        let (_, bytes) = files.iter().next().ok_or_else(|| Failed(format!("world {world}: nothing was generated")))?;
        // Both worlds export `plugin`; exported macros of one crate need names of their own.
        Ok(String::from_utf8_lossy(bytes).replace("__export_cutover_plugin_", &format!("__export_{world}_")))
    }

    fn options(world: &str) -> Opts {
        let shared = |name: &str| {
            let path = format!("crate::bindings::migrator::cutover::plugin::{name}");
            (format!("cutover:plugin/{name}@0.1.0"), WithOption::Path(path))
        };
        Opts {
            format: true,
            generate_all: true,
            // The world's exports are then described where the macro is used, so that one library can hold two worlds.
            pub_export_macro: true,
            with: if world == WORLDS[0] { Vec::new() } else { SHARED.map(shared).to_vec() },
            ..Opts::default()
        }
    }
}
