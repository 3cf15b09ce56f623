//! One Redis, or several that form one, that all gateways share.
//!
//! A thread of its own (`bascule-stores`) holds the connection, over which the questions of all workers go one after the
//! other without waiting for each other's answers. A worker hands a question over and awaits the answer, by its own clock and
//! never longer than `timeout`. While Redis cannot be asked (`driver` decides that) the answer is "unavailable", at once.
//!
//! Redis need not be there when the gateway starts, and comes back by itself.

mod breaker;
mod driver;
mod link;
mod question;
pub mod stats;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ::redis::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::StoreError;
use driver::{Driver, Job};
pub(super) use question::Question;
use stats::{Asked, Outcome, State, Stats};

/// Questions that wait for the thread. Chosen: what a busy Redis answers within some 20 ms.
const QUEUE: usize = 4096;

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

/// The shared Redis. Once the last copy is gone, its thread ends.
#[derive(Debug)]
pub struct Redis {
    jobs: mpsc::Sender<Job>,
    prefix: Box<str>,
    timeout: Duration,
    stats: Arc<Stats>,
}

impl Redis {
    /// Starts the thread, which connects. It does not wait for that.
    ///
    /// # Errors
    /// The system gives no thread, or the certificates are none.
    pub fn start(spec: Spec) -> io::Result<Redis> {
        // Several crates bring TLS along, so it is said here whose arithmetic it is. Somebody may have said so before.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let (jobs, received) = mpsc::channel(QUEUE);
        let stats = Arc::<Stats>::default();
        let (prefix, timeout) = (spec.prefix.as_str().into(), spec.timeout);
        let dial = link::Dial::new(spec).map_err(io::Error::other)?;
        let driver = Driver::new(dial, timeout, received, Arc::clone(&stats));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("bascule-stores".into()).spawn(move || runtime.block_on(driver.run()))?;
        Ok(Redis { jobs, prefix, timeout, stats })
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is known that it cannot be asked.
    pub fn is_down(&self) -> bool {
        self.stats.state() == State::Down
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
        if self.is_down() || self.jobs.try_send(Job { question, answer }).is_err() {
            return (Outcome::Unavailable, None);
        }
        match timeout(self.timeout, awaited).await {
            Ok(Ok(Ok(value))) => (Outcome::Answered, Some(value)),
            Ok(Ok(Err(outcome))) => (outcome, None),
            // It was turned away with all others.
            Ok(Err(_)) => (Outcome::Unavailable, None),
            Err(_) => (Outcome::Late, None),
        }
    }
}
