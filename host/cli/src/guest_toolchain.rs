//! A Rust compiler that can build for `wasm32-unknown-unknown`: found, or made from what the system has.
//!
//! Two programs have this file: `cutover plugin build` for authors, and `xtask` for the project's own guests. `xtask` takes
//! it in by its path, because it must start without compiling anything else; so this uses the standard library only.

use std::{
    env, fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The target of all guests: no WASI, so that a guest imports nothing but the contract.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's packages with a compiler, its standard library as source of the very same version, and a linker.
pub(crate) const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const LINKERS: [&str; 4] = ["wasm-ld", "wasm-ld-22", "wasm-ld-19", "wasm-ld-14"];

/// A way to build guests.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The usual cargo and rustc have the target.
    Installed,
    /// Debian's, with a standard library built by [`build_std`].
    Debian { sysroot: PathBuf, linker: String },
}

/// Why there is no toolchain.
#[derive(Debug)]
pub(crate) struct ToolchainError(pub(crate) String);

impl fmt::Display for ToolchainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Toolchain {
    /// The toolchain that is here for `folder`: the usual one with the target, or Debian's. A standard library that Debian's
    /// still lacks is built below `sysroots`, and `tell` hears of it: about a minute and 71 MB, once. None if there is none.
    pub(crate) fn present(folder: &Path, sysroots: &Path, tell: &dyn Fn(&str)) -> Result<Option<Self>, ToolchainError> {
        if installed(folder) {
            return Ok(Some(Self::Installed));
        }
        let (Some(source), Some(linker)) = (debian_source(), linker()) else { return Ok(None) };
        Ok(Some(Self::Debian { sysroot: standard_library(sysroots, &source, tell)?, linker }))
    }

    /// A cargo command for guests, in `folder`.
    pub(crate) fn cargo(&self, folder: &Path) -> Command {
        match self {
            Self::Installed => clean(Command::new("cargo"), folder),
            Self::Debian { sysroot, linker } => {
                let mut command = clean(Command::new(DEBIAN_CARGO), folder);
                command.env("RUSTC", DEBIAN_RUSTC);
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", format!("--sysroot={}", sysroot.display()));
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        }
    }
}

/// The commands of which one gets a toolchain.
pub(crate) fn remedies() -> [String; 2] {
    [format!("rustup target add {TARGET}"), format!("sudo apt-get install -y {}", DEBIAN_PACKAGES.join(" "))]
}

/// Whether the rustc that is used in `folder` has a standard library for the target.
pub(crate) fn installed(folder: &Path) -> bool {
    let library = output(clean(Command::new("rustc"), folder).args(["--print", "target-libdir", "--target", TARGET]));
    library.is_some_and(|library| has_std(Path::new(library.trim())))
}

/// A command without the variables that would replace the flags of the target or name another compiler.
fn clean(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command
}

fn has_std(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// The source of the standard library beside Debian's compiler.
fn debian_source() -> Option<PathBuf> {
    let sysroot = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    (source.join("std/Cargo.toml").is_file() && Path::new(DEBIAN_CARGO).is_file()).then_some(source)
}

fn linker() -> Option<String> {
    let path = env::var_os("PATH")?;
    LINKERS.into_iter().find(|name| env::split_paths(&path).any(|folder| folder.join(name).is_file())).map(str::to_owned)
}

/// The folder of the standard library for this very compiler, built if it is not there.
fn standard_library(sysroots: &Path, source: &Path, tell: &dyn Fn(&str)) -> Result<PathBuf, ToolchainError> {
    let sysroot = sysroots.join(compiler_key(source)?);
    if sysroot.is_dir() {
        return Ok(sysroot);
    }
    tell(&format!("building the standard library for {TARGET} (once, about a minute)"));
    let work = sysroots.join(format!("work-{}", std::process::id()));
    let made = build_std(&work, source).and_then(|ready| match fs::rename(&ready, &sysroot) {
        // Another build that was faster is as good.
        Err(error) if !sysroot.is_dir() => Err(at(&sysroot, &error)),
        _ => Ok(sysroot),
    });
    let removed = fs::remove_dir_all(&work).map_err(|error| at(&work, &error));
    made.and_then(|sysroot| removed.map(|()| sysroot))
}

/// Names one build of the compiler: libraries of another one are refused by rustc (E0514).
fn compiler_key(source: &Path) -> Result<String, ToolchainError> {
    let mut rustc = Command::new(DEBIAN_RUSTC);
    let version = output(rustc.arg("-vV")).ok_or_else(|| ToolchainError(format!("{DEBIAN_RUSTC} does not tell its version")))?;
    let metadata = fs::metadata(source).map_err(|error| at(source, &error))?;
    let mut hasher = DefaultHasher::new();
    (&version, metadata.modified().ok()).hash(&mut hasher);
    let release = version.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or("unknown");
    Ok(format!("{release}-{:016x}", hasher.finish()))
}

/// Lets cargo build the standard library as part of an empty crate, and gathers it as a sysroot below `work`.
fn build_std(work: &Path, source: &Path) -> Result<PathBuf, ToolchainError> {
    let write = |name: &str, text: &str| {
        let file = work.join(name);
        file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text)).map_err(|error| at(&file, &error))
    };
    write("src/lib.rs", "#![no_std]\n")?;
    write(
        "Cargo.toml",
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[profile.release]\nopt-level = \"s\"\n\n[workspace]\n",
    )?;
    // The packages carry the library's own dependencies too: no network is needed.
    let vendored = source.join("vendor");
    let replaced = "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = ";
    write(".cargo/config.toml", &format!("{replaced}\"{}\"\n", vendored.display()))?;
    let mut cargo = clean(Command::new(DEBIAN_CARGO), work);
    cargo.args(["build", "--quiet", "--offline", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET]);
    cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", work.join("target"));
    // Without bitcode a guest with `lto` fails: cargo leaves it out of libraries unless told.
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Cembed-bitcode=yes");
    let status = cargo.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| at(Path::new(DEBIAN_CARGO), &error))?;
    if !status.success() {
        return Err(ToolchainError(format!("building the standard library for {TARGET} ended with {status}")));
    }

    let ready = work.join("sysroot");
    let library = ready.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&library).map_err(|error| at(&library, &error))?;
    let built = work.join("target").join(TARGET).join("release/deps");
    for entry in fs::read_dir(&built).map_err(|error| at(&built, &error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|ending| ending == "rlib") && !name.starts_with("libempty-") {
            fs::copy(entry.path(), library.join(&name)).map_err(|error| at(&entry.path(), &error))?;
        }
    }
    if has_std(&library) {
        Ok(ready)
    } else {
        Err(ToolchainError("the standard library was built, but is not where cargo puts it".to_owned()))
    }
}

fn at(path: &Path, error: &io::Error) -> ToolchainError {
    ToolchainError(format!("{}: {error}", path.display()))
}

/// Runs a command quietly: its standard output, or nothing if it cannot be started or fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
