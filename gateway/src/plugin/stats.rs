//! What a use did: calls, faults and swaps. It survives every version of the plugin and of its configuration.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::FaultKind;
use super::module::Role;

/// A fault is logged at most so often for a use; the others are only counted.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// One use's numbers.
#[derive(Debug, Default)]
pub struct UseStats {
    workers: Mutex<Vec<Arc<Calls>>>,
    faults: [[AtomicU64; FaultKind::ALL.len()]; Role::ALL.len()],
    swaps: AtomicU64,
    lines_dropped: AtomicU64,
    last_logged: Mutex<Option<(Instant, u64)>>,
}

/// Calls that one worker made: written by it alone, so that no cache line is shared on the request path.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Calls([AtomicU64; Role::ALL.len()]);

impl Calls {
    pub(super) fn count(&self, role: Role) {
        let calls = &self.0[role as usize];
        // Not fetch_add: there is one writer, and this needs no locked instruction.
        calls.store(calls.load(Relaxed) + 1, Relaxed);
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
        workers.iter().map(|calls| calls.0[role as usize].load(Relaxed)).sum()
    }

    /// Calls of a role that failed in this way.
    pub fn faults(&self, role: Role, kind: FaultKind) -> u64 {
        self.faults[role as usize][kind as usize].load(Relaxed)
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

    /// Log lines that were dropped since the plugin wrote too many in a call.
    pub fn lines_dropped(&self) -> u64 {
        self.lines_dropped.load(Relaxed)
    }

    pub(super) fn count_dropped_lines(&self, lines: u32) {
        self.lines_dropped.fetch_add(u64::from(lines), Relaxed);
    }

    /// Counts a fault. If it is one to log, answers how many were not logged since the last that was.
    pub(crate) fn count_fault(&self, role: Role, kind: FaultKind, now: Instant) -> Option<u64> {
        self.faults[role as usize][kind as usize].fetch_add(1, Relaxed);
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
}
