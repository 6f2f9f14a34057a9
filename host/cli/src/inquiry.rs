//! Somebody wants to know where a run stands: `t` at the terminal, or SIGUSR1 from anywhere.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

use crate::keyboard::Keyboard;

/// The key that asks, as in `nextest`.
const KEY: u8 = b't';

/// Listens as long as it lives.
pub(crate) struct Inquiry {
    task: JoinHandle<()>,
    _keyboard: Option<Keyboard>,
}

impl Inquiry {
    /// `asked` is called whenever somebody asks; with `keys` also by a key. Needs a Tokio runtime.
    pub(crate) fn listen(keys: bool, asked: impl Fn() + Send + 'static) -> io::Result<Self> {
        let mut signals = signal(SignalKind::user_defined1())?;
        let (press, mut pressed) = mpsc::unbounded_channel();
        let forward = move |key: u8| {
            if key == KEY {
                // Nobody asks any more once the listening is over.
                let _ = press.send(());
            }
        };
        let keyboard = keys.then(|| Keyboard::open(forward)).flatten();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = signals.recv() => asked(),
                    Some(()) = pressed.recv() => asked(),
                    else => return,
                }
            }
        });
        Ok(Self { task, _keyboard: keyboard })
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use rustix::process;

    use super::*;

    #[tokio::test]
    async fn a_signal_asks_each_time_it_comes() {
        let (told, mut heard) = mpsc::unbounded_channel();
        let inquiry = Inquiry::listen(false, move || told.send(()).expect("the test listens")).expect("a handler");
        for _ in 0..2 {
            process::kill_process(process::getpid(), process::Signal::USR1).expect("a signal");
            assert_eq!(heard.recv().await, Some(()));
        }
        drop(inquiry);
    }
}
