//! What is wrong with the folders in which runs are kept, and setting it right. No key is read and no run is opened, so this
//! works where nothing else does.

use std::{
    fmt,
    fs::{self, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, geteuid, test_kill_process},
};

/// Compiled plugins beyond this many bytes are worth a word: those of older versions are never removed by themselves.
const CACHE_BYTES: u64 = 512 * 1024 * 1024;

/// Something that is wrong and can be set right without losing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ailment {
    /// Others of this machine can get at it.
    Exposed {
        /// A folder or file of this user.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// git would take in the state folder.
    NotIgnored {
        /// The `.gitignore` inside of it.
        file: PathBuf,
    },
    /// A process was killed while it wrote this; what it was to become is whole.
    Leftover {
        /// The file.
        file: PathBuf,
    },
    /// Compiled plugins take much room. They are made anew when they are needed.
    LargeCache {
        /// The folder.
        folder: PathBuf,
        /// The bytes in it.
        bytes: u64,
    },
}

impl Ailment {
    /// What setting it right does, as a command.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Exposed { path, wanted, .. } => format!("chmod {wanted:o} {}", path.display()),
            Self::NotIgnored { file } => format!("echo '*' >> {}", file.display()),
            Self::Leftover { file } => format!("rm {}", file.display()),
            Self::LargeCache { folder, .. } => format!("rm {}/*.code", folder.display()),
        }
    }

    /// Sets it right.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn mend(&self) -> io::Result<()> {
        match self {
            Self::Exposed { path, wanted, .. } => fs::set_permissions(path, Permissions::from_mode(*wanted)),
            Self::NotIgnored { file } => {
                let mut text = if file.exists() { fs::read_to_string(file)? } else { String::new() };
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                fs::write(file, text + "*\n")
            }
            Self::Leftover { file } => fs::remove_file(file),
            Self::LargeCache { folder, .. } => files(folder)?.iter().filter(|file| is_compiled(file)).try_for_each(fs::remove_file),
        }
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed { path, mode, .. } => write!(f, "`{}` is open to other users (mode {mode:o})", path.display()),
            Self::NotIgnored { file } => write!(f, "`{}` does not keep the state folder out of git", file.display()),
            Self::Leftover { file } => write!(f, "`{}` was left by a process that was killed", file.display()),
            Self::LargeCache { folder, bytes } => {
                write!(f, "`{}` holds {} MiB of compiled plugins", folder.display(), bytes / (1024 * 1024))
            }
        }
    }
}

/// Looks at a state folder and at folders of locks; those that are not there are well.
///
/// # Errors
/// If one cannot be read.
pub fn examine(state: &Path, locks: &[PathBuf]) -> io::Result<Vec<Ailment>> {
    let mut found = Vec::new();
    for folder in locks.iter().filter(|folder| folder.is_dir()) {
        exposed(folder, 0o700, &mut found)?;
    }
    if !state.is_dir() {
        return Ok(found);
    }
    look(state, &mut found)?;
    let ignore = state.join(".gitignore");
    if !fs::read_to_string(&ignore).is_ok_and(|text| text.lines().any(|line| line.trim() == "*")) {
        found.push(Ailment::NotIgnored { file: ignore });
    }
    let cache = state.join("cache");
    let compiled = if cache.is_dir() { files(&cache)? } else { Vec::new() };
    let sizes = compiled.iter().filter(|file| is_compiled(file)).map(|file| fs::symlink_metadata(file).map_or(0, |found| found.len()));
    let bytes = sizes.sum();
    if bytes > CACHE_BYTES {
        found.push(Ailment::LargeCache { folder: cache, bytes });
    }
    Ok(found)
}

/// A folder of the state and all that is in it. Links are not followed.
fn look(folder: &Path, found: &mut Vec<Ailment>) -> io::Result<()> {
    exposed(folder, 0o700, found)?;
    for path in files(folder)? {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            look(&path, found)?;
        } else if metadata.is_file() {
            if writer(&path).is_some_and(is_dead) {
                found.push(Ailment::Leftover { file: path });
            } else if holds_secrets(&path) {
                exposed(&path, 0o600, found)?;
            }
        }
    }
    Ok(())
}

