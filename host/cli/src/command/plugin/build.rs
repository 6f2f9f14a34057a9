//! `cutover plugin build`: from a plugin's folder to a packed component.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use cutover_runtime::sandbox::{self, Inspection};
use serde::Serialize;

use crate::{
    error::{CommandError, Outcome, code},
    exit_code::ExitCode,
    guest_toolchain::{self, TARGET, Toolchain},
    plugin_source::{Language, PluginSource},
    program::Program,
    report::{palette, plugin::PluginView, printable},
    source_file::SourceFile,
};

/// Builds and says what to do next.
pub(crate) fn perform(program: &mut Program, folder: &Path) -> Outcome {
    let source = PluginSource::find(folder)?;
    let built = build(program, &source)?;
    let next = format!("cutover plugin test {}", folder.display());
    let (good, strong) = (palette::GOOD, palette::STRONG);
    let view = PluginView::new(source.component().display().to_string(), &built);
    let headline = printable::line(&view.headline()).into_owned();
    program.console.answer(&format!("{good}built{good:#} {headline}\n{strong}Next{strong:#}  {}\n", printable::line(&next)))?;
    program.console.document(&Document { built: source.component(), plugin: view, next, exit: ExitCode::Done })?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Document<'a> {
    built: PathBuf,
    plugin: PluginView<'a>,
    next: String,
    exit: ExitCode,
}

/// Makes the component of a plugin's folder anew. What the tools say goes to stderr.
pub(super) fn build(program: &mut Program, source: &PluginSource) -> Result<Inspection, CommandError> {
    let draft = Draft(source.folder.join(format!("{}.wasm.{}.draft", source.name, std::process::id())));
    let made = match source.language {
        Language::Rust => rust(program, source)?,
        Language::JavaScript => javascript(program, source, &draft.0)?,
        Language::Python => python(program, source, &draft.0)?,
    };
    let packed = super::packed(program, &made)?;
    super::replace(&source.component(), &packed)?;
    sandbox::inspect(&packed)
        .map_err(|error| CommandError::no(error.code(), format!("`{}` does not fit after packing", made.display())).because(&error))
}

/// What a tool made before it is packed; gone when this is.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The core module that cargo makes.
fn rust(program: &mut Program, source: &PluginSource) -> Result<PathBuf, CommandError> {
    let folder = absolute(program, &source.folder);
    let sysroots = cache_folder(program).unwrap_or_else(|| folder.join("target")).join("wasm-sysroot");
    let tell = |line: &str| tracing::info!("{line}");
    let found = Toolchain::present(&folder, &sysroots, &tell)
        .map_err(|error| CommandError::no(code::TOOL, "cannot build the standard library for plugins").because_of(error.to_string()))?;
    let toolchain = found.ok_or_else(|| {
        let [rustup, debian] = guest_toolchain::remedies();
        CommandError::no(code::TOOL, format!("no Rust compiler here can build for {TARGET}"))
            .hint(format!("type `{rustup}`, or on Debian without rustup `{debian}`; then this command again"))
    })?;
    let target = folder.join("target");
    let mut cargo = toolchain.cargo(&folder);
    cargo.args(["build", "--quiet", "--release", "--target", TARGET, "--target-dir"]).arg(&target);
    run(&mut cargo, "cargo")?;
    let name = crate_name(&source.folder.join("Cargo.toml"))?;
    Ok(target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_"))))
}

/// The name of the library that cargo makes.
fn crate_name(manifest: &Path) -> Result<String, CommandError> {
    let text = SourceFile::read(manifest)?.text;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        CommandError::no(code::FILE_FORM, format!("`{}` is no TOML", manifest.display())).because(&error)
    })?;
    let name = |section: &str| table.get(section)?.get("name")?.as_str().map(str::to_owned);
    name("lib").or_else(|| name("package")).ok_or_else(|| {
        CommandError::no(code::PLUGIN_FOLDER, format!("`{}` has no `[package]` with a `name`", manifest.display()))
            .hint("name the folder of one plugin, not of a workspace")
    })
}

