//! Requests that wait for a response's head, and what came of those that did: one cache line, written when an attempt
//! begins and when its head is there.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::age;

/// So many requests have their age watched: what the cache line holds beside the two sums.
const WATCHED: usize = 12;
/// A slot that watches no request.
const FREE: u32 = 0;

/// When requests that wait began to, in milliseconds since the node's birth, and the sums of those that were answered.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Waits {
    starts: [AtomicU32; WATCHED],
    micros: AtomicU64,
    answers: AtomicU32,
}

/// What attempts came to since a node is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good answers; it wraps, so only differences tell something.
    pub answers: u32,
    /// The sum of their latencies, in microseconds.
    pub micros: u64,
    /// Attempts that failed or were answered with 5xx.
    pub failures: u64,
}

impl Tally {
    /// What was added since `earlier`.
    pub fn since(self, earlier: Tally) -> Tally {
        Tally {
            answers: self.answers.wrapping_sub(earlier.answers),
            micros: self.micros.wrapping_sub(earlier.micros),
            failures: self.failures.wrapping_sub(earlier.failures),
        }
    }
}

impl Waits {
    /// Takes a free slot to watch a request's age. The search starts where there is likely one.
    pub(super) fn watch(&self, in_flight: u32, now: u32) -> Option<u8> {
        let start = now.max(FREE + 1);
        (0..WATCHED)
            .map(|step| (in_flight as usize + step) % WATCHED)
            .find(|&slot| self.starts[slot].compare_exchange(FREE, start, Relaxed, Relaxed).is_ok())
            .map(|slot| slot as u8)
    }

    /// Gives a slot back.
    pub(super) fn free(&self, slot: u8) {
        self.starts[usize::from(slot)].store(FREE, Relaxed);
    }

    /// Counts a good answer.
    pub(super) fn answered(&self, micros: u32) {
        self.answers.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::from(micros), Relaxed);
    }

    pub(super) fn tally(&self, failures: u64) -> Tally {
        Tally { answers: self.answers.load(Relaxed), micros: self.micros.load(Relaxed), failures }
    }

    /// The age of the oldest request that is watched, in microseconds.
    pub(super) fn oldest(&self, now: u32) -> u32 {
        self.ages(now).max().unwrap_or(0).saturating_mul(1000)
    }

    /// How many of those that are watched have waited so long.
    pub(super) fn longer_than(&self, at_least: Duration, now: u32) -> u32 {
        let at_least = u32::try_from(at_least.as_millis()).unwrap_or(u32::MAX).max(1);
        self.ages(now).filter(|&age| age >= at_least).count() as u32
    }

    /// A free slot's age is as good as none.
    fn ages(&self, now: u32) -> impl Iterator<Item = u32> {
        let starts = self.starts.iter().map(|slot| slot.load(Relaxed));
        starts.map(move |start| if start == FREE { 0 } else { age(now, start) })
    }
}
