//! A node's live state: a few atomics that every worker writes and any policy may read.
//!
//! Relaxed atomics and no lock: readers want numbers that are about right now, not a consistent picture. Time is an
//! argument, so averages can be tested in virtual time. It counts; it never decides whether a node is healthy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::Node;
use super::average::{ErrorRate, PeakLatency, ServiceTime};
use super::signals::Signals;

mod lookout;
mod waits;

use lookout::Lookout;
pub use lookout::{Bell, Streak};
pub use waits::Tally;
use waits::Waits;

/// A load report of a node is taken so many milliseconds after the one before, at the earliest.
const REPORT_PAUSE: u32 = 100;

/// Counters and averages of one node, as this gateway sees it.
#[derive(Debug)]
pub struct Live {
    hot: Hot,
    waits: Waits,
    lookout: Lookout,
    signals: Signals,
    /// Of the requests in flight, those that became tunnels.
    tunnels: AtomicU32,
    /// When its last load report was taken; 0 if none was.
    reported: AtomicU32,
    /// Averages and ages count their milliseconds from here.
    born: Moment,
}

/// What every attempt writes: one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    in_flight: AtomicU32,
    latency: PeakLatency,
    service: ServiceTime,
    errors: ErrorRate,
    attempts: AtomicU64,
    failures: AtomicU64,
}

/// What policies weigh of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests in flight, from this gateway.
    pub in_flight: u32,
    /// Peak-sensitive moving average of the time to the response head, in microseconds; 0 if unknown.
    pub latency: u32,
    /// Moving average of the share of attempts that failed or were answered with 5xx, in thousandths.
    pub error_rate: u32,
    /// Age of the oldest request that still waits for its response's head, in microseconds, to the millisecond; 0 if
    /// there is none. While more than 12 wait the youngest are not watched, so now and then it is a little too young.
    pub oldest: u32,
}

/// What a policy weighs of a node that compares when a request would be served. See [`Seen`] and [`Live::service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Requests in flight, from this gateway.
    pub in_flight: u32,
    /// The time that one request takes there, queues aside, in microseconds; 0 if unknown.
    pub service: u32,
    /// See [`Seen::oldest`].
    pub oldest: u32,
    /// See [`Seen::error_rate`].
    pub error_rate: u32,
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
            waits: Waits::default(),
            lookout: Lookout::default(),
            signals: Signals::default(),
            tunnels: AtomicU32::new(0),
            reported: AtomicU32::new(0),
            born: Instant::now().into(),
        }
    }

    /// All that policies weigh, at once: the clock is converted once.
    pub fn seen(&self, now: Instant) -> Seen {
        let (now, in_flight) = (self.millis(now), self.in_flight());
        Seen {
            in_flight,
            latency: self.hot.latency.get(now),
            error_rate: self.hot.errors.get(now),
            oldest: if in_flight == 0 { 0 } else { self.waits.oldest(now) },
        }
    }

    /// What is weighed of when a request would be served. Without the latency, which costs an exponential to age.
    pub fn pace(&self, now: Moment) -> Pace {
        let (now, in_flight) = (self.since_born(now), self.in_flight());
        Pace {
            in_flight,
            service: self.hot.service.get(now),
            oldest: if in_flight == 0 { 0 } else { self.waits.oldest(now) },
            error_rate: self.hot.errors.get(now),
        }
    }

    /// Requests in flight now, from this gateway.
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// Tunnels that are open now, from this gateway. Each is a request in flight, too.
    pub fn tunnels(&self) -> u32 {
        self.tunnels.load(Relaxed)
    }

    /// See [`Seen::latency`].
    pub fn latency(&self, now: Instant) -> u32 {
        self.hot.latency.get(self.millis(now))
    }

    /// Moving average of the time that one request takes there, queues aside, in microseconds; 0 if unknown. Not in
    /// [`Seen`], since most policies do not weigh it.
    pub fn service(&self, now: Instant) -> u32 {
        self.hot.service.get(self.millis(now))
    }

    /// See [`Seen::error_rate`].
    pub fn error_rate(&self, now: Instant) -> u32 {
        // Most nodes never failed, and the clock need not be converted to say so.
        if self.hot.errors.is_none() { 0 } else { self.hot.errors.get(self.millis(now)) }
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

    /// What attempts came to since the node is known, for control to compare with later.
    pub fn tally(&self) -> Tally {
        self.waits.tally(self.failures())
    }

    /// How many requests have waited at least so long for their response's head; never more than 12.
    pub fn waiting(&self, at_least: Duration, now: Instant) -> u32 {
        self.waits.longer_than(at_least, self.millis(now))
    }

    /// The failures in a row.
    pub fn streak(&self) -> Streak {
        self.lookout.streak()
    }

    /// Rings this bell from now on when that many attempts in a row fail. The first bell stays.
    pub fn ring_at(&self, bell: &Arc<Bell>, limits: Streak) {
        self.lookout.ring_at(bell, limits);
    }

    /// Tells the requests that wait for this node now that it was taken out since it answers nothing.
    pub fn forsake(&self, now: Instant) {
        self.lookout.forsake(self.millis(now));
    }

    /// Forgets the failures in a row; those of attempts that began before `now` do not count any more.
    pub fn begin_anew(&self, now: Instant) {
        self.lookout.begin_anew(self.millis(now));
    }

    fn millis(&self, now: Instant) -> u32 {
        self.since_born(now.into())
    }

    fn since_born(&self, now: Moment) -> u32 {
        now.0.wrapping_sub(self.born.0)
    }
}

