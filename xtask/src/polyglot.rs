//! `cargo xtask polyglot`: the test guests in JavaScript and Python, made components by their languages' own tools.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    debian,
    failed::{Failed, output, run},
};

/// Builds `target/polyglot/js.wasm` and `python.wasm` where sources, contract or tools are not those they were built from.
pub(crate) fn build(root: &Path) -> Result<(), Failed> {
    let javascript = Guest::new(root, "js", &["app.js"], &["package.json", "package-lock.json"]);
    let python = Guest::new(root, "python", &["app.py"], &["requirements.txt"]);
    javascript.build(install_javascript_tools, componentize_javascript)?;
    python.build(install_python_tools, componentize_python)
}

/// One guest, and where everything of it is.
struct Guest {
    /// `tests/guests-LANGUAGE`.
    source: PathBuf,
    /// Files of it that make the component.
    code: &'static [&'static str],
    /// Files of it that name the tools, with their versions.
    wanted_tools: &'static [&'static str],
    /// `target/tools/LANGUAGE`.
    tools: PathBuf,
    /// `target/polyglot/LANGUAGE.wasm`.
    component: PathBuf,
    /// The contract.
    wit: PathBuf,
}

impl Guest {
    fn new(root: &Path, language: &str, code: &'static [&'static str], wanted_tools: &'static [&'static str]) -> Self {
        Self {
            source: root.join(format!("tests/guests-{language}")),
            code,
            wanted_tools,
            tools: root.join("target/tools").join(language),
            component: root.join(format!("target/polyglot/{language}.wasm")),
            wit: root.join("wit"),
        }
    }

    fn build(&self, install: fn(&Self) -> Result<(), Failed>, componentize: fn(&Self, &Path) -> Result<(), Failed>) -> Result<(), Failed> {
        let tools = self.text_of(self.wanted_tools)?;
        let installed = self.tools.join("installed");
        let sources = format!("{tools}{}{}", self.text_of(self.code)?, contract(&self.wit)?);
        let built_from = self.component.with_extension("sources");
        if self.component.is_file() && holds(&built_from, &sources) {
            return Ok(());
        }
        if !holds(&installed, &tools) {
            create(&self.tools)?;
            install(self)?;
            write(&installed, &tools)?;
        }
        println!("xtask: building {}", self.component.display());
        create(self.component.parent().unwrap_or(&self.component))?;
        // Beside its place first: a build that was stopped leaves nothing that looks finished.
        let draft = self.component.with_extension("draft.wasm");
        componentize(self, &draft)?;
        fs::rename(&draft, &self.component).map_err(|error| Failed::at(&self.component, &error))?;
        write(&built_from, &sources)
    }

    fn text_of(&self, names: &[&str]) -> Result<String, Failed> {
        names.iter().map(|name| text(&self.source.join(name))).collect()
    }
}

/// npm's packages are as the lock file has them; it names no registry, so the machine's own is asked. `npm ci` would insist
/// on optional packages for other systems, which not every registry has.
fn install_javascript_tools(guest: &Guest) -> Result<(), Failed> {
    require(&[("node", "nodejs"), ("npm", "npm")], &[])?;
    println!("xtask: installing jco with npm into {} (once, 400 MB)", guest.tools.display());
    for name in guest.wanted_tools {
        let file = guest.tools.join(name);
        fs::copy(guest.source.join(name), &file).map_err(|error| Failed::at(&file, &error))?;
    }
    let options = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
    run(Command::new("npm").args(options).current_dir(&guest.tools))
}

/// Without asynchronous functions and without WASI: the host has neither.
fn componentize_javascript(guest: &Guest, component: &Path) -> Result<(), Failed> {
    let mut jco = Command::new(guest.tools.join("node_modules/.bin/jco"));
    jco.current_dir(&guest.source).args(["componentize", "app.js", "--world-name", "prober", "--wit"]).arg(&guest.wit);
    jco.args(["--backend", "quickjs", "--backend-qjs-stub-wasi", "--backend-qjs-disable-async", "--out"]).arg(component);
    run(&mut jco)
}

fn install_python_tools(guest: &Guest) -> Result<(), Failed> {
    require(&[("python3", "python3")], &[("pip", "python3-pip")])?;
    println!("xtask: installing componentize-py with pip into {} (once, 50 MB)", guest.tools.display());
    // Into a folder rather than an environment: Debian refuses to install elsewhere, and has no `venv` of its own accord.
    let options = [
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--root-user-action",
        "ignore",
        "--no-deps",
        "--upgrade",
        "--target",
    ];
    run(Command::new("python3")
        .args(["-m", "pip"])
        .args(options)
        .arg(&guest.tools)
        .arg("--requirement")
        .arg(guest.source.join("requirements.txt")))
}

