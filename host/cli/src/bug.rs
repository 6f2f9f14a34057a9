//! Panics: one line that holds no values, and exit code 70.
//!
//! The line is printed by the hook; whoever catches the panic (the sandbox at the edge of a host call,
//! [`caught`] for the whole program) decides what happens to the work under way.

use std::{
    io::Write as _,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Mutex, PoisonError},
};

use crate::{error::CommandError, keyboard};

static LAST_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Replaces the panic hook for the rest of the process.
pub fn install_hook() {
    panic::set_hook(Box::new(|info| {
        let place = place(info);
        keyboard::restore_in_panic();
        let _ = writeln!(std::io::stderr(), "cutover: internal error at {place} (details are left out: they could hold secrets)");
        *LAST_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }));
}

/// Runs the program; a panic of the calling thread becomes an error.
pub fn caught<T>(program: impl FnOnce() -> Result<T, CommandError>) -> Result<T, CommandError> {
    panic::catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|_| {
        let place = LAST_PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(CommandError::bug(place.as_deref().unwrap_or("an unknown place")))
    })
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location()
        .map_or_else(|| "an unknown place".to_owned(), |at| format!("{}:{}:{}", below_the_registry(at.file()), at.line(), at.column()))
}

/// Source paths of other crates begin with a folder of the machine that built the program: it says nothing here.
fn below_the_registry(file: &str) -> &str {
    let parts: Vec<&str> = file.split('/').collect();
    match parts.iter().rposition(|part| *part == "src") {
        Some(index) if file.starts_with('/') && index > 0 => &file[parts[..index - 1].iter().map(|part| part.len() + 1).sum()..],
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_do_not_tell_the_build_machine() {
        assert_eq!(below_the_registry("/home/ana/.cargo/registry/src/index-1/toml-1.2.1/src/de/parser.rs"), "toml-1.2.1/src/de/parser.rs");
        assert_eq!(below_the_registry("host/cli/src/bug.rs"), "host/cli/src/bug.rs");
    }
}
