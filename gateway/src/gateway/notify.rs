//! What the service manager is told (systemd's sd_notify(3)). Where there is none, nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// The gateway serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It looks at its configuration; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "there is no clock to tell the service manager"),
    }
}

/// Another process is the gateway from now on.
pub fn replaced_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid), NotifyState::Ready, NotifyState::Status("a new process took over")]);
}

/// It drains and ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("requests in flight end")]);
}

/// It is alive.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said: twice within the time that the service manager waits.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager cannot be told");
    }
}