/// Without WASI: the host has none.
fn componentize_python(guest: &Guest, component: &Path) -> Result<(), Failed> {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", &guest.tools).current_dir(&guest.source);
    python.args(["-c", "import componentize_py, sys; sys.exit(componentize_py.script())"]);
    python.arg("--wit-path").arg(&guest.wit).args(["--world", "prober", "componentize", "--stub-wasi", "app", "--output"]).arg(component);
    run(&mut python)
}

/// Programs, and modules of Python, each with the Debian package that has it. What is missing is installed where that needs
/// no question; otherwise it is told what to type.
fn require(programs: &[(&str, &str)], modules: &[(&str, &str)]) -> Result<(), Failed> {
    let missing = || {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).is_file());
        let works = |module: &str| output(Command::new("python3").args(["-m", module, "--version"])).is_some();
        let programs = programs.iter().filter(|(program, _)| !found(program));
        let modules = modules.iter().filter(|(module, _)| !works(module));
        programs.chain(modules).map(|(_, package)| *package).collect::<Vec<_>>()
    };
    let packages = missing();
    if packages.is_empty() || (debian::install(&packages)? && missing().is_empty()) {
        return Ok(());
    }
    let packages = packages.join(" ");
    let advice = "Type this, then the command again:\n  sudo apt-get install -y";
    Err(Failed(format!("the test guests in JavaScript and Python need {packages}. {advice} {packages}")))
}

/// All of `wit/`, in order of the files' names.
fn contract(wit: &Path) -> Result<String, Failed> {
    let entries = fs::read_dir(wit).map_err(|error| Failed::at(wit, &error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| text(file)).collect()
}

/// Whether a file holds this text. Times say nothing here: git and npm set them as they like.
fn holds(file: &Path, wanted: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text == wanted)
}

fn text(file: &Path) -> Result<String, Failed> {
    fs::read_to_string(file).map_err(|error| Failed::at(file, &error))
}

fn write(file: &Path, text: &str) -> Result<(), Failed> {
    fs::write(file, text).map_err(|error| Failed::at(file, &error))
}

fn create(folder: &Path) -> Result<(), Failed> {
    fs::create_dir_all(folder).map_err(|error| Failed::at(folder, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout with a guest whose tools are files too: each run of one adds a line to `log`.
    fn checkout(name: &str) -> (PathBuf, Guest) {
        let root = env::temp_dir().join(format!("xtask-polyglot-{name}-{}", std::process::id()));
        for folder in ["wit", "tests/guests-js"] {
            create(&root.join(folder)).expect("a folder");
        }
        for (file, content) in [("wit/world.wit", "a"), ("tests/guests-js/app.js", "b"), ("tests/guests-js/package.json", "c")] {
            write(&root.join(file), content).expect("a file");
        }
        let guest = Guest::new(&root, "js", &["app.js"], &["package.json"]);
        (root, guest)
    }

    fn note(guest: &Guest, word: &str) {
        let log = guest.source.join("log");
        write(&log, &format!("{}{word} ", text(&log).unwrap_or_default())).expect("a log");
    }

    fn build_and_log(guest: &Guest) -> String {
        let install = |guest: &Guest| {
            note(guest, "install");
            Ok(())
        };
        let componentize = |guest: &Guest, component: &Path| {
            note(guest, "build");
            write(component, "component")
        };
        guest.build(install, componentize).expect("built");
        text(&guest.source.join("log")).expect("a log")
    }

    #[test]
    fn only_what_changed_is_made_again() {
        let (root, guest) = checkout("again");
        assert_eq!(build_and_log(&guest), "install build ");
        assert_eq!(build_and_log(&guest), "install build ");
        write(&root.join("tests/guests-js/app.js"), "another").expect("a file");
        assert_eq!(build_and_log(&guest), "install build build ");
        write(&root.join("wit/world.wit"), "another").expect("a file");
        assert_eq!(build_and_log(&guest), "install build build build ");
        write(&root.join("tests/guests-js/package.json"), "another").expect("a file");
        assert_eq!(build_and_log(&guest), "install build build build install build ");
        fs::remove_file(&guest.component).expect("there");
        assert_eq!(build_and_log(&guest), "install build build build install build build ");
        fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn a_build_that_fails_leaves_nothing_that_looks_finished() {
        let (root, guest) = checkout("fails");
        let half = |_: &Guest, component: &Path| write(component, "half").and(Err(Failed("stopped".to_owned())));
        assert!(guest.build(|_| Ok(()), half).is_err());
        assert!(!guest.component.exists());
        assert_eq!(build_and_log(&guest), "build ", "the tools were there");
        fs::remove_dir_all(root).expect("removed");
    }
}
