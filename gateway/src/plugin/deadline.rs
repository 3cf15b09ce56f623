//! Ends calls that use too much CPU time.
//!
//! The engine ticks once a millisecond, and a call hears of a tick at its next loop or function entry. A tick is wall
//! time, which is unfair to a call whose thread did not run: so the first tick only reads the thread's CPU clock, and
//! later ones compare. Most calls end before any tick and pay nothing.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Ticks come a little early as often as late; without this allowance half of all calls would get one more.
const SLACK: Duration = Duration::from_micros(100);

/// Why a call was ended.
#[derive(Debug, thiserror::Error)]
#[error("it used more than {} ms of CPU time", .0.as_millis())]
pub(super) struct OutOfTime(Duration);

/// Measures one call.
#[derive(Debug)]
pub(super) struct Meter {
    allowed: Duration,
    since: Option<Duration>,
}

impl Meter {
    pub(super) fn new(allowed: Duration) -> Meter {
        Meter { allowed, since: None }
    }

    /// Starts a call that may use so much CPU time.
    pub(super) fn restart(&mut self, allowed: Duration) {
        self.allowed = allowed;
        self.since = None;
    }

    /// What a tick means for the call: an error ends it.
    pub(super) fn tick(&mut self) -> Result<(), OutOfTime> {
        self.tick_at(thread_cpu_time())
    }

    fn tick_at(&mut self, cpu: Duration) -> Result<(), OutOfTime> {
        let since = *self.since.get_or_insert(cpu);
        let used = cpu.saturating_sub(since);
        if used > Duration::ZERO && used + SLACK >= self.allowed {
            return Err(OutOfTime(self.allowed));
        }
        Ok(())
    }
}

/// CPU time that this thread has used. A system call, unlike the clocks of wall time.
fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_call_that_computes_is_ended_after_its_deadline() {
        let mut meter = Meter::new(3 * MS);
        assert!(meter.tick_at(10 * MS).is_ok());
        assert!(meter.tick_at(11 * MS).is_ok());
        assert!(meter.tick_at(12 * MS).is_ok());
        assert!(meter.tick_at(13 * MS).is_err());
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_does_not_count() {
        let mut meter = Meter::new(MS);
        for _ in 0..1000 {
            assert!(meter.tick_at(10 * MS).is_ok());
        }
        assert!(meter.tick_at(11 * MS).is_err());
    }

    #[test]
    fn each_call_is_measured_from_its_own_start() {
        let mut meter = Meter::new(MS);
        assert!(meter.tick_at(10 * MS).is_ok());
        meter.restart(5 * MS);
        assert!(meter.tick_at(20 * MS).is_ok());
        assert!(meter.tick_at(22 * MS).is_ok());
    }

    #[test]
    fn the_clock_counts_work_of_this_thread() {
        let before = thread_cpu_time();
        let mut sum = 0u64;
        while thread_cpu_time() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(thread_cpu_time() > before);
    }
}
