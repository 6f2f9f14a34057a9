//! Where credentials come from: `env:NAME`, `file:PATH` or `exec:COMMAND ARGUMENTS`.

use std::{collections::HashMap, path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt as _, process::Command, sync::Mutex};

use super::OpenError;
use crate::{sealing::Scanner, secret::Secret};

/// The longest credential, in bytes: certificates with keys are the largest.
const MAX_BYTES: u64 = 64 * 1024;
/// How long a command may take.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads credentials, each source once, so that a set of many members runs its login command one time.
#[derive(Default)]
pub struct Credentials {
    environment: Option<HashMap<String, String>>,
    scanner: Option<Arc<Scanner>>,
    read: Mutex<HashMap<String, Arc<Secret>>>,
}

impl Credentials {
    /// With this environment in place of the process's own: for tests and for programs that embed the runtime.
    #[must_use]
    pub fn with_environment(environment: HashMap<String, String>) -> Self {
        Self { environment: Some(environment), ..Self::default() }
    }

    /// With a scanner that is told which credentials are live.
    #[must_use]
    pub fn watched_by(mut self, scanner: Arc<Scanner>) -> Self {
        self.scanner = Some(scanner);
        self
    }

    /// Who is told which credentials are live.
    #[must_use]
    pub fn scanner(&self) -> Option<&Arc<Scanner>> {
        self.scanner.as_ref()
    }

    /// The credential behind `source`; relative files start from `folder`. One newline at the end is left out.
    ///
    /// # Errors
    /// Names connection and source, never the value.
    pub async fn read(&self, connection: &str, source: &str, folder: &Path) -> Result<Arc<Secret>, OpenError> {
        let mut read = self.read.lock().await;
        if let Some(secret) = read.get(source) {
            return Ok(Arc::clone(secret));
        }
        let error = |problem| OpenError::Credential { name: connection.to_owned(), origin: without_value(source), problem };
        let secret = Arc::new(self.fetch(source, folder).await.map_err(error)?);
        read.insert(source.to_owned(), Arc::clone(&secret));
        Ok(secret)
    }

    async fn fetch(&self, source: &str, folder: &Path) -> Result<Secret, String> {
        let bytes = match source.split_once(':') {
            Some(("env", name)) => self.variable(name).ok_or("the variable is not set")?.into_bytes(),
            Some(("file", path)) => {
                let file = tokio::fs::File::open(folder.join(path)).await.map_err(|error| error.to_string())?;
                bounded(file).await?
            }
            Some(("exec", command)) => {
                tokio::time::timeout(EXEC_TIMEOUT, run(command, folder)).await.map_err(|_| "the command took longer than 10 s")??
            }
            _ => return Err("a credential is `env:NAME`, `file:PATH` or `exec:COMMAND ARGUMENTS`".to_owned()),
        };
        let mut bytes = bytes;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err("it is empty".to_owned());
        }
        String::from_utf8(bytes).map(Secret::text).map_err(|_| "it is not UTF-8".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        match &self.environment {
            Some(environment) => environment.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }
}

/// A source may be shown; text without a known scheme may be the credential itself, written by mistake.
fn without_value(source: &str) -> String {
    match source.split_once(':') {
        Some(("env" | "file" | "exec", _)) => source.to_owned(),
        _ => "(not a source)".to_owned(),
    }
}

/// No shell: words are split at white space. What the command writes to stderr is dropped, it may quote secrets.
async fn run(command: &str, folder: &Path) -> Result<Vec<u8>, String> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("there is no command")?;
    let mut child = Command::new(program)
        .args(words)
        .current_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the command does not start: {error}"))?;
    let stdout = child.stdout.take().ok_or("the command has no output")?;
    let bytes = bounded(stdout).await?;
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(bytes) } else { Err(format!("the command ended with {status}; run it by hand to see why")) }
}

async fn bounded(source: impl tokio::io::AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(4_096);
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES { Err("it is larger than 64 KiB".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(source: &str, folder: &Path) -> Result<String, String> {
        let environment = HashMap::from([("TOKEN".to_owned(), "from-env".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let result = Credentials::with_environment(environment).read("app", source, folder).await;
        result.map(|secret| secret.expose_text().unwrap_or_default().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn every_source_gives_its_text_without_one_newline() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "from-file\n\n").expect("a file");
        assert_eq!(read("env:TOKEN", folder.path()).await.as_deref(), Ok("from-env"));
        assert_eq!(read("file:token", folder.path()).await.as_deref(), Ok("from-file\n"));
        assert_eq!(read("exec:echo $TOKEN ; id", folder.path()).await.as_deref(), Ok("$TOKEN ; id"));
        assert_eq!(read("exec:cat token", folder.path()).await.as_deref(), Ok("from-file\n"));
    }

    #[tokio::test]
    async fn errors_name_the_source_and_no_value() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("large"), vec![b'x'; 65 * 1024]).expect("a file");
        for source in
            ["env:NONE", "env:EMPTY", "file:none", "file:large", "exec:", "exec:false", "exec:cat large", "exec:no-such-program-here"]
        {
            let error = read(source, folder.path()).await.expect_err(source);
            assert!(error.contains(&format!("`{source}`")) && !error.contains("xxx"), "{error}");
        }
        let error = read("hvs.a-token-pasted-in", folder.path()).await.expect_err("no source");
        assert!(!error.contains("hvs"), "{error}");
    }

    #[tokio::test]
    async fn a_command_runs_once_for_many_members() {
        let folder = tempfile::tempdir().expect("a folder");
        let credentials = Credentials::default();
        let source = "exec:mktemp -p . login.XXXXXX";
        let first = credentials.read("app", source, folder.path()).await.expect("a name");
        let second = credentials.read("app", source, folder.path()).await.expect("a name");
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
