//! The numbers that workers write.
//!
//! Each has one writer, so adding is a load and a store, not a locked instruction; readers may see a number that is a
//! moment old. Names and labels are the registry's business.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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

    /// How many now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Declares an enum whose variants index an array of counters and name a label's values.
macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Each of them, in the order of the declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The word in metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

kinds! {
    /// Why the gateway answered a request itself, or could not.
    ErrorKind {
        /// The client's message breaks HTTP.
        BadRequest = "bad_request",
        /// The client's head is over a limit.
        HeadTooLarge = "head_too_large",
        /// The client was too slow with its request, or did not take its response.
        ClientTimeout = "client_timeout",
        /// The client went away before it had its answer.
        ClientGone = "client_gone",
        /// No route matched.
        NoRoute = "no_route",
        /// The pool has no node that may be picked.
        NoNode = "no_node",
        /// A policy refused the request.
        Rejected = "rejected",
        /// The pool was full, and so was its queue.
        QueueFull = "queue_full",
        /// The pool was full for as long as a request may wait.
        QueueTimeout = "queue_timeout",
        /// The process has no memory for more.
        Memory = "memory",
        /// No connection to a node could be made.
        Connect = "connect",
        /// The node ended the connection before its answer was whole.
        Reset = "reset",
        /// A connection to a node did not come about in time.
        ConnectTimeout = "connect_timeout",
        /// The node had the request and did not begin to answer in time.
        FirstByteTimeout = "first_byte_timeout",
        /// The last attempt took too long.
        AttemptTimeout = "attempt_timeout",
        /// All attempts together took too long.
        Timeout = "timeout",
        /// The node's response stood still for too long.
        BetweenBytesTimeout = "between_bytes_timeout",
        /// The request took too long as a whole.
        TotalTimeout = "total_timeout",
        /// The node's answer breaks HTTP.
        Protocol = "protocol",
        /// A plugin failed and its configuration says that the request fails with it.
        Plugin = "plugin",
        /// The gateway's own fault.
        Internal = "internal",
    }
}

kinds! {
    /// Why a request was sent again.
    RetryReason {
        /// No connection could be made.
        Connect = "connect",
        /// The node closed or reset the connection before it answered.
        Reset = "reset",
        /// The node did not answer within the limits of one attempt.
        Timeout = "timeout",
        /// The node's answer breaks HTTP.
        Malformed = "malformed",
        /// The node answered with a status that is tried again.
        Status = "status",
        /// The node closed a kept connection just as it was used again; the same node was asked once more.
        Reused = "reused",
    }
}

kinds! {
    /// Why a request was not sent again although its attempt failed in a way that is tried again.
    RetryRefusal {
        /// The node may have done what a request with this method asks for, which must not be done twice.
        Method = "method",
        /// A part of the request's body is no longer at hand.
        Body = "body",
        /// An informational response was passed on already.
        Begun = "begun",
        /// The pool's attempts were used up.
        Attempts = "attempts",
        /// Every node of the pool was tried.
        NoNode = "no_node",
        /// The pool's budget for retries is used up.
        Budget = "budget",
    }
}

kinds! {
    /// What came of a second attempt that was due beside the first.
    HedgeOutcome {
        /// It answered first.
        Won = "won",
        /// The first attempt did, or the client left.
        Lost = "lost",
        /// It failed while the first attempt went on, or with it.
        Failed = "failed",
        /// There was no other node for it.
        NoNode = "no_node",
        /// The pool's budget for retries is used up.
        Budget = "budget",
    }
}

kinds! {
    /// Why the native round robin picked instead of a pool's last policy.
    FallbackReason {
        /// It had no opinion.
        Abstain = "abstain",
        /// It named a candidate that there is not.
        BadIndex = "bad_index",
        /// It ended in a trap.
        Trap = "trap",
        /// It took too long.
        Deadline = "deadline",
        /// All its instances were busy.
        Busy = "busy",
        /// It was not asked, since it failed too often.
        Quarantined = "quarantined",
    }
}

kinds! {
    /// Why a pool turned a request away that it has no room for.
    Refusal {
        /// As many wait already as may.
        QueueFull = "queue_full",
        /// It waited for as long as it may.
        QueueTimeout = "queue_timeout",
        /// The process has no memory for more.
        Memory = "memory",
    }
}

kinds! {
    /// Why a client's connection was turned away.
    NoRoom {
        /// As many are open as there are descriptors for.
        Descriptors = "descriptors",
        /// The process has no memory for more.
        Memory = "memory",
        /// The listener has as many as it takes.
        Listener = "listener",
        /// The client has as many as it may.
        Client = "client",
    }
}

kinds! {
    /// What came of a node's load report. Those that came too soon after another are not looked at and not counted.
    LoadReport {
        /// Its numbers are known to policies.
        Taken = "taken",
        /// It is in a form that is not read, or not as its form says.
        Unreadable = "unreadable",
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::QueueFull => "the pool is full, and so is its queue",
            Refusal::QueueTimeout => "the pool was full for as long as a request may wait",
            Refusal::Memory => "the process has no memory for more",
        })
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
    no_room: [Counter; NoRoom::ALL.len()],
    errors: [Counter; ErrorKind::ALL.len()],
}

impl WorkerMetrics {
    /// Counts a connection that was turned away.
    pub fn no_room(&self, why: NoRoom) {
        self.no_room[why as usize].increment();
    }

    /// How many were for this reason.
    pub fn without_room(&self, why: NoRoom) -> u64 {
        self.no_room[why as usize].get()
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
