//! The numbers that workers write.
//!
//! Each has one writer, so adding is a load and a store, not a locked instruction; readers may see a number that is a
//! moment old. Names and labels are the registry's business.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

mod kinds;

pub use kinds::{
    ErrorKind, FallbackReason, HandshakeOutcome, HedgeOutcome, LoadReport, NoRoom, ProxyHeader, Refusal,
    Refused, RetryReason, RetryRefusal,
};

/// A number that only grows. Only one thread may add to it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down. Only one thread may change it.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more.
    pub fn increment(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }

    /// One less.
    pub fn decrement(&self) {
        self.0.store(self.0.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// So many now.
    pub fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }

    /// How many now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the latency histogram, in microseconds: half decades, which suit a gateway's 1 ms to 10 s.
pub const LATENCY_BUCKETS: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Latencies {
    /// Each bucket alone (they are added up when shown); the last is for what is over every bound.
    buckets: [Counter; LATENCY_BUCKETS.len() + 1],
    /// Microseconds in all.
    sum: Counter,
}

impl Latencies {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let micros = took.as_micros().try_into().unwrap_or(u64::MAX);
        self.buckets[LATENCY_BUCKETS.partition_point(|bound| *bound < micros)].increment();
        self.sum.add(micros);
    }

    /// Each bucket alone, and the sum in microseconds.
    pub(super) fn read(&self) -> ([u64; LATENCY_BUCKETS.len() + 1], u64) {
        (self.buckets.each_ref().map(Counter::get), self.sum.get())
    }
}

/// A counter for each of so many kinds: arrays of more than 32 have no default of their own.
#[derive(Debug)]
struct Each<const N: usize>([Counter; N]);

impl<const N: usize> Default for Each<N> {
    fn default() -> Self {
        Each(std::array::from_fn(|_| Counter::default()))
    }
}

/// One worker's numbers. (128 bytes apart: two cache lines, since processors fetch them in pairs.)
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerMetrics {
    /// Clients' connections that were accepted.
    pub connections_accepted: Counter,
    /// Clients' connections that are open now.
    pub connections_open: Gauge,
    /// Connections to nodes that were made.
    pub node_connections: Counter,
    /// Connections of HTTP/2 to nodes, at the last look.
    pub node_http2_connections: Gauge,
    no_room: [Counter; NoRoom::ALL.len()],
    refused: Each<{ Refused::ALL.len() }>,
    handshakes: [Counter; HandshakeOutcome::ALL.len()],
    proxy_headers: [Counter; ProxyHeader::ALL.len()],
    errors: [Counter; ErrorKind::ALL.len()],
}

impl WorkerMetrics {
    /// Counts a connection that was turned away.
    pub fn no_room(&self, why: NoRoom) {
        self.no_room[why as usize].increment();
        self.refused(Refused::NoRoom);
    }

    /// Counts what the front door refused.
    pub fn refused(&self, what: Refused) {
        self.refused.0[what as usize].increment();
    }

    /// How often that was this.
    pub fn refusals(&self, what: Refused) -> u64 {
        self.refused.0[what as usize].get()
    }

    /// How many were for this reason.
    pub fn without_room(&self, why: NoRoom) -> u64 {
        self.no_room[why as usize].get()
    }

    /// Counts a client's TLS handshake.
    pub fn handshake(&self, outcome: HandshakeOutcome) {
        self.handshakes[outcome as usize].increment();
        match outcome {
            HandshakeOutcome::Refused => self.refused(Refused::Handshake),
            HandshakeOutcome::Late => self.refused(Refused::SlowHandshake),
            HandshakeOutcome::Made | HandshakeOutcome::Gone | HandshakeOutcome::Proof => {}
        }
    }

    /// How many came to this.
    pub fn handshakes(&self, outcome: HandshakeOutcome) -> u64 {
        self.handshakes[outcome as usize].get()
    }

    /// Counts a PROXY header that a peer had to send.
    pub fn proxy_header(&self, outcome: ProxyHeader) {
        self.proxy_headers[outcome as usize].increment();
    }

    /// How many came to this.
    pub fn proxy_headers(&self, outcome: ProxyHeader) -> u64 {
        self.proxy_headers[outcome as usize].get()
    }

