//! A node's live state: a few atomics that every worker writes and any policy may read.
//!
//! Relaxed atomics and no lock: readers want numbers that are about right now, not a consistent picture. Time is an
//! argument, so averages can be tested in virtual time. It counts; it never decides whether a node is healthy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Node;
use super::average::{ErrorRate, PeakLatency};
use super::signals::Signals;

/// A load report of a node is taken so many milliseconds after the one before, at the earliest.
const REPORT_PAUSE: u32 = 100;
/// So many requests in flight have their age watched: one cache line of them.
const WATCHED: usize = 16;
/// A slot of [`Live::starts`] that watches no request.
const FREE: u32 = 0;

/// Counters and averages of one node, as this gateway sees it.
#[derive(Debug)]
pub struct Live {
    hot: Hot,
    starts: Starts,
    signals: Signals,
    /// When its last load report was taken; 0 if none was.
    reported: AtomicU32,
    /// Averages and ages count their milliseconds from here.
    born: Instant,
}

/// What every attempt writes: one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    in_flight: AtomicU32,
    latency: PeakLatency,
    errors: ErrorRate,
    attempts: AtomicU64,
    failures: AtomicU64,
}

/// When requests in flight started, in milliseconds since the node's birth: another cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Starts([AtomicU32; WATCHED]);

/// What policies weigh of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests in flight, from this gateway.
    pub in_flight: u32,
    /// Peak-sensitive moving average of the time to the response head, in microseconds; 0 if unknown.
    pub latency: u32,
    /// Moving average of the share of attempts that failed or were answered with 5xx, in thousandths.
    pub error_rate: u32,
    /// Age of the oldest request in flight, in microseconds, to the millisecond; 0 if there is none. While more than
    /// 16 are in flight the youngest are not watched, so now and then it is a little too young.
    pub oldest: u32,
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// A node of which nothing is known.
    pub fn new() -> Live {
        Live {
            hot: Hot::default(),
            starts: Starts::default(),
            signals: Signals::default(),
            reported: AtomicU32::new(0),
            born: Instant::now(),
        }
    }

    /// All that policies weigh, at once: the clock is converted once.
    pub fn seen(&self, now: Instant) -> Seen {
        let (now, in_flight) = (self.millis(now), self.in_flight());
        Seen {
            in_flight,
            latency: self.hot.latency.get(now),
            error_rate: self.hot.errors.get(now),
            oldest: if in_flight == 0 { 0 } else { self.starts.oldest(now) },
        }
    }

    /// Requests in flight now, from this gateway.
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// See [`Seen::latency`].
    pub fn latency(&self, now: Instant) -> u32 {
        self.hot.latency.get(self.millis(now))
    }

    /// See [`Seen::error_rate`].
    pub fn error_rate(&self, now: Instant) -> u32 {
        self.hot.errors.get(self.millis(now))
    }

    /// See [`Seen::oldest`].
    pub fn oldest(&self, now: Instant) -> u32 {
        self.seen(now).oldest
    }

    /// A number about this node that was set under this name, unless it expired.
    pub fn signal(&self, name: &str, now: Instant) -> Option<f64> {
        self.signals.get(name, now)
    }

    /// Sets a number about this node for a time; see [`Signals::set`] for when it answers false.
    pub fn set_signal(&self, name: &str, value: f64, ttl: Duration, now: Instant) -> bool {
        self.signals.set(name, value, ttl, now)
    }

    /// All such numbers, by name.
    pub fn signals(&self, now: Instant) -> BTreeMap<String, f64> {
        self.signals.all(now)
    }

    /// Whether a load report of this node is to be taken now: ten times a second, by whoever asks first.
    pub fn may_report(&self, now: Instant) -> bool {
        let (now, last) = (self.millis(now).max(1), self.reported.load(Relaxed));
        (last == 0 || age(now, last) >= REPORT_PAUSE)
            && self.reported.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }

    /// Attempts since the node is known.
    pub fn attempts(&self) -> u64 {
        self.hot.attempts.load(Relaxed)
    }

    /// Attempts of these that failed or were answered with 5xx.
    pub fn failures(&self) -> u64 {
        self.hot.failures.load(Relaxed)
    }

    fn millis(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.born);
        // Wraps after 49 days, which `age` allows for.
        (age.as_secs() as u32).wrapping_mul(1000).wrapping_add(age.subsec_millis())
    }
}

