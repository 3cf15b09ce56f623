//! Ends calls that use too much CPU time.
//!
//! The engine ticks once a millisecond, and a call hears of a tick at its next loop or function entry. A tick is wall
//! time, which is unfair to a call whose thread did not run: so the first tick only reads the thread's CPU clock, and
//! later ones compare. Most calls end before any tick and pay nothing. A call that hears of a tick asks for the next
//! one when it needs it.
//!
//! What a call used before its first tick is not known: up to one tick. So by what is known it is ended half a tick before
//! its deadline, which by what is true is half a tick before it or after it: a call that needs half a millisecond less than its
//! deadline is never ended, and the event loop comes back half a millisecond after it. Where the ticking thread
//! itself is not scheduled, ticks are late, and so is the end.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time between two ticks that nobody asks for. Waking a thread takes 12 to 21 us on a virtual machine (measured), so this
/// is 1 to 2 % of a core, and ticking twice as often was 2.4 to 3.3 %.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Half of what is not known of a call.
const DOUBT: Duration = Duration::from_micros(500);

/// Why a call was ended.
#[derive(Debug, thiserror::Error)]
#[error("it used up its {} of CPU time", Milliseconds(*.0))]
pub(super) struct OutOfTime(Duration);

/// A duration in milliseconds, with a fraction if there is one.
struct Milliseconds(Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ms", self.0.as_secs_f64() * 1e3)
    }
}

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

    /// What a tick means for the call: an error ends it. When the next one is wanted, if that is early.
    pub(super) fn tick(&mut self) -> Result<Option<Duration>, OutOfTime> {
        self.tick_at(thread_cpu_time())
    }

    fn tick_at(&mut self, cpu: Duration) -> Result<Option<Duration>, OutOfTime> {
        let since = *self.since.get_or_insert(cpu);
        let used = cpu.saturating_sub(since);
        match self.allowed.saturating_sub(used + DOUBT) {
            Duration::ZERO if used > Duration::ZERO => Err(OutOfTime(self.allowed)),
            left => Ok((left < TICK).then_some(left)),
        }
    }
}

/// CPU time that this thread has used. A system call, unlike the clocks of wall time.
pub(super) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_call_that_computes_is_ended_half_a_millisecond_before_its_deadline_by_what_is_known() {
        let mut meter = Meter::new(3 * MS);
        assert_eq!(meter.tick_at(10 * MS).ok(), Some(None));
        assert_eq!(meter.tick_at(11 * MS).ok(), Some(None));
        assert_eq!(meter.tick_at(12 * MS).ok(), Some(Some(MS / 2)), "the last tick is asked for");
        assert_eq!(meter.tick_at(12 * MS + MS / 4).ok(), Some(Some(MS / 4)), "it came early");
        assert!(meter.tick_at(12 * MS + MS / 2).is_err());
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_does_not_count() {
        let mut meter = Meter::new(MS);
        for _ in 0..1000 {
            assert!(meter.tick_at(10 * MS).is_ok());
        }
        assert!(meter.tick_at(10 * MS + MS / 2).is_err());
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
    fn a_deadline_shorter_than_a_tick_still_lets_a_call_begin() {
        let mut meter = Meter::new(MS / 10);
        assert!(meter.tick_at(10 * MS).is_ok());
        assert!(meter.tick_at(10 * MS).is_ok());
        assert!(meter.tick_at(11 * MS).is_err());
    }

    #[test]
    fn words_tell_the_deadline() {
        assert_eq!(OutOfTime(MS).to_string(), "it used up its 1 ms of CPU time");
        assert_eq!(OutOfTime(MS * 3 / 2).to_string(), "it used up its 1.5 ms of CPU time");
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
