//! Turning components into machine code. Wasmtime promises nothing about what a hostile component costs here, so it happens
//! in a process of its own, with limits.

use std::{
    ffi::OsString,
    io::{Read, Write},
    process::{ExitCode, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use wasmtime::Engine;

use super::{cache::CompiledCode, engine::compiling_engine, text};

/// Address space of the compiling process, in bytes.
const ADDRESS_SPACE: u64 = 1024 * 1024 * 1024;
/// Processor time of the compiling process, in seconds over all its threads; a Python plugin took 34 on a busy machine.
const PROCESSOR_SECONDS: u64 = 60;
/// Time of the compiling process as its parent sees it. What bounds the work is its processor time; a machine with much
/// else to do may stretch that many times.
const WALL_TIME: Duration = Duration::from_mins(5);
/// Threads of the compiling process: each takes address space.
const THREADS: &str = "4";
/// The allocator of the program puts a GiB of address space aside, unless it is told otherwise: all that this process has.
const ARENA_RESERVE: &str = "0";
/// Largest result, in bytes.
const CODE_BYTES: u64 = 256 * 1024 * 1024;
/// How the child says that the component, not the limits, is to blame; its output is the reason.
const REFUSED: u8 = 3;
/// How the child says that it could not be talked to ([`ExitCode::FAILURE`]).
const UNHEARD: i32 = 1;
/// How a program of Rust ends that panicked.
const PANICKED: i32 = 101;
/// Longest reason shown, in bytes.
const REASON_BYTES: usize = 500;

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In a process of this command line, which ends up in [`compile_child`].
    ChildProcess {
        /// Program and arguments.
        command: Vec<OsString>,
    },
    /// Here, without limits: for tests and benches with components of our own.
    InProcess,
}

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The component is not valid, or uses what the host does not support.
    #[error("the component cannot be compiled: {0}")]
    Refused(String),
    /// The compiling process ran into its limits.
    #[error("compiling the component took more than {} MiB of memory or {PROCESSOR_SECONDS} s", ADDRESS_SPACE / 1024 / 1024)]
    Exhausted,
    /// The compiler itself broke over the component: a panic.
    #[error("the compiler has a defect that this component brings to light: its process ended with status {0}")]
    Defect(i32),
    /// The compiling process could not be started or talked to.
    #[error("the compiling process could not be run")]
    Process(#[source] std::io::Error),
}

impl Compiler {
    /// Compiles a component for the engine.
    pub(super) async fn compile(&self, engine: &Engine, component: &[u8]) -> Result<CompiledCode, CompileError> {
        match self {
            Self::ChildProcess { command } => in_child(command, component).await,
            Self::InProcess => {
                let (engine, component) = (engine.clone(), component.to_vec());
                tokio::task::spawn_blocking(move || engine.precompile_component(&component))
                    .await
                    .map_err(|_| CompileError::Defect(PANICKED))?
                    .map_err(|error| CompileError::Refused(reason(&error)))
            }
            .map(CompiledCode::from_own_compiler),
        }
    }
}

/// The child's side: reads a component from `input`, writes its machine code or a reason to `output`.
///
/// Takes limits on this whole process that cannot be lifted again, so a command that calls it does nothing else.
pub fn compile_child(input: impl Read, output: impl Write) -> ExitCode {
    match compile_under_limits(input, output) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn compile_under_limits(mut input: impl Read, mut output: impl Write) -> std::io::Result<ExitCode> {
    let hard = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::As, hard(ADDRESS_SPACE))?;
    setrlimit(Resource::Core, hard(0))?;
    setrlimit(Resource::Cpu, hard(PROCESSOR_SECONDS))?;
    // A parent that was killed wants no answer any more.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;

    let mut component = Vec::new();
    input.read_to_end(&mut component)?;
    let compiled = compiling_engine().and_then(|engine| engine.precompile_component(&component));
    let (bytes, code) = match compiled {
        Ok(bytes) => (bytes, ExitCode::SUCCESS),
        Err(error) => (reason(&error).into_bytes(), ExitCode::from(REFUSED)),
    };
    output.write_all(&bytes)?;
    output.flush()?;
    Ok(code)
}

async fn in_child(command: &[OsString], component: &[u8]) -> Result<CompiledCode, CompileError> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| CompileError::Process(std::io::Error::new(std::io::ErrorKind::InvalidInput, "no command")))?;
    // The environment may hold credentials; the compiler needs none of it.
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS)
        .env("MIMALLOC_ARENA_RESERVE", ARENA_RESERVE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(CompileError::Process)?;
    let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));

    let talk = async {
        let write = async move {
            let mut stdin = stdin;
            // A child that ended early says why by its status.
            let _ = stdin.write_all(component).await;
        };
        let read = async move {
            let mut bytes = Vec::new();
            stdout.take(CODE_BYTES + 1).read_to_end(&mut bytes).await.map(|_| bytes)
        };
        let ((), bytes) = tokio::join!(write, read);
        let bytes = bytes?;
        if bytes.len() as u64 > CODE_BYTES {
            return Ok((bytes, None));
        }
        Ok((bytes, Some(child.wait().await?)))
    };
    let (bytes, status) = match tokio::time::timeout(WALL_TIME, talk).await {
        Ok(outcome) => outcome.map_err(CompileError::Process)?,
        Err(_) => return Err(CompileError::Exhausted),
    };
    match status.map(|status| status.code()) {
        Some(Some(0)) => Ok(CompiledCode::from_own_compiler(bytes)),
        Some(Some(code)) if code == i32::from(REFUSED) => {
            Err(CompileError::Refused(text::line(&String::from_utf8_lossy(&bytes), REASON_BYTES)))
        }
        Some(Some(UNHEARD)) => Err(CompileError::Process(std::io::Error::other("it could not read the component or write the code"))),
        Some(Some(code)) => Err(CompileError::Defect(code)),
        // Killed by a signal: no memory (SIGABRT), no time (SIGKILL, SIGXCPU).
        Some(None) | None => Err(CompileError::Exhausted),
    }
}

/// Wasmtime's words; names in them come from the component.
fn reason(error: &wasmtime::Error) -> String {
    text::line(&format!("{error:#}"), REASON_BYTES)
}
