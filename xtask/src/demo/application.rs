//! The application of the demo: answers on a unix socket whether it can log in with the secrets it finds.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    demo_application::{files_below, listen, serve},
    failed::Failed,
};

/// Answers until the process ends.
pub(super) struct Application {
    /// With more secrets than this in the store it cannot log in.
    limit: Arc<AtomicUsize>,
}

impl Application {
    /// Listens at `app.sock` in the demo's folder; healthy.
    pub(super) fn start(folder: &Path) -> Result<Self, Failed> {
        let store = folder.join("store");
        Self::counting(folder, move || files_below(&store).map_or(0, |files| files.len()))
    }

    /// The same for a store whose secrets are counted so.
    pub(super) fn counting(folder: &Path, count: impl Fn() -> usize + Send + 'static) -> Result<Self, Failed> {
        let socket = folder.join("app.sock");
        let listener = listen(&socket).map_err(|error| Failed::at(&socket, &error))?;
        let limit = Arc::new(AtomicUsize::new(usize::MAX));
        let seen = Arc::clone(&limit);
        thread::spawn(move || serve(&listener, || count().saturating_sub(seen.load(Ordering::SeqCst))));
        Ok(Self { limit })
    }

    /// From now on it fails as soon as the store holds more than `count` secrets.
    pub(super) fn fail_after(&self, count: usize) {
        self.limit.store(count, Ordering::SeqCst);
    }

    /// From now on it is well.
    pub(super) fn recover(&self) {
        self.limit.store(usize::MAX, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn asked(folder: &Path, path: &str) -> String {
        let mut stream = UnixStream::connect(folder.join("app.sock")).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        text
    }

    #[test]
    fn fails_from_the_given_number_of_secrets_until_it_is_well_again() {
        let folder = std::env::temp_dir().join(format!("cutover-demo-{}", std::process::id()));
        fs::create_dir_all(folder.join("store/app")).expect("a folder");
        let application = Application::start(&folder).expect("a socket");
        for name in ["a", "b", "c"] {
            fs::write(folder.join("store/app").join(name), "x").expect("a file");
        }
        assert!(asked(&folder, "/health/deep").ends_with("\r\n\r\n{\"auth_failures\":0}"));
        application.fail_after(1);
        assert!(asked(&folder, "/health/deep").ends_with("\r\n\r\n{\"auth_failures\":2}"));
        application.recover();
        assert!(asked(&folder, "/health/deep").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(asked(&folder, "/other").starts_with("HTTP/1.1 404 Not Found\r\n"));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
