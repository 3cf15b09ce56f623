//! How many requests a pool can have in flight before they only wait for each other, found from latencies alone.
//!
//! The idea is that of Netflix's Gradient2 and of Envoy's adaptive concurrency: as long as a request takes what it took
//! when nodes had little to do, more may be in flight; as it takes longer, fewer. Each window of time one step: the limit
//! times the gradient (what a request takes unhurried, with some tolerance, over what it takes now), and the limit's
//! square root on top, which is the room in which the limit finds out that there is more.
//!
//! What a request takes unhurried cannot be seen while nodes are busy, and it changes: a new version is slower, a
//! database is not what it was. So every ten seconds, if the limit is in use, it is a third for one window, and what
//! requests take then is taken for unhurried. If the limit was too high, that is still too long, but less so than
//! before: some rounds later it is right. And if nodes are slow for a reason that is not their load, the limit comes back.
//!
//! A window counts its median: a few requests that are slow by themselves, or a few slow nodes, are no crowd.
//! Pure: time is an argument.

use std::time::{Duration, Instant};

/// Before anything is known; as in Netflix's limits.
const START: u32 = 20;
/// So much longer than unhurried counts as unhurried; as in Netflix's limits.
const TOLERANCE: f64 = 1.5;
/// One window takes at most so much of the limit: a short trouble leaves most of it.
const LEAST_GRADIENT: f64 = 0.5;
/// How much a window counts beside those before it, and how fast the unhurried latency follows them down.
const NEWEST: f64 = 0.3;
const FOLLOW: f64 = 0.2;
/// A window lasts so long at least, and until it has so many samples; without them it ends after a second.
const WINDOW: Duration = Duration::from_millis(100);
const ENOUGH: usize = 20;
const LONGEST_WINDOW: Duration = Duration::from_secs(1);
/// It also lasts so many times what a request takes: a step shows only in the requests that begin after it.
const LATENCIES: u32 = 4;
/// So many samples of a window are kept, the youngest: 1 KiB.
const KEPT: usize = 256;
/// How often it is found out anew what a request takes unhurried; at least so many times what it takes, to bound the cost.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBE_LATENCIES: u32 = 100;
/// So many times what a request takes a probe waits before it counts, until most requests from before it are over. (To
/// count those alone that began with it would count the short ones first.)
const SETTLING: u32 = 3;
/// With the limit divided by this. Twice the tolerance: a limit that is too high is halved each time, until it is right.
const PROBE: f64 = 3.0;

/// Between what the limit may be; `min` is 1 at least and not above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRange {
    /// It never falls below this.
    pub min: u32,
    /// It never rises above this.
    pub max: u32,
}

impl LimitRange {
    /// The limit before anything is known.
    pub(super) fn start(self) -> u32 {
        START.clamp(self.min, self.max)
    }
}

/// The limit and what it is found from.
#[derive(Debug, Default)]
pub struct Gradient {
    /// 0 before the first sample.
    limit: f64,
    /// What a request takes unhurried, in microseconds; 0 if unknown.
    unhurried: f64,
    /// What it took of late, likewise.
    recent: f64,
    window: Window,
    /// During a probe: from when on it counts.
    probe: Option<Instant>,
    /// None: as soon as the limit is in use.
    next_probe: Option<Instant>,
}

#[derive(Debug, Default)]
struct Window {
    start: Option<Instant>,
    latencies: Vec<u32>,
    count: usize,
    /// The most that were in flight.
    busiest: u32,
}

impl Gradient {
    /// Counts an attempt that took so long to its response head (or to its timeout), and that began when, with itself,
    /// so many were in flight. Some: the limit is this now.
    pub fn observe(
        &mut self,
        latency: Duration,
        in_flight: u32,
        range: LimitRange,
        now: Instant,
    ) -> Option<u32> {
        if self.limit == 0.0 {
            self.limit = f64::from(range.start());
        }
        if self.probe.is_some_and(|settled| now < settled) {
            return None;
        }
        self.window.add(latency, in_flight, now);
        let (median, busiest) = self.window.end(now)?;
        self.step(median, busiest, now);
        self.limit = self.limit.clamp(f64::from(range.min), f64::from(range.max));
        Some(self.allowed(range))
    }

    fn allowed(&self, range: LimitRange) -> u32 {
        let limit = if self.probe.is_some() { self.limit / PROBE } else { self.limit };
        (limit as u32).clamp(range.min, range.max)
    }

    fn step(&mut self, median: f64, busiest: u32, now: Instant) {
        if self.probe.take().is_some() {
            self.unhurried = median;
            self.next_probe = Some(now + PROBE_EVERY.max(micros(median) * PROBE_LATENCIES));
            return;
        }
        if self.recent == 0.0 {
            (self.recent, self.unhurried) = (median, median);
        }
        self.recent += (median - self.recent) * NEWEST;
        if self.recent < self.unhurried {
            self.unhurried += (self.recent - self.unhurried) * FOLLOW;
        }
        // With so few in flight it is not the limit that holds them back: nothing is learned of it.
        if f64::from(busiest) * 2.0 < self.limit {
            return;
        }
        if self.next_probe.is_none_or(|next| now >= next) {
            self.probe = Some(now + micros(self.recent) * SETTLING);
            return;
        }
        let gradient = (TOLERANCE * self.unhurried / self.recent).clamp(LEAST_GRADIENT, 1.0);
        self.limit = self.limit * gradient + self.limit.sqrt();
    }
}

fn micros(latency: f64) -> Duration {
    Duration::from_micros(latency as u64)
}

impl Window {
    fn add(&mut self, latency: Duration, in_flight: u32, now: Instant) {
        self.start.get_or_insert(now);
        let micros = latency.as_micros().clamp(1, u128::from(u32::MAX)) as u32;
        if self.latencies.len() < KEPT {
            self.latencies.push(micros);
        } else {
            self.latencies[self.count % KEPT] = micros;
        }
        self.count += 1;
        self.busiest = self.busiest.max(in_flight);
    }

    /// If the window is over, its median latency and the most that were in flight; the next one begins.
    fn end(&mut self, now: Instant) -> Option<(f64, u32)> {
        let age = now.saturating_duration_since(self.start?);
        if age < WINDOW || (self.count < ENOUGH && age < LONGEST_WINDOW) {
            return None;
        }
        let middle = self.latencies.len() / 2;
        let (_, median, _) = self.latencies.select_nth_unstable(middle);
        if age < micros(f64::from(*median)) * LATENCIES {
            return None;
        }
        let seen = (f64::from(*median), self.busiest);
        self.latencies.clear();
        (self.start, self.count, self.busiest) = (None, 0, 0);
        Some(seen)
    }
}

#[cfg(test)]
mod tests;
