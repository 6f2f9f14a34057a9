//! Single keys at the terminal, without Enter, while a run is shown live.

use std::{
    io::stdin,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::read,
    process::{Signal, getpgrp, getpid, kill_process},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

/// It outlives every [`Keyboard`]: a process that leaves in a hurry drops none.
static TERMINAL: Mutex<Terminal> = Mutex::new(Terminal { wanted: false, before: None });

/// How long one look at the keyboard lasts.
const LOOK: Duration = Duration::from_millis(200);

/// A special code that no key has: `_POSIX_VDISABLE` of termios(3) on Linux.
const DISABLED: u8 = 0;

/// The terminal that the program was started from.
struct Terminal {
    /// Whether keys are to be read one by one.
    wanted: bool,
    /// How it was, as long as it is otherwise.
    before: Option<Termios>,
}

/// The keyboard of that terminal, which is as before once this is gone.
pub(crate) struct Keyboard(());

impl Keyboard {
    /// Tells `pressed` of each key. None where nobody can press one: without a terminal, or in the background. Needs a Tokio
    /// runtime.
    pub(crate) fn open(pressed: impl Fn(u8) + Send + 'static) -> Option<Self> {
        is_ours().then_some(())?;
        let mut stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).ok()?;
        {
            let mut terminal = terminal();
            terminal.wanted = true;
            terminal.take()?;
        }
        tokio::spawn(async move { while stop.recv().await.is_some() && spawn_blocking(pause).await.is_ok() {} });
        // A thread of its own that nobody waits for: a look may last, and the process may end meanwhile.
        thread::spawn(move || {
            while let Some(key) = look() {
                key.into_iter().for_each(&pressed);
            }
        });
        Some(Self(()))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        restore();
    }
}

impl Terminal {
    /// Keys come one by one from now on.
    fn take(&mut self) -> Option<()> {
        let before = tcgetattr(stdin()).ok()?;
        let mut modes = before.clone();
        // Signals stay: Ctrl-C is still Ctrl-C.
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // Not so Ctrl-\: it would leave the shell without echo.
        modes.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
        // A read never waits: after the look before it the process may have been sent into the background.
        modes.special_codes[SpecialCodeIndex::VMIN] = 0;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        self.before = Some(before);
        // What was typed before nobody asked of a run.
        tcsetattr(stdin(), OptionalActions::Flush, &modes).ok()
    }

    fn give_back(&mut self) {
        // Whoever has the terminal now has set it up, and a process in the background would be stopped for this.
        if let Some(before) = self.before.take().filter(|_| is_ours()) {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
        }
    }
}

/// Makes the terminal what it was before a [`Keyboard`] was opened.
pub(crate) fn restore() {
    let mut terminal = terminal();
    terminal.wanted = false;
    terminal.give_back();
}

/// The same while this thread panics, perhaps with the terminal in its hands. A program that goes on takes it again.
pub(crate) fn restore_in_panic() {
    if let Ok(mut terminal) = TERMINAL.try_lock() {
        terminal.give_back();
    }
}

/// Stops the process, as Ctrl-Z asks: whoever has the terminal meanwhile finds it as it was.
fn pause() {
    // Held until it goes on: nobody takes the terminal again in between.
    let mut terminal = terminal();
    terminal.give_back();
    // Not SIGSTOP: like Ctrl-Z itself, this one does nothing where there is no shell that could let the process go on.
    let _ = kill_process(getpid(), Signal::TTOU);
    // It may be some time until this thread is stopped as well.
    thread::sleep(LOOK);
}

fn terminal() -> MutexGuard<'static, Terminal> {
    TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a terminal and this process is in its foreground. Reading in the background would stop the process.
fn is_ours() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// The next key, if one came in time; nothing if keys are wanted no more or the terminal is gone.
fn look() -> Option<Option<u8>> {
    if !is_ours() {
        thread::sleep(LOOK);
        return terminal().wanted.then_some(None);
    }
    {
        let mut terminal = terminal();
        terminal.wanted.then_some(())?;
        if terminal.before.is_none() && is_ours() {
            // Stopped and gone on in the foreground.
            terminal.take()?;
        }
    }
    let input = stdin();
    let mut ready = [PollFd::new(&input, PollFlags::IN)];
    let wait = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
    // A signal that comes meanwhile is no reason to stop looking.
    let _ = poll(&mut ready, Some(&wait));
    let (came, gone) = (ready[0].revents().contains(PollFlags::IN), ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR));
    if !came || !is_ours() || !terminal().wanted {
        return (!gone).then_some(None);
    }
    let mut key = [0];
    match read(&input, &mut key) {
        Ok(1) => Some(Some(key[0])),
        _ => Some(None),
    }
}
