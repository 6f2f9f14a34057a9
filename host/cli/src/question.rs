//! Asking the person at the terminal.

use std::io::{self, BufRead as _, Write as _};

use tokio::sync::oneshot;

use crate::{
    error::{CommandError, code},
    spectator::Stops,
};

/// Asks on stderr; only `y` and `yes` mean yes. A signal ends the question and the command.
pub(crate) async fn confirmed(stops: &Stops, question: &str) -> Result<(), CommandError> {
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    asked.map_err(|error| CommandError::no(code::UNCONFIRMED, "cannot ask at the terminal").because(&error))?;
    let (answer, answered) = oneshot::channel();
    // A thread of its own: the process may end while nobody answers.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        // Whoever asked may have been stopped meanwhile.
        let _ = answer.send(read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"));
    });
    if stops.unless_stopped(answered).await?.unwrap_or(false) {
        return Ok(());
    }
    Err(CommandError::no(code::UNCONFIRMED, "not confirmed; nothing was written"))
}
