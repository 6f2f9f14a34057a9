//! Ctrl-C and SIGTERM: once means stop at the next safe point, twice means at once. The journal is safe in both cases.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{error::ErrorKind, exit_code::ExitCode};

/// What the person or the machine wants of a run under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nothing: go on.
    No,
    /// Begin nothing new; end what is under way; then leave.
    AtSafePoint(Signal),
    /// Leave now; what is under way will be `unknown` and is resolved by `resume`.
    AtOnce(Signal),
}

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, as service managers send it.
    Terminate,
}

impl Signal {
    /// The exit code of a process that it stopped.
    #[must_use]
    pub const fn exit(self) -> ExitCode {
        self.kind().exit()
    }

    /// The kind of error of a process that it stopped.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Interrupt => ErrorKind::Interrupted,
            Self::Terminate => ErrorKind::Terminated,
        }
    }
}

impl Stop {
    /// The wish after another signal.
    #[must_use]
    pub const fn after(self, signal: Signal) -> Self {
        match self {
            Self::No => Self::AtSafePoint(signal),
            Self::AtSafePoint(_) | Self::AtOnce(_) => Self::AtOnce(signal),
        }
    }
}

/// Listens from now on. `told` hears of every change, so that it can be shown at once. Needs a Tokio runtime.
pub fn listen(told: impl Fn(Stop) + Send + 'static) -> io::Result<watch::Receiver<Stop>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (sender, receiver) = watch::channel(Stop::No);
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
                () = sender.closed() => return,
            };
            sender.send_modify(|stop| *stop = stop.after(signal));
            told(*sender.borrow());
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use rustix::process;

    use super::*;

    #[test]
    fn the_second_signal_stops_at_once() {
        let once = Stop::No.after(Signal::Interrupt);
        assert_eq!(once, Stop::AtSafePoint(Signal::Interrupt));
        assert_eq!(once.after(Signal::Terminate), Stop::AtOnce(Signal::Terminate));
        assert_eq!((Signal::Interrupt.exit(), Signal::Terminate.exit()), (ExitCode::Interrupted, ExitCode::Terminated));
    }

    #[tokio::test]
    async fn hears_real_signals() {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut stop = listen(move |stop| told.send(stop).expect("the test listens")).expect("a handler");
        assert_eq!(*stop.borrow(), Stop::No);
        process::kill_process(process::getpid(), process::Signal::INT).expect("a signal");
        stop.changed().await.expect("a change");
        assert_eq!(heard.recv().await, Some(Stop::AtSafePoint(Signal::Interrupt)));
        process::kill_process(process::getpid(), process::Signal::TERM).expect("a signal");
        assert_eq!(heard.recv().await, Some(Stop::AtOnce(Signal::Terminate)));
    }
}