/// A moment that is converted once for all nodes that are looked at: milliseconds since this process had its first node.
/// They wrap after 49 days, which whoever compares two of them allows for.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u32);

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Moment {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let since = instant.saturating_duration_since(*FIRST);
        Moment((since.as_secs() as u32).wrapping_mul(1000).wrapping_add(since.subsec_millis()))
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
    /// No connection could be made.
    Unreachable,
    /// The node did not answer: it closed, was late, or could not be understood.
    Failed,
}

/// One request in flight on a node: taken back when dropped, so that no path can leak a count.
#[derive(Debug)]
pub struct InFlight {
    node: Arc<Node>,
    started: Instant,
    /// Requests that were in flight already.
    others: u32,
    slot: Option<u8>,
    observed: bool,
    is_tunnel: bool,
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
        let slot = live.waits.watch(others, live.millis(now));
        InFlight { node, started: now, others, slot, observed: false, is_tunnel: false }
    }

    /// The node that it is in flight on.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// When the attempt began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether the node was taken out for its silence since the attempt began.
    pub fn is_forsaken(&self) -> bool {
        self.node.live.lookout.is_forsaken(self.node.live.millis(self.started))
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
        self.stop_waiting();
        let live = &self.node.live;
        live.hot.errors.attempt(result != AttemptResult::Ok, millis);
        live.hot.service.sample(micros, self.others, result != AttemptResult::Ok, millis);
        if result == AttemptResult::Ok {
            live.hot.latency.sample(micros, millis);
            live.waits.answered(micros);
            live.lookout.succeeded();
        } else {
            live.hot.failures.fetch_add(1, Relaxed);
            live.hot.latency.failure(micros, millis);
            live.lookout.failed(result == AttemptResult::Unreachable, live.millis(self.started));
        }
    }

    /// The node agreed to another protocol: from now on it is a tunnel.
    pub fn became_tunnel(&mut self) {
        if !std::mem::replace(&mut self.is_tunnel, true) {
            self.node.live.tunnels.fetch_add(1, Relaxed);
        }
    }

    /// Tells that another node answered this request first. It would have taken longer than until now, so policies do not
    /// take the node for faster than it is; and it did not fail.
    pub fn overtaken(mut self, now: Instant) {
        let micros = now.saturating_duration_since(self.started).as_micros();
        let micros = micros.clamp(1, u128::from(u32::MAX)) as u32;
        self.observed = true;
        let live = &self.node.live;
        live.hot.latency.at_least(micros, live.millis(now));
    }

    fn stop_waiting(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.node.live.waits.free(slot);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.stop_waiting();
        if self.is_tunnel {
            self.node.live.tunnels.fetch_sub(1, Relaxed);
        }
        self.node.live.hot.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
