//! The load: an open loop, as many independent clients make it. A request begins when it is due, whatever became of the
//! earlier ones, and its latency counts from then; arrivals are a Poisson process, exact for a seed.
//!
//! One thread with an event loop does it, with a task for each request, so that a thousand hanging requests cost nothing.
//! It says how late it was itself, so that a busy machine is not taken for a bad proxy.

mod client;

use super::seen::Seen;
use anyhow::Result;
use client::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a client waits for an answer; then it counts as failed.
pub(in crate::bench) const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that are open before the first request.
const CONNECTIONS: usize = 64;

/// How a request ended.
pub(in crate::bench) type Ending = Result<(), Failure>;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(in crate::bench) enum Failure {
    /// No connection was made.
    #[error("connecting: {0}")]
    Connect(String),
    /// The connection ended before the answer did.
    #[error("no whole answer: {0}")]
    Broken(String),
    /// It was answered with something else than 200.
    #[error("answered with {0}")]
    Status(u16),
    /// The client waited in vain.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// One request, when it is over.
pub(in crate::bench) struct Request {
    /// From when it was due to when it began.
    pub(in crate::bench) lag: Duration,
    /// From when it was due to its end.
    pub(in crate::bench) latency: Duration,
    pub(in crate::bench) ending: Ending,
}

/// What to put on a port.
pub(in crate::bench) struct Load {
    pub(in crate::bench) port: u16,
    /// Requests a second, on average.
    pub(in crate::bench) pace: f64,
    pub(in crate::bench) seed: u64,
}

impl Load {
    /// Sends requests until `stop` is set, and waits for their ends.
    ///
    /// # Errors
    /// When there is no event loop to be had.
    pub(in crate::bench) fn run(&self, stop: &AtomicBool) -> std::io::Result<Seen> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(self.send(stop)))
    }

    async fn send(&self, stop: &AtomicBool) -> Seen {
        let client = Arc::new(Client::new(self.port));
        client.open(CONNECTIONS).await;
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut open: JoinSet<Request> = JoinSet::new();
        let mut seen = Seen::default();
        let mut due = Instant::now();
        while !stop.load(Relaxed) {
            // The gaps of a Poisson process; 1 - f64() is never 0.
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / self.pace);
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            open.spawn(request(client.clone(), due));
            while let Some(ended) = open.try_join_next() {
                seen.add(ended.expect("a request does not panic"));
            }
        }
        while let Some(ended) = open.join_next().await {
            seen.add(ended.expect("a request does not panic"));
        }
        seen
    }
}

/// Puts a load on while something is done.
///
/// # Errors
/// As [`Load::run`].
pub(in crate::bench) fn during<T>(load: &Load, done: impl FnOnce() -> T) -> Result<(Seen, T)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| load.run(&stop));
        let done = done();
        stop.store(true, Relaxed);
        Ok((load.join().expect("the load does not panic")?, done))
    })
}

async fn request(client: Arc<Client>, due: Instant) -> Request {
    let lag = due.elapsed();
    let ended = tokio::time::timeout_at((due + PATIENCE).into(), client.get()).await;
    Request { lag, latency: due.elapsed(), ending: ended.unwrap_or(Err(Failure::Late)) }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::{Manner, Nodes, Service};
    use super::super::ports::Ports;
    use super::*;
    use std::thread;

    /// Runs a load until the node has got this many requests.
    fn load(nodes: &Nodes, requests: u64) -> Seen {
        let stop = AtomicBool::new(false);
        let load = Load { port: nodes.ports()[0], pace: 500.0, seed: 3 };
        thread::scope(|scope| {
            let load = scope.spawn(|| load.run(&stop));
            let enough = || (nodes.asked()[0] >= requests).then_some(());
            crate::tools::poll(Duration::from_secs(20), enough).expect("requests arrive");
            stop.store(true, Relaxed);
            load.join().expect("no panic").expect("an event loop")
        })
    }

    #[test]
    fn a_slow_answer_delays_nobody_else() {
        let service = Service { places: 1, mean: Duration::from_micros(10) };
        let nodes = Nodes::start(&mut Ports::new(), &[service], 1).expect("a free port");
        nodes.set(0, Manner::Slow(Duration::from_millis(300)));
        let seen = load(&nodes, 400);
        // Each waits for 300 ms only, although hundreds are on their way at once.
        assert_eq!((seen.failed(), seen.requests()), (0, nodes.asked()[0]));
        assert!(seen.percentile(0.0) >= Duration::from_millis(300), "{:?}", seen.percentile(0.0));
    }

    #[test]
    fn failures_are_told_by_their_reason() {
        let service = Service { places: 1, mean: Duration::from_micros(10) };
        let nodes = Nodes::start(&mut Ports::new(), &[service], 1).expect("a free port");
        nodes.set(0, Manner::Failing);
        let seen = load(&nodes, 20);
        assert_eq!(seen.failed(), seen.requests());
        assert_eq!(seen.trouble().expect("a reason"), format!("{} x answered with 500", seen.failed()));
    }
}
