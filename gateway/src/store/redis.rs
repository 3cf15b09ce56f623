//! One Redis, or several that form one, that all gateways share.
//!
//! Each worker has a connection of its own, and so has control (`lane`): questions go over it one after the other without waiting
//! for each other's answers. Whoever asks awaits the answer, never longer than `timeout`. While Redis cannot be asked (`driver`
//! decides that) the answer is "unavailable", at once. In a cluster that goes by member (`members`).
//!
//! Redis need not be there when the gateway starts, and comes back by itself.

mod breaker;
mod driver;
mod health;
mod lane;
mod link;
mod members;
mod question;
pub mod stats;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use ::redis::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::StoreError;
use driver::Job;
pub use health::State;
use lane::Lanes;
pub(super) use question::Question;
use stats::{Asked, Outcome, Stats};

/// How Redis is reached.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its servers, Sentinels or members of the cluster: host and port.
    pub servers: Vec<(String, u16)>,
    /// What the servers are.
    pub mode: Mode,
    /// With TLS, and how; none without.
    pub tls: Option<Tls>,
    /// The user; Redis' default user if there is none.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Password>,
    /// What all keys begin with.
    pub prefix: String,
    /// How long one question may take.
    pub timeout: Duration,
}

/// What the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One Redis.
    Standalone,
    /// Sentinels, which know where the master of this name is.
    Sentinel(String),
    /// Members of a Redis Cluster.
    Cluster,
}

/// How servers are known, and how the gateway shows itself; contents of PEM files.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Who may have signed a server's certificate; the system's authorities if there is none.
    pub ca: Option<Vec<u8>>,
    /// The gateway's certificate and its key.
    pub identity: Option<(Vec<u8>, Password)>,
}

/// What is never shown.
#[derive(Clone)]
pub struct Password(pub Vec<u8>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The shared Redis. Once it is gone, so are its connections.
pub struct Redis {
    lanes: Lanes,
    prefix: Box<str>,
    timeout: Duration,
    stats: Stats,
}

impl Redis {
    /// A Redis that is reached so. It does not connect.
    ///
    /// # Errors
    /// The certificates are none.
    pub fn new(spec: Spec) -> io::Result<Redis> {
        // Several crates bring TLS along, so it is said here whose arithmetic it is. Somebody may have said so before.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let (prefix, timeout) = (spec.prefix.as_str().into(), spec.timeout);
        let lanes = Lanes::new(spec).map_err(io::Error::other)?;
        Ok(Redis { lanes, prefix, timeout, stats: Stats::default() })
    }

    /// Begins to connect for this event loop, so that its first question need not wait for that.
    ///
    /// # Panics
    /// Outside of an event loop (a tokio runtime), as all questions do.
    pub fn connect(&self) {
        let _begins = self.lanes.state();
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is known that it cannot be asked from here.
    pub(super) fn is_down(&self) -> bool {
        self.lanes.state() == State::Down
    }

    /// Whether it is asked, as all event loops together see it.
    pub fn state(&self) -> State {
        self.lanes.health().state()
    }

    /// How many members of a cluster are not asked, by one event loop at least.
    pub fn absent_members(&self) -> usize {
        self.lanes.health().absent()
    }

    /// How often it came to that it is not.
    pub fn outages(&self) -> u64 {
        self.lanes.health().outages()
    }

    /// What was asked, and how it went.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub(super) async fn ask(&self, about: Asked, question: Question) -> Result<Value, StoreError> {
        let began = Instant::now();
        let (outcome, answer) = self.outcome(question).await;
        self.stats.count(about, outcome, began.elapsed());
        answer.ok_or(StoreError::Unavailable)
    }

    async fn outcome(&self, question: Question) -> (Outcome, Option<Value>) {
        let (answer, awaited) = oneshot::channel();
        let answer = match self.lanes.hand_over(Job { question, answer }) {
            None => return (Outcome::Unavailable, None),
            // The driver has the clock of what was asked, but not of what waits for its connection.
            Some(State::Connecting) => match timeout(self.timeout, awaited).await {
                Ok(answer) => answer,
                Err(_) => return (Outcome::Late, None),
            },
            Some(_) => awaited.await,
        };
        match answer {
            Ok(Ok(value)) => (Outcome::Answered, Some(value)),
            Ok(Err(outcome)) => (outcome, None),
            // It was turned away with all others.
            Err(_) => (Outcome::Unavailable, None),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("state", &self.state()).finish_non_exhaustive()
    }
}