/// By jco, without asynchronous functions and without WASI: the host has neither.
fn javascript(program: &Program, source: &PluginSource, draft: &Path) -> Result<PathBuf, CommandError> {
    let own = source.folder.join("node_modules/.bin/jco");
    let jco = if own.is_file() { Some(absolute(program, &own)) } else { on_path(program, "jco") };
    let folder = source.folder.display();
    let jco = jco.ok_or_else(|| missing("jco", &format!("npm install --ignore-scripts --prefix {folder}")))?;
    let world = world(&source.folder.join("app.js"), "export const")?;
    let mut command = Command::new(jco);
    command.current_dir(&source.folder).args(["componentize", "app.js", "--wit", "wit", "--world-name", world]);
    command.args(["--backend", "quickjs", "--backend-qjs-stub-wasi", "--backend-qjs-disable-async", "--out"]);
    run(command.arg(absolute(program, draft)), "jco")?;
    Ok(draft.to_owned())
}

/// By componentize-py, without WASI: the host has none.
fn python(program: &Program, source: &PluginSource, draft: &Path) -> Result<PathBuf, CommandError> {
    let own = source.folder.join(".venv/bin/componentize-py");
    let tool = if own.is_file() { Some(absolute(program, &own)) } else { on_path(program, "componentize-py") };
    let mut command = match tool {
        Some(tool) => Command::new(tool),
        None if has_module() => {
            let mut command = Command::new("python3");
            command.args(["-c", "import componentize_py, sys; sys.exit(componentize_py.script())"]);
            command
        }
        None => {
            let folder = source.folder.display();
            let remedy = format!("python3 -m venv {folder}/.venv && {folder}/.venv/bin/pip install -r {folder}/requirements.txt");
            return Err(missing("componentize-py", &remedy));
        }
    };
    let world = world(&source.folder.join("app.py"), "class")?;
    command.current_dir(&source.folder).args(["--wit-path", "wit", "--world", world, "componentize", "--stub-wasi", "app", "--output"]);
    run(command.arg(absolute(program, draft)), "componentize-py")?;
    Ok(draft.to_owned())
}

/// The world of a plugin, told by what its code exports: the tools ask for it.
fn world(code: &Path, keyword: &str) -> Result<&'static str, CommandError> {
    let text = SourceFile::read(code)?.text;
    let exports = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(keyword)).map(str::trim_start);
        lines.map(str::to_ascii_lowercase).any(|line| line.starts_with(name))
    };
    match (exports("migration"), exports("probe")) {
        (true, false) => Ok("migrator"),
        (false, true) => Ok("prober"),
        _ => Err(CommandError::no(code::PLUGIN_FOLDER, format!("`{}` exports neither `migration` nor `probe`, or both", code.display()))
            .hint(format!("a plugin has one of them at the beginning of a line, such as `{keyword} …`; `cutover plugin new` shows how"))),
    }
}

fn has_module() -> bool {
    let import = Command::new("python3").args(["-c", "import componentize_py"]).stdin(Stdio::null()).output();
    import.is_ok_and(|output| output.status.success())
}

/// Runs a tool to its end without input. Its words go to stderr, so that stdout holds our answer alone.
fn run(command: &mut Command, name: &str) -> Result<(), CommandError> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| CommandError::no(code::TOOL, format!("cannot start `{name}`")).because(&error))?;
    if status.success() {
        return Ok(());
    }
    Err(CommandError::no(code::BUILD, format!("`{name}` could not build the plugin: {status}"))
        .hint("what it says is above; mend that, then this command again"))
}

fn missing(tool: &str, remedy: &str) -> CommandError {
    CommandError::no(code::TOOL, format!("`{tool}` is not here, which makes the component"))
        .hint(format!("type `{remedy}`, then this command again"))
}

/// The folder of this user for what can be made again, as the XDG Base Directory Specification has it.
fn cache_folder(program: &Program) -> Option<PathBuf> {
    let variable = |name: &str| program.environment.variable(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("cutover"))
}

fn on_path(program: &Program, name: &str) -> Option<PathBuf> {
    let path = program.environment.variable("PATH")?;
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn absolute(program: &Program, path: &Path) -> PathBuf {
    program.environment.folder.join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_what_the_code_exports() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("app");
        let of = |text: &str, keyword: &str| {
            std::fs::write(&file, text).expect("written");
            world(&file, keyword).map_err(|error| error.code().to_owned())
        };
        assert_eq!(of("export const plugin = {};\nexport const migration = {};\n", "export const"), Ok("migrator"));
        assert_eq!(of("class Plugin(exports.Plugin):\n  pass\nclass Probe(exports.Probe):\n", "class"), Ok("prober"));
        assert_eq!(of("const migration = {};\n", "export const"), Err(code::PLUGIN_FOLDER.to_owned()));
    }
}
