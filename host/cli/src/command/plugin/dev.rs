//! `cutover plugin dev`: builds and tests whenever a file changes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use super::{build, test};
use crate::{
    error::{CommandError, Outcome, code},
    plugin_source::{FIXTURE, PluginSource},
    program::Program,
    report::{conformance, palette, printable},
    signal::{self, Stop},
};

/// How often the folder is looked at. Files are few, and a person notices nothing shorter.
const PAUSE: Duration = Duration::from_millis(300);
/// What tools make, and what is none of ours.
const IGNORED: [&str; 6] = ["target", "node_modules", ".venv", "__pycache__", ".git", ".cutover"];

/// Goes round until Ctrl-C.
pub(crate) fn perform(program: &mut Program, folder: &Path) -> Outcome {
    let source = PluginSource::find(folder)?;
    let threads = Program::threads()?;
    let listening = threads.block_on(async { signal::listen(|_| {}) });
    let stop = listening.map_err(|error| CommandError::no(code::MACHINE, "cannot listen for signals").because(&error))?;
    program.console.note(&format!("watching {}; Ctrl-C ends it", printable::line(&folder.display().to_string())));
    let mut seen = None;
    for number in 1_u32.. {
        let now = loop {
            let now = stamps(&source.folder);
            if let Stop::AtSafePoint(signal) | Stop::AtOnce(signal) = *stop.borrow() {
                return Ok(signal.exit());
            }
            if seen.as_ref() != Some(&now) {
                break now;
            }
            thread::sleep(PAUSE);
        };
        seen = Some(now);
        let round = round(program, &source, number);
        program.console.answer(&round.line())?;
        program.console.document(&round)?;
    }
    Err(CommandError::defect("there were more rounds than can be counted"))
}

/// What came of one round.
#[derive(Serialize)]
struct Round {
    round: u32,
    conforms: bool,
    seconds: f64,
    /// One line.
    found: String,
}

impl Round {
    fn line(&self) -> String {
        let (style, word) = if self.conforms { (palette::GOOD, "ok  ") } else { (palette::ERROR, "FAIL") };
        format!("{style}{word}{style:#}  {}  ({:.1} s)\n", printable::line(&self.found), self.seconds)
    }
}

fn round(program: &mut Program, source: &PluginSource, number: u32) -> Round {
    let begun = Instant::now();
    let built = build::build(program, source);
    let tested = built.and_then(|_| test::test(program, &source.component(), &source.folder.join(FIXTURE)));
    let (conforms, found) = match tested {
        Ok(report) => (report.conforms(), conformance::line(&report)),
        Err(error) => (false, error.summary()),
    };
    Round { round: number, conforms, seconds: begun.elapsed().as_secs_f64(), found }
}

/// When each file of the plugin was last written, and how long it is.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

fn stamps(folder: &Path) -> Stamps {
    let mut stamps = Stamps::new();
    collect(folder, &mut stamps);
    stamps
}

fn collect(folder: &Path, stamps: &mut Stamps) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a build writes must not begin the next round: components, drafts, and the lock that cargo completes.
        let made = IGNORED.contains(&name.as_str()) || name.contains(".wasm") || name == "Cargo.lock";
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && !made {
            collect(&entry.path(), stamps);
        } else if !made {
            stamps.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_no_change_and_an_edit_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).and_then(|()| fs::write(file, text)).expect("written");
        };
        write("src/lib.rs", "a");
        let before = stamps(folder.path());
        write("target/x", "made");
        write("mover.wasm", "made");
        write("mover.wasm.17.draft", "made");
        assert_eq!(stamps(folder.path()), before);
        write("src/lib.rs", "ab");
        assert_ne!(stamps(folder.path()), before);
    }
}
