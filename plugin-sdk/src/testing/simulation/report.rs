//! What came of a simulation.

use std::fmt;
use std::time::Duration;

/// What came of the requests after the warm-up: latencies as a client sees them, over all attempts of a request.
#[derive(Clone, Debug)]
pub struct Report {
    requests: usize,
    /// Of requests that were served, ascending.
    latencies: Vec<Duration>,
    attempts: Vec<u64>,
}

impl Report {
    pub(super) fn new(nodes: usize) -> Self {
        Self { requests: 0, latencies: Vec::new(), attempts: vec![0; nodes] }
    }

    pub(super) fn arrived(&mut self) {
        self.requests += 1;
    }

    pub(super) fn served(&mut self, latency: Duration) {
        self.latencies.push(latency);
    }

    pub(super) fn tried(&mut self, node: usize) {
        self.attempts[node] += 1;
    }

    pub(super) fn sorted(mut self) -> Self {
        self.latencies.sort_unstable();
        self
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// How many were not served: all attempts failed, or the last one was never answered.
    pub fn failures(&self) -> usize {
        self.requests - self.latencies.len()
    }

    /// The latency that this share of the served requests does not exceed: 0.99 is the 99th percentile. Zero if none was served.
    pub fn percentile(&self, share: f64) -> Duration {
        let place = (self.latencies.len() as f64 * share).ceil() as usize;
        let place = place.clamp(1, self.latencies.len().max(1)) - 1;
        self.latencies.get(place).copied().unwrap_or_default()
    }

    /// The share of all requests that were served within this time.
    pub fn served_within(&self, time: Duration) -> f64 {
        let within = self.latencies.partition_point(|latency| *latency <= time);
        within as f64 / self.requests.max(1) as f64
    }

    /// How many attempts went to a node. Nodes are counted from 1 in the order in which they were added.
    pub fn attempts(&self, node: usize) -> u64 {
        self.attempts.get(node.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// Which share of all attempts went to a node.
    pub fn share(&self, node: usize) -> f64 {
        self.attempts(node) as f64 / self.attempts.iter().sum::<u64>().max(1) as f64
    }
}

/// Percentiles, failures, and each node's share.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.percentile(share).as_secs_f64() * 1000.0;
        let [half, ninetynine, most] = [0.5, 0.99, 0.999].map(millis);
        write!(out, "{} requests, {} failed; ", self.requests, self.failures())?;
        writeln!(out, "p50 {half:.2} ms, p99 {ninetynine:.2} ms, p99.9 {most:.2} ms")?;
        for node in 1..=self.attempts.len() {
            writeln!(
                out,
                "node {node}: {} attempts, {:.2} %",
                self.attempts(node),
                self.share(node) * 100.0
            )?;
        }
        Ok(())
    }
}