    /// Counts an error that belongs to no route.
    pub fn error(&self, kind: ErrorKind) {
        self.errors[kind as usize].increment();
    }

    /// How often an error of this kind was counted.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.errors[kind as usize].get()
    }
}

/// One route's numbers on one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RouteMetrics {
    /// By class of the status: 1xx to 5xx.
    requests: [Counter; 5],
    errors: [Counter; ErrorKind::ALL.len()],
    /// From the end of a request's head to the last byte of its response.
    pub latencies: Latencies,
    /// Connections that were passed on as they are.
    pub passed: Counter,
    /// Bytes of request bodies.
    pub bytes_in: Counter,
    /// Bytes of response bodies.
    pub bytes_out: Counter,
}

impl RouteMetrics {
    /// Counts a request that was answered with this status, and how long it took.
    pub fn answered(&self, status: u16, took: Duration) {
        self.requests[usize::from(status / 100).clamp(1, 5) - 1].increment();
        self.latencies.observe(took);
    }

    /// Counts an error on this route.
    pub fn error(&self, kind: ErrorKind) {
        self.errors[kind as usize].increment();
    }

    /// How often an error of this kind was counted.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.errors[kind as usize].get()
    }

    /// Requests that were answered with a status of this class, 1 to 5.
    pub fn requests(&self, class: usize) -> u64 {
        self.requests[class.clamp(1, 5) - 1].get()
    }
}

/// One pool's numbers on one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct PoolMetrics {
    fallbacks: [Counter; FallbackReason::ALL.len()],
    retries: [Counter; RetryReason::ALL.len()],
    retries_refused: [Counter; RetryRefusal::ALL.len()],
    hedges: [Counter; HedgeOutcome::ALL.len()],
    refusals: [Counter; Refusal::ALL.len()],
    reports: [Counter; LoadReport::ALL.len()],
    /// How long requests waited in the queue, those that were turned away then included.
    pub queue: Latencies,
}

impl PoolMetrics {
    /// Counts a pick that fell to the native round robin although the pool has policies.
    pub fn fallback(&self, reason: FallbackReason) {
        self.fallbacks[reason as usize].increment();
    }

    /// Counts a request that was turned away.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusals[refusal as usize].increment();
    }

    /// How often that was for this reason.
    pub fn refusals(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal as usize].get()
    }

    /// Counts a load report.
    pub fn reported(&self, report: LoadReport) {
        self.reports[report as usize].increment();
    }

    /// How many there were of this kind.
    pub fn reports(&self, report: LoadReport) -> u64 {
        self.reports[report as usize].get()
    }

    /// How often a pick fell to the native round robin for this reason.
    pub fn fallbacks(&self, reason: FallbackReason) -> u64 {
        self.fallbacks[reason as usize].get()
    }

    /// Counts a request that is sent again.
    pub fn retry(&self, reason: RetryReason) {
        self.retries[reason as usize].increment();
    }

    /// How often that was for this reason.
    pub fn retries(&self, reason: RetryReason) -> u64 {
        self.retries[reason as usize].get()
    }

    /// Counts a request that would have been sent again, but for this.
    pub fn retry_refused(&self, why: RetryRefusal) {
        self.retries_refused[why as usize].increment();
    }

    /// Counts a hedge that was due.
    pub fn hedge(&self, outcome: HedgeOutcome) {
        self.hedges[outcome as usize].increment();
    }

    /// How often it ended so.
    pub fn hedges(&self, outcome: HedgeOutcome) -> u64 {
        self.hedges[outcome as usize].get()
    }

    /// How often that was so.
    pub fn retries_refused(&self, why: RetryRefusal) -> u64 {
        self.retries_refused[why as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let latencies = Latencies::default();
        for micros in [0, 1_000, 1_001, 10_000_000, 10_000_001] {
            latencies.observe(Duration::from_micros(micros));
        }
        let (buckets, sum) = latencies.read();
        assert_eq!(buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum, 20_002_002);
    }

    #[test]
    fn a_status_counts_in_its_class() {
        let route = RouteMetrics::default();
        for status in [101, 200, 204, 404, 599] {
            route.answered(status, Duration::ZERO);
        }
        assert_eq!([1, 2, 3, 4, 5].map(|class| route.requests(class)), [1, 2, 0, 1, 1]);
    }
}
