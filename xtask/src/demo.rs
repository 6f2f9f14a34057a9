//! `cargo xtask demo`: a move of secrets as a person would do it, with the program that is shipped.

mod application;
mod scene;
pub(crate) mod servers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use self::{application::Application, scene::Scene};
use crate::{failed::Failed, plugins, program};

const WORKFLOW: &str = "dotenv-to-age.toml";

/// Builds the program and its plugins, then plays all acts in `target/demo`. Every act is checked.
pub(crate) fn play(root: &Path) -> Result<(), Failed> {
    build(root)?;
    let start = Instant::now();
    let scene = Scene::set(root, WORKFLOW)?;
    let application = Application::start(&scene.folder)?;
    let (program, folder) = (program::path(root), &scene.folder);
    Stage { program, plugins: root.join("target/plugins"), folder, variables: Vec::new() }.acts(&scene, &application)?;
    println!("\nThe demo did what it should, in {} s. Its files are in {}.", start.elapsed().as_secs(), scene.folder.display());
    Ok(())
}

/// The program and its plugins.
fn build(root: &Path) -> Result<(), Failed> {
    println!("xtask: building cutover and its plugins (the first time this compiles Wasmtime, which takes minutes)");
    program::build(root, &[])?;
    plugins::build(root).and_then(|modules| plugins::pack(root, &modules))
}

struct Stage<'s> {
    program: PathBuf,
    plugins: PathBuf,
    folder: &'s Path,
    /// What the workflow's tokens are taken from.
    variables: Vec<(&'static str, String)>,
}

impl Stage<'_> {
    fn acts(&self, scene: &Scene, application: &Application) -> Result<(), Failed> {
        say(&format!("The scene: {}. They are to move into store/, each encrypted with age.", scene.told()));

        say("Act 1. Is the workflow right? Nothing is opened and no plugin runs.");
        self.cutover(&["validate", WORKFLOW], 0)?;

        say("Act 2. What would it do? It reads, and writes nothing.");
        self.cutover(&["plan", WORKFLOW, "--out", "move.cutplan"], 0)?;
        scene.is_as_set()?;

        say("Act 3. It runs, but the application cannot log in once the second cohort has moved. All goes back by itself: exit code 10.");
        application.fail_after(1);
        self.cutover(&["run", WORKFLOW, "--yes"], 10)?;
        scene.is_as_set()?;
        println!("(Checked here: the legacy files are what they were, byte for byte, and the store is empty.)");

        say("Act 4. The application is well again: cohort after cohort, a soak of five seconds, then the old files are put aside.");
        application.recover();
        let known = self.runs()?;
        self.cutover(&["run", WORKFLOW, "--yes"], 0)?;
        scene.has_moved()?;
        println!("(Checked here: every secret is in the store, encrypted; no legacy file can be read at its old place.)");
        let run = self.run_since(&known)?;

        say("Act 5. What has happened? Both runs are kept, with everything that they did.");
        self.cutover(&["runs", "list"], 0)?;
        self.cutover(&["runs", "show", &run], 0)?;

        say("Act 6. Second thoughts: even a completed run goes back, newest change first, each one checked.");
        self.cutover(&["rollback", &run, "--yes"], 0)?;
        scene.is_as_set()?;
        println!("(Checked here: the legacy files are what they were, byte for byte, and the store is empty.)");
        scene.no_secret_below(".cutover")?;
        println!("(Checked here: no secret is in any file of the state folder.)");
        Ok(())
    }

    /// Shows a command, runs it, and fails if it does not end with this exit code.
    fn cutover(&self, args: &[&str], expected: i32) -> Result<(), Failed> {
        println!("\n$ cutover {}", args.join(" "));
        let mut command = Command::new(&self.program);
        // Only what is set here counts, not what the person's shell sets for other work.
        for name in ["CUTOVER_STATE", "CUTOVER_KEY"] {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.folder)
            .envs(self.variables.iter().cloned())
            .env("CUTOVER_PLUGIN_PATH", &self.plugins)
            .stdin(Stdio::null());
        let status = command.status().map_err(|error| Failed::at(&self.program, &error))?;
        println!("[exit code {}]", status.code().map_or_else(|| status.to_string(), |code| code.to_string()));
        if status.code() == Some(expected) {
            return Ok(());
        }
        Err(Failed(format!("`cutover {}` ended with {status}, not with exit code {expected}", args.join(" "))))
    }

    /// The id of the run that is not one of these.
    fn run_since(&self, known: &[String]) -> Result<String, Failed> {
        let run = self.runs()?.into_iter().find(|run| !known.contains(run));
        run.ok_or_else(|| Failed("the second run left nothing in .cutover/runs".to_owned()))
    }

    /// The ids of the runs that are kept.
    fn runs(&self) -> Result<Vec<String>, Failed> {
        let folder = self.folder.join(".cutover/runs");
        let entries = fs::read_dir(&folder).map_err(|error| Failed::at(&folder, &error))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }
}

fn say(text: &str) {
    println!("\n=== {text}");
}
