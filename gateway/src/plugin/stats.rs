//! What a use did: calls, faults, swaps, starts. It survives every version of the plugin and of its configuration.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::caps::{Cap, Caps};
use super::fault::FaultKind;
use super::module::Role;
use super::quarantine::Step;

/// A fault is logged at most so often for a use; the others are only counted.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// Lines that a use may log in a second, on all workers. Chosen: what a person could still page through.
const MOST_LINES: u64 = 1_000;

/// One use's numbers.
#[derive(Debug, Default)]
pub struct UseStats {
    workers: Mutex<Vec<Arc<Calls>>>,
    faults: [[AtomicU64; FaultKind::ALL.len()]; Role::ALL.len()],
    swaps: AtomicU64,
    abandoned: AtomicU64,
    pub(super) caps: Caps,
    starts: [AtomicU64; Start::ALL.len()],
    recycled: [AtomicU64; Worn::ALL.len()],
    steps: [AtomicU64; Step::ALL.len()],
    last_logged: Mutex<Option<(Instant, u64)>>,
    lines: Mutex<Option<(Instant, u64)>>,
}

/// When an instance came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a call, which waited for it.
    InCall,
    /// Between calls.
    Ahead,
    /// Earlier: a spare took over in a call.
    Spare,
}

impl Start {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Start; 3] = [Start::InCall, Start::Ahead, Start::Spare];

    /// The word in metrics and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Start::InCall => "in_call",
            Start::Ahead => "ahead",
            Start::Spare => "spare",
        }
    }
}

/// Why an instance gave way to a fresh one without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worn {
    /// It made its number of calls.
    Calls,
    /// Its memory grew above the mark.
    Memory,
}

impl Worn {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Worn; 2] = [Worn::Calls, Worn::Memory];

    /// The word in metrics and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Worn::Calls => "calls",
            Worn::Memory => "memory",
        }
    }
}

/// Calls that one worker made: written by it alone, so that no cache line is shared on the request path.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Calls {
    made: [AtomicU64; Role::ALL.len()],
    withheld: AtomicU64,
}

impl Calls {
    pub(super) fn count(&self, role: Role) {
        let calls = &self.made[role as usize];
        // Not fetch_add: there is one writer, and this needs no locked instruction.
        calls.store(calls.load(Relaxed) + 1, Relaxed);
    }

    /// Counts a call that was not made since the use is in quarantine.
    pub(super) fn withhold(&self) {
        self.withheld.store(self.withheld.load(Relaxed) + 1, Relaxed);
    }

    /// All calls of this worker so far.
    pub(super) fn all(&self) -> u64 {
        self.made.iter().map(|calls| calls.load(Relaxed)).sum()
    }
}

impl UseStats {
    /// A worker's own counters. Those of workers' instances that are gone are given out again, with their counts.
    pub(super) fn worker(&self) -> Arc<Calls> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = workers.iter().find(|calls| Arc::strong_count(calls) == 1) {
            return Arc::clone(free);
        }
        let calls = Arc::new(Calls::default());
        workers.push(Arc::clone(&calls));
        calls
    }

    /// Calls of a role, on all workers.
    pub fn calls(&self, role: Role) -> u64 {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().map(|calls| calls.made[role as usize].load(Relaxed)).sum()
    }

    /// Calls that were not made since the use was in quarantine.
    pub fn withheld(&self) -> u64 {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().map(|calls| calls.withheld.load(Relaxed)).sum()
    }

    /// Calls of a role that failed in this way.
    pub fn faults(&self, role: Role, kind: FaultKind) -> u64 {
        self.faults[role as usize].get(kind as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Calls that failed, in any role and way.
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().flatten().map(|count| count.load(Relaxed)).sum()
    }

    /// Times that a new version or configuration took over.
    pub fn swaps(&self) -> u64 {
        self.swaps.load(Relaxed)
    }

    /// Counts a new version or configuration that took over.
    pub fn count_swap(&self) {
        self.swaps.fetch_add(1, Relaxed);
    }

    /// Calls that nobody waited for to the end: the client was gone, or its time was over.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Relaxed)
    }

    pub(super) fn count_abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    /// Times that a bound held.
    pub fn capped(&self, cap: Cap) -> u64 {
        self.caps.get(cap)
    }

    /// Instances that came to be in this way.
    pub fn starts(&self, start: Start) -> u64 {
        self.starts[start as usize].load(Relaxed)
    }

    pub(super) fn count_start(&self, start: Start) {
        self.starts[start as usize].fetch_add(1, Relaxed);
    }

    /// Instances that gave way for this reason.
    pub fn recycled(&self, worn: Worn) -> u64 {
        self.recycled[worn as usize].load(Relaxed)
    }

    pub(super) fn count_recycled(&self, worn: Worn) {
        self.recycled[worn as usize].fetch_add(1, Relaxed);
    }

    /// Steps of this kind that the quarantines of all versions took.
    pub fn quarantine_steps(&self, step: Step) -> u64 {
        self.steps[step as usize].load(Relaxed)
    }

    pub(super) fn count_step(&self, step: Step) {
        self.steps[step as usize].fetch_add(1, Relaxed);
    }

    /// Whether one more line may be logged now. Writing it costs far more than this lock.
    pub(super) fn may_log(&self, now: Instant) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *lines {
            Some((since, written)) if now.saturating_duration_since(*since) < LOG_EVERY => {
                *written += 1;
                *written <= MOST_LINES
            }
            other => {
                *other = Some((now, 1));
                true
            }
        }
    }

    /// Counts a fault. If it is one to log, answers how many were not logged since the last that was.
    pub(crate) fn count_fault(&self, role: Role, kind: FaultKind, now: Instant) -> Option<u64> {
        if let Some(count) = self.faults[role as usize].get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
        let mut last = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((at, silent)) if now.saturating_duration_since(*at) < LOG_EVERY => {
                *silent += 1;
                None
            }
            other => Some(other.replace((now, 0)).map_or(0, |(_, silent)| silent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_workers_that_are_gone_stay() {
        let stats = UseStats::default();
        let first = stats.worker();
        first.count(Role::Balancer);
        let second = stats.worker();
        second.count(Role::Balancer);
        drop(first);
        stats.worker().count(Role::Balancer);
        assert_eq!(stats.calls(Role::Balancer), 3);
        assert_eq!(stats.workers.lock().map(|workers| workers.len()).ok(), Some(2));
    }

    #[test]
    fn one_fault_a_second_is_logged_and_tells_of_the_others() {
        let stats = UseStats::default();
        let now = Instant::now();
        let fault = |after_ms| {
            stats.count_fault(Role::Filter, FaultKind::Trap, now + Duration::from_millis(after_ms))
        };
        assert_eq!(fault(0), Some(0));
        assert_eq!(fault(1), None);
        assert_eq!(fault(999), None);
        assert_eq!(fault(1000), Some(2));
        assert_eq!(stats.faults(Role::Filter, FaultKind::Trap), 4);
        assert_eq!(stats.all_faults(), 4);
    }

    #[test]
    fn so_many_lines_a_second_are_logged() {
        let stats = UseStats::default();
        let now = Instant::now();
        let written = (0..MOST_LINES + 5).filter(|_| stats.may_log(now)).count();
        assert_eq!(written as u64, MOST_LINES);
        assert!(stats.may_log(now + LOG_EVERY));
    }
}
