//! The signals that the companion gets: two of them end it, the others are the command's.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The end.
    End,
    /// Nothing of the companion.
    Forward(Signal),
}

/// All that are listened for.
pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    quit: Stream,
    user_1: Stream,
    user_2: Stream,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::Forward(Signal::HUP),
            _ = self.quit.recv() => Asked::Forward(Signal::QUIT),
            _ = self.user_1.recv() => Asked::Forward(Signal::USR1),
            _ = self.user_2.recv() => Asked::Forward(Signal::USR2),
        }
    }

    /// Waits for one that ends the companion.
    pub(super) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}
