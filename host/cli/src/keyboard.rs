//! Single keys at the terminal, without Enter, while a run is shown live.

use std::{
    io::stdin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::read,
    process::getpgrp,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};

/// How the terminal was before. It outlives every value: a process that leaves in a hurry drops none.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// How long one look at the keyboard lasts: as `VTIME` of termios(3), in tenths of a second.
const LOOK: u8 = 2;

/// A special code that no key has: `_POSIX_VDISABLE` of termios(3) on Linux.
const DISABLED: u8 = 0;

/// The keyboard of the terminal that the program was started from. The terminal is as before once this is gone.
pub(crate) struct Keyboard {
    closed: Arc<AtomicBool>,
}

impl Keyboard {
    /// Tells `pressed` of each key. None where nobody can press one: without a terminal, or in the background.
    pub(crate) fn open(pressed: impl Fn(u8) + Send + 'static) -> Option<Self> {
        is_ours().then_some(())?;
        let before = tcgetattr(stdin()).ok()?;
        let mut modes = before.clone();
        // Signals stay: Ctrl-C is still Ctrl-C.
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // Not so Ctrl-Z and Ctrl-\: they would leave the shell without echo, and a run that goes on in the background would be
        // stopped in the middle of its look at the keyboard.
        modes.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        modes.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
        modes.special_codes[SpecialCodeIndex::VMIN] = 0;
        modes.special_codes[SpecialCodeIndex::VTIME] = LOOK;
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(before);
        // What was typed before nobody asked of a run.
        tcsetattr(stdin(), OptionalActions::Flush, &modes).ok()?;
        let closed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closed);
        // A thread of its own that nobody waits for: a look may last, and the process may end meanwhile.
        thread::spawn(move || {
            while !seen.load(Ordering::Acquire) {
                match look() {
                    Some(key) => pressed(key),
                    None => return,
                }
            }
        });
        Some(Self { closed })
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        restore();
    }
}

/// Makes the terminal what it was before a [`Keyboard`] was opened.
pub(crate) fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Whoever has the terminal now has set it up, and a process in the background would be stopped for this.
    if let Some(before) = before.filter(|_| is_ours()) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// Whether there is a terminal and this process is in its foreground. Reading in the background would stop the process.
fn is_ours() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// The next key, or 0 if none came; nothing if the terminal is gone.
fn look() -> Option<u8> {
    let (began, mut key) = (Instant::now(), [0]);
    let read = if is_ours() { read(stdin(), &mut key) } else { Ok(0) };
    let count = read.ok()?;
    let look = Duration::from_millis(u64::from(LOOK) * 100);
    if count == 0 && began.elapsed() < look / 2 {
        thread::sleep(look);
    }
    Some(key[0])
}
