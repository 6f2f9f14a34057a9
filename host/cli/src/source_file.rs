//! Reading a file that a person named, with an error for each way in which it can be wrong.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use crate::error::{CommandError, code};

/// The largest workflow or file of variables, in bytes. A hundred times what people write; a device file has no end.
pub const BYTES_MAX: u64 = 4 << 20;

/// A text file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As the person named it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// Reads `path`, relative to the folder of the process.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let shown = path.display();
        let bytes = bytes(path, BYTES_MAX, "is it really a text file? Long lists belong into a file that the workflow names")?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = String::from_utf8_lossy(&error.as_bytes()[..valid]).matches('\n').count() + 1;
                Err(CommandError::no(code::FILE_FORM, format!("`{shown}` is not UTF-8: line {line}, byte {valid} of the file"))
                    .hint("save it as UTF-8 without other encodings"))
            }
        }
    }

    /// The name for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Reads a whole file of at most `limit` bytes; `advice` says what to do about a larger one.
pub fn bytes(path: &Path, limit: u64, advice: &str) -> Result<Vec<u8>, CommandError> {
    let shown = path.display();
    let unreadable = |error: &std::io::Error| CommandError::no(code::FILE_READ, format!("cannot read `{shown}`")).because(error);
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(path),
        _ => unreadable(&error),
    })?;
    if file.metadata().map_err(|error| unreadable(&error))?.is_dir() {
        return Err(CommandError::no(code::FILE_FORM, format!("`{shown}` is a folder, not a file")).hint("name the file in it"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > limit {
        return Err(CommandError::no(code::FILE_FORM, format!("`{shown}` is larger than {} MiB", limit >> 20)).hint(advice));
    }
    Ok(bytes)
}

fn missing(path: &Path) -> CommandError {
    let error = CommandError::no(code::FILE_READ, format!("there is no file `{}`", path.display()));
    match nearest_sibling(path) {
        Some(near) => error.hint(format!("there is `{}`", near.display())),
        None => error.hint("run `cutover` to see the workflows of this folder, or `cutover init` to write one"),
    }
}

fn nearest_sibling(path: &Path) -> Option<PathBuf> {
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let (near, distance) =
        names.map(|name| (strsim::damerau_levenshtein(wanted, &name), name)).min().map(|(distance, name)| (name, distance))?;
    (distance <= wanted.chars().count() / 3).then(|| path.with_file_name(near))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        let error = SourceFile::read(path).expect_err("refused");
        assert_eq!(error.exit(), crate::exit_code::ExitCode::No);
        let folder = path.parent().expect("a folder").display().to_string();
        anstream::adapter::strip_str(&error.text()).to_string().replace(&folder, "DIR")
    }

    #[test]
    fn each_way_to_be_wrong_has_its_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        write("payments.toml", b"cutover = 1\n");
        write("latin.toml", b"a = 1\nname = \"gr\xf6\xdfe\"\n");
        write("huge.bin", &vec![b'a'; usize::try_from(BYTES_MAX).expect("small") + 1]);
        insta::assert_snapshot!(refused(&folder.path().join("payment.toml")), @r"
        error[CUT6011]: there is no file `DIR/payment.toml`
        help: there is `DIR/payments.toml`
        ");
        insta::assert_snapshot!(refused(&folder.path().join("nothing-near")), @r"
        error[CUT6011]: there is no file `DIR/nothing-near`
        help: run `cutover` to see the workflows of this folder, or `cutover init` to write one
        ");
        insta::assert_snapshot!(refused(&folder.path().join("latin.toml")), @r"
        error[CUT6012]: `DIR/latin.toml` is not UTF-8: line 2, byte 16 of the file
        help: save it as UTF-8 without other encodings
        ");
        insta::assert_snapshot!(refused(&folder.path().join("huge.bin")), @r"
        error[CUT6012]: `DIR/huge.bin` is larger than 4 MiB
        help: is it really a text file? Long lists belong into a file that the workflow names
        ");
        insta::assert_snapshot!(refused(&folder.path().join("sub")), @r"
        error[CUT6012]: `DIR/sub` is a folder, not a file
        help: name the file in it
        ");
        assert_eq!(SourceFile::read(&folder.path().join("payments.toml")).expect("read").text, "cutover = 1\n");
    }

    #[test]
    fn a_device_without_end_is_too_large() {
        assert!(SourceFile::read(Path::new("/dev/zero")).expect_err("refused").text().contains("larger than"));
    }
}