impl Starts {
    /// Takes a free slot to watch a request's age. The search starts where there is likely one.
    fn watch(&self, in_flight: u32, now: u32) -> Option<u8> {
        let start = now.max(FREE + 1);
        (0..WATCHED)
            .map(|step| (in_flight as usize + step) % WATCHED)
            .find(|&slot| self.0[slot].compare_exchange(FREE, start, Relaxed, Relaxed).is_ok())
            .map(|slot| slot as u8)
    }

    /// The age of the oldest request that is watched, in microseconds.
    fn oldest(&self, now: u32) -> u32 {
        let starts = self.0.iter().map(|slot| slot.load(Relaxed));
        // A free slot's age is as good as none.
        let ages = starts.map(|start| if start == FREE { 0 } else { age(now, start) });
        ages.max().unwrap_or(0).saturating_mul(1000)
    }
}

/// Milliseconds from `then` to `now`; 0 if another worker's clock is ahead of this one's.
pub(super) fn age(now: u32, then: u32) -> u32 {
    (now.wrapping_sub(then) as i32).max(0) as u32
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The node answered, and not with 5xx.
    Ok,
    /// The node answered with 5xx.
    ServerError,
    /// The node did not answer.
    Failed,
}

/// One request in flight on a node: taken back when dropped, so that no path can leak a count.
#[derive(Debug)]
pub struct InFlight {
    node: Arc<Node>,
    started: Instant,
    slot: Option<u8>,
    observed: bool,
}

impl InFlight {
    pub(super) fn begin(node: Arc<Node>, now: Instant) -> InFlight {
        let others = node.live.hot.in_flight.fetch_add(1, Relaxed);
        InFlight::counted(node, others, now)
    }

    pub(super) fn begin_below(node: &Arc<Node>, most: u32, now: Instant) -> Option<InFlight> {
        let one_more = |in_flight| (in_flight < most).then(|| in_flight + 1);
        let others = node.live.hot.in_flight.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(InFlight::counted(Arc::clone(node), others, now))
    }

    /// One that was added to the count of `others`.
    fn counted(node: Arc<Node>, others: u32, now: Instant) -> InFlight {
        let live = &node.live;
        live.hot.attempts.fetch_add(1, Relaxed);
        let slot = live.starts.watch(others, live.millis(now));
        InFlight { node, started: now, slot, observed: false }
    }

    /// The node that it is in flight on.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// When the attempt began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Tells how the attempt went, once: when the response head arrived or the attempt failed. Later calls are
    /// ignored. An attempt that nobody waited for (the client left) is dropped without a word.
    pub fn observe(&mut self, now: Instant, result: AttemptResult) {
        if std::mem::replace(&mut self.observed, true) {
            return;
        }
        let live = &self.node.live;
        let micros = now.saturating_duration_since(self.started).as_micros();
        let micros = micros.clamp(1, u128::from(u32::MAX)) as u32;
        let millis = live.millis(now);
        live.hot.errors.attempt(result != AttemptResult::Ok, millis);
        if result == AttemptResult::Ok {
            live.hot.latency.sample(micros, millis);
        } else {
            live.hot.failures.fetch_add(1, Relaxed);
            live.hot.latency.failure(micros, millis);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let live = &self.node.live;
        if let Some(slot) = self.slot {
            live.starts.0[usize::from(slot)].store(FREE, Relaxed);
        }
        live.hot.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
