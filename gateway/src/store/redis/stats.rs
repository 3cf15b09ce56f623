//! What Redis was asked, and how it went. Workers write; /metrics and /snapshot read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What Redis was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Asked {
    SessionGet,
    SessionBind,
    SessionForget,
    SharedGet,
    SharedSet,
    SharedAdd,
    SharedDelete,
    Throttle,
    Lease,
}

impl Asked {
    /// Each of them.
    pub const ALL: [Asked; 9] = [
        Asked::SessionGet,
        Asked::SessionBind,
        Asked::SessionForget,
        Asked::SharedGet,
        Asked::SharedSet,
        Asked::SharedAdd,
        Asked::SharedDelete,
        Asked::Throttle,
        Asked::Lease,
    ];

    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Asked::SessionGet => "session_get",
            Asked::SessionBind => "session_bind",
            Asked::SessionForget => "session_forget",
            Asked::SharedGet => "shared_get",
            Asked::SharedSet => "shared_set",
            Asked::SharedAdd => "shared_add",
            Asked::SharedDelete => "shared_delete",
            Asked::Throttle => "throttle",
            Asked::Lease => "lease",
        }
    }
}

/// How a question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Redis answered.
    Answered,
    /// It did not within the time.
    Late,
    /// It said no, or the connection ended.
    Failed,
    /// It was not asked: it cannot be, or too many wait.
    Unavailable,
}

impl Outcome {
    /// Each of them.
    pub const ALL: [Outcome; 4] = [Outcome::Answered, Outcome::Late, Outcome::Failed, Outcome::Unavailable];

    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Late => "late",
            Outcome::Failed => "failed",
            Outcome::Unavailable => "unavailable",
        }
    }
}

/// Upper bounds of the histogram of answers, in microseconds: a Redis nearby answers within the first ones.
pub const BUCKETS: [u64; 10] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000];

/// The numbers. All workers write them, after an answer that took longer than that.
#[derive(Debug, Default)]
pub struct Stats {
    counts: [[AtomicU64; Outcome::ALL.len()]; Asked::ALL.len()],
    /// Each bucket alone; the last is for what is over every bound.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Stats {
    pub(super) fn count(&self, about: Asked, outcome: Outcome, took: Duration) {
        self.counts[about as usize][outcome as usize].fetch_add(1, Relaxed);
        if outcome == Outcome::Answered {
            let micros = took.as_micros().try_into().unwrap_or(u64::MAX);
            self.buckets[BUCKETS.partition_point(|bound| *bound < micros)].fetch_add(1, Relaxed);
            self.micros.fetch_add(micros, Relaxed);
        }
    }

    /// How often this was asked and went so.
    pub fn get(&self, about: Asked, outcome: Outcome) -> u64 {
        self.counts[about as usize][outcome as usize].load(Relaxed)
    }

    /// The histogram of answers: each bucket alone, and microseconds in all.
    pub fn answers(&self) -> ([u64; BUCKETS.len() + 1], u64) {
        (self.buckets.each_ref().map(|bucket| bucket.load(Relaxed)), self.micros.load(Relaxed))
    }
}