/// What is somebody else's cannot be set right here; whoever uses it says so.
fn exposed(path: &Path, wanted: u32, found: &mut Vec<Ailment>) -> io::Result<()> {
    let metadata: Metadata = fs::metadata(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 && metadata.uid() == geteuid().as_raw() {
        found.push(Ailment::Exposed { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// The names of the state folder's files with keys, pre-images and what was done (see [`crate::state`]).
fn holds_secrets(path: &Path) -> bool {
    let named = ["key", "data-key", "sealed.log", "journal.jsonl", "plan.jsonl"];
    path.file_name().is_some_and(|name| named.iter().any(|named| name == *named))
}

fn is_compiled(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "code")
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The process that was writing a draft: `.NAME.PID-COUNT.tmp` of [`crate::disk::SystemDisk`], `.NAME.code.PID.COUNT` of the
/// cache of compiled code.
fn writer(path: &Path) -> Option<Pid> {
    let name = path.file_name()?.to_str()?.strip_prefix('.')?;
    let (pid, count) = match name.strip_suffix(".tmp") {
        Some(draft) => draft.rsplit_once('.')?.1.split_once('-')?,
        None => name.split_once(".code.")?.1.split_once('.')?,
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(count) && is_number(pid) { Pid::from_raw(pid.parse().ok()?) } else { None }
}

fn is_dead(process: Pid) -> bool {
    test_kill_process(process) == Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state folder as the program makes it, with one run.
    fn state() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join(".cutover");
        let run = state.join("runs/20261122-014502-aaaa");
        for made in [&state, &state.join("runs"), &run, &state.join("cache")] {
            fs::create_dir_all(made).expect("a folder");
            fs::set_permissions(made, Permissions::from_mode(0o700)).expect("ours");
        }
        for (file, text) in [("key", "k"), (".gitignore", "*\n"), ("runs/20261122-014502-aaaa/data-key", "d")] {
            fs::write(state.join(file), text).expect("a file");
            fs::set_permissions(state.join(file), Permissions::from_mode(0o600)).expect("ours");
        }
        (folder, state)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }

    /// Each is found, set right and not found again.
    fn is_mended(state: &Path, expected: &[Ailment]) {
        let found = examine(state, &[]).expect("readable");
        assert_eq!(found, expected);
        found.iter().try_for_each(Ailment::mend).expect("mended");
        assert_eq!(examine(state, &[]).expect("readable"), []);
    }

    #[test]
    fn a_folder_as_the_program_makes_it_is_well() {
        let (_folder, state) = state();
        is_mended(&state, &[]);
        assert_eq!(examine(Path::new("/no/such/folder"), &[]).expect("nothing to read"), []);
    }

    #[test]
    fn what_is_open_to_others_is_closed() {
        let (_folder, state) = state();
        let (key, run) = (state.join("key"), state.join("runs/20261122-014502-aaaa"));
        mode(&state, 0o775);
        mode(&key, 0o644);
        mode(&run, 0o750);
        let exposed = |path: &Path, mode, wanted| Ailment::Exposed { path: path.to_owned(), mode, wanted };
        is_mended(&state, &[exposed(&state, 0o775, 0o700), exposed(&key, 0o644, 0o600), exposed(&run, 0o750, 0o700)]);
        assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_of_locks_that_others_can_write_is_closed() {
        let (folder, state) = state();
        let locks = folder.path().join("locks");
        fs::create_dir(&locks).expect("a folder");
        mode(&locks, 0o777);
        let found = examine(&state, std::slice::from_ref(&locks)).expect("readable");
        assert_eq!(found, [Ailment::Exposed { path: locks.clone(), mode: 0o777, wanted: 0o700 }]);
        found[0].mend().expect("mended");
        assert_eq!(examine(&state, &[locks]).expect("readable"), []);
    }

    #[test]
    fn git_is_told_to_keep_out_and_other_lines_stay() {
        let (_folder, state) = state();
        let file = state.join(".gitignore");
        fs::write(&file, "!notes").expect("written");
        is_mended(&state, &[Ailment::NotIgnored { file: file.clone() }]);
        assert_eq!(fs::read_to_string(&file).expect("read"), "!notes\n*\n");
        fs::remove_file(&file).expect("removed");
        is_mended(&state, &[Ailment::NotIgnored { file }]);
    }

    #[test]
    fn what_killed_writers_left_goes_and_what_living_ones_write_stays() {
        let (_folder, state) = state();
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let (dead, living) = (child.id(), std::process::id());
        child.wait().expect("ended");
        let left = [state.join(format!(".key.{dead}-0.tmp")), state.join(format!("cache/.ab12.code.{dead}.7"))];
        let stays = [
            state.join(format!(".key.{living}-0.tmp")),
            state.join(format!("cache/.ab12.code.{living}.7")),
            state.join(format!("key.{dead}-0.tmp")),
            state.join(format!(".key.{dead}.tmp")),
        ];
        for file in left.iter().chain(&stays) {
            fs::write(file, "half").expect("written");
        }
        let leftover = |file: &PathBuf| Ailment::Leftover { file: file.clone() };
        is_mended(&state, &[leftover(&left[0]), leftover(&left[1])]);
        assert!(stays.iter().all(|file| file.exists()));
    }

    #[test]
    fn a_large_cache_is_emptied_of_compiled_code_only() {
        let (_folder, state) = state();
        let cache = state.join("cache");
        let large = fs::File::create(cache.join("ab.code")).expect("made");
        // A hole takes no room.
        large.set_len(CACHE_BYTES + 1).expect("long");
        fs::write(cache.join("note"), "mine").expect("written");
        is_mended(&state, &[Ailment::LargeCache { folder: cache.clone(), bytes: CACHE_BYTES + 1 }]);
        assert_eq!(files(&cache).expect("readable"), [cache.join("note")]);
    }
}
