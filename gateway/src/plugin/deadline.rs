//! Ends calls that use too much CPU time.
//!
//! The engine ticks a little more often than once a millisecond, and a call hears of a tick at its next loop or function
//! entry. A tick is wall time, which is unfair to a call whose thread did not run: so a call that hears of one reads its
//! thread's CPU clock, and is ended only when that says so. Most calls end before any tick and read nothing. A call that
//! hears of a tick asks for the next one when it needs it.
//!
//! What a call used before its first tick is what the thread used since its clock was read before the call. To read it
//! at each call would cost more than the call, so a thread reads it about every 200 us of its CPU time ([`Reading`]), and a
//! call is charged what was used in between: it is ended a little before its deadline rather than after it. Where the
//! ticking thread itself is not scheduled, ticks are late, and so is the end.

use std::cell::Cell;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time between two ticks that nobody asks for. A call that begins just after one hears of the next with time left
/// for [`PROOF`] and for being late within the default deadline, 1 ms. Waking a thread takes 12 to 21 us on a virtual
/// machine (measured).
pub(super) const TICK: Duration = Duration::from_micros(800);
/// What passes from a tick that was asked for to the end of the call: 80 us, of which a quarter is the fault itself
/// (medians, measured). It is asked for so much earlier.
const LATE: Duration = Duration::from_micros(100);
/// CPU time that a call has to use after its first tick before it is ended. What its thread did before it may be charged
/// to it, and a short call must not pay for that however much it was.
const PROOF: Duration = Duration::from_micros(50);
/// CPU time after which a thread reads its clock again: what a call may be charged of others'. Reading takes 0.2 to
/// 0.8 us (measured), so this is at most 0.4 % of a worker.
const INTERVAL: Duration = Duration::from_micros(200);
/// The most calls between two readings, however short they were so far.
const MOST_CALLS: u32 = 1024;
/// A deadline shorter than this is worth a reading at each call.
const SHORT: Duration = Duration::from_millis(1);

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

thread_local! {
    static READING: Reading = const { Reading::new() };
}

/// What a thread's CPU clock said last.
struct Reading {
    cpu: Cell<Duration>,
    /// Ticks that there had been.
    ticks: Cell<u32>,
    /// Calls that may still begin before it is read again, and how many that were after the last reading.
    calls_left: Cell<u32>,
    calls: Cell<u32>,
}

impl Reading {
    const fn new() -> Reading {
        let (ticks, calls) = (Cell::new(0), Cell::new(0));
        Reading { cpu: Cell::new(Duration::ZERO), ticks, calls_left: Cell::new(0), calls }
    }

    /// A call begins. The clock is read if it is time for it: after so many calls as took [`INTERVAL`] of late, and after
    /// each tick, since much may have happened between two of them.
    #[inline]
    fn call(&self, ticks: u32, is_short: bool, clock: impl FnOnce() -> Duration) {
        let left = self.calls_left.get();
        if left == 0 || is_short || ticks != self.ticks.get() {
            self.read(ticks, clock());
        } else {
            self.calls_left.set(left - 1);
        }
    }

    #[cold]
    fn read(&self, ticks: u32, cpu: Duration) {
        let used = cpu.saturating_sub(self.cpu.replace(cpu)).max(Duration::from_nanos(1));
        let calls = self.calls.get() - self.calls_left.get() + 1;
        let calls = (u128::from(calls) * INTERVAL.as_nanos() / used.as_nanos()).min(u128::from(MOST_CALLS));
        // The call that begins now is the first of them.
        let more = (calls as u32).saturating_sub(1);
        self.ticks.set(ticks);
        self.calls.set(more);
        self.calls_left.set(more);
    }
}

/// Reads this thread's clock, for a call that goes on after it was suspended: what others used meanwhile is not its own.
pub(super) fn look(ticks: u32) {
    READING.with(|reading| reading.read(ticks, thread_cpu_time()));
}

/// Measures one call.
#[derive(Debug, Default)]
pub(super) struct Meter {
    allowed: Duration,
    /// What it used until it was suspended last.
    spent: Duration,
    /// What the clock said at some time before the call, and when it heard of its first tick.
    span: Option<(Duration, Duration)>,
}

impl Meter {
    /// Starts a call that may use so much CPU time, after so many ticks.
    pub(super) fn restart(&mut self, allowed: Duration, ticks: u32) {
        self.allowed = allowed;
        self.spent = Duration::ZERO;
        self.span = None;
        READING.with(|reading| reading.call(ticks, allowed < SHORT, thread_cpu_time));
    }

    /// The call is suspended. When it goes on, [`look`] has to be called before anything else.
    pub(super) fn pause(&mut self) {
        self.pause_at(thread_cpu_time(), || READING.with(|reading| reading.cpu.get()));
    }

    fn pause_at(&mut self, cpu: Duration, before: impl FnOnce() -> Duration) {
        let before = self.span.take().map_or_else(before, |(before, _)| before);
        self.spent += cpu.saturating_sub(before);
    }

    /// What a tick means for the call: an error ends it. When the next one is wanted, if that is early.
    pub(super) fn tick(&mut self) -> Result<Option<Duration>, OutOfTime> {
        self.tick_at(thread_cpu_time(), || READING.with(|reading| reading.cpu.get()))
    }

    fn tick_at(
        &mut self,
        cpu: Duration,
        before: impl FnOnce() -> Duration,
    ) -> Result<Option<Duration>, OutOfTime> {
        let (before, heard) = *self.span.get_or_insert_with(|| (before(), cpu));
        let late = LATE.min(self.allowed / 10);
        let used = self.spent + cpu.saturating_sub(before);
        let left = self.allowed.saturating_sub(used + late);
        // Behind a pause the clock was read just when it went on.
        let proof = if self.spent.is_zero() { PROOF } else { Duration::ZERO };
        let unproven = proof.saturating_sub(cpu.saturating_sub(heard));
        match left.max(unproven) {
            Duration::ZERO => Err(OutOfTime(self.allowed)),
            wait => Ok((wait < TICK).then_some(wait)),
        }
    }
}

/// CPU time that this thread has used. A system call, unlike the clocks of wall time.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const US: Duration = Duration::from_micros(1);
    const MS: Duration = Duration::from_millis(1);

    /// Ticks at these times of the CPU clock, of a call before which it was read at 10 ms: when each wants the next.
    fn ticks<const N: usize>(allowed: Duration, at: [Duration; N]) -> [Option<Option<Duration>>; N] {
        let mut meter = Meter { allowed, ..Meter::default() };
        at.map(|at| meter.tick_at(10 * MS + at, || 10 * MS).ok())
    }

    #[test]
    fn a_call_that_computes_is_ended_at_its_deadline() {
        let wanted = ticks(3 * MS, [MS, 2 * MS, 2 * MS + 200 * US, 3 * MS - LATE]);
        assert_eq!(wanted[0], Some(None), "the next comes by itself");
        assert_eq!(wanted[1], Some(None));
        assert_eq!(
            wanted[2],
            Some(Some(800 * US - LATE)),
            "the last one is asked for, and that it may be late"
        );
        assert_eq!(wanted[3], None);
    }

    #[test]
    fn what_it_used_before_its_first_tick_counts() {
        assert_eq!(ticks(MS, [MS / 4]), [Some(Some(750 * US - LATE))]);
        assert_eq!(ticks(MS, [TICK, MS - LATE]), [Some(Some(MS - LATE - TICK)), None]);
    }

    #[test]
    fn no_call_is_ended_for_what_its_thread_did_before_it() {
        assert_eq!(ticks(MS, [5 * MS, 5 * MS + PROOF / 2]), [Some(Some(PROOF)), Some(Some(PROOF / 2))]);
        assert_eq!(ticks(MS, [5 * MS, 5 * MS + PROOF])[1], None);
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_does_not_count() {
        assert!(ticks(MS, [US; 1000]).iter().all(Option::is_some));
    }

    #[test]
    fn each_call_is_measured_from_its_own_start() {
        let mut meter = Meter { allowed: MS, ..Meter::default() };
        assert!(meter.tick_at(10 * MS, || 10 * MS).is_ok());
        meter.restart(5 * MS, 0);
        assert!(meter.tick_at(20 * MS, || 20 * MS).is_ok());
        assert!(meter.tick_at(24 * MS, || unreachable!("it is known already")).is_ok());
        assert!(meter.tick_at(25 * MS, || unreachable!("it is known already")).is_err());
    }

    #[test]
    fn time_in_which_it_was_suspended_does_not_count() {
        let mut meter = Meter { allowed: 5 * MS, ..Meter::default() };
        assert!(meter.tick_at(12 * MS, || 10 * MS).is_ok());
        meter.pause_at(12 * MS, || unreachable!("it is known already"));
        // Others used a second; it heard of no tick then, and was suspended again.
        meter.pause_at(1011 * MS, || 1010 * MS);
        assert!(meter.tick_at(2001 * MS, || 2000 * MS).is_ok());
        assert!(meter.tick_at(2002 * MS, || unreachable!("it is known already")).is_err(), "2 + 1 + 2 ms");
    }

    #[test]
    fn a_call_that_pauses_at_each_tick_is_ended_all_the_same() {
        let mut meter = Meter { allowed: 5 * MS, ..Meter::default() };
        let slices = (1..).take_while(|slice| {
            let goes_on = meter.tick_at(10 * *slice * MS + MS, || 10 * *slice * MS).is_ok();
            meter.pause_at(10 * *slice * MS + MS, || unreachable!("it is known already"));
            goes_on
        });
        assert_eq!(slices.count(), 4, "the fifth millisecond is its last");
    }

    #[test]
    fn a_deadline_shorter_than_a_tick_still_lets_a_call_begin() {
        assert_eq!(ticks(MS / 10, [US, 89 * US, 91 * US]), [Some(Some(89 * US)), Some(Some(US)), None]);
    }

    /// How many of these calls, each of which takes so much CPU time, read the clock.
    fn readings(reading: &Reading, calls: u32, each: Duration, from: Duration) -> u32 {
        let read = Cell::new(0);
        for number in 0..calls {
            reading.call(0, false, || {
                read.set(read.get() + 1);
                from + each * number
            });
        }
        read.get()
    }

    #[test]
    fn the_clock_is_read_after_as_many_calls_as_take_the_interval() {
        let reading = Reading::new();
        assert_eq!(readings(&reading, 1000, INTERVAL, MS), 1000, "long calls read it each time");
        let read = readings(&reading, 1000, INTERVAL / 10, 1000 * MS);
        assert!((80..=130).contains(&read), "it took a few to see that they are shorter: {read}");
        let read = readings(&reading, 10 * MOST_CALLS, Duration::ZERO, 2000 * MS);
        assert!((9..=20).contains(&read), "{read}");
    }

    #[test]
    fn it_is_read_after_each_tick_and_for_each_short_deadline() {
        let reading = Reading::new();
        readings(&reading, 100, US, MS);
        let read = Cell::new(0);
        let clock = || {
            read.set(read.get() + 1);
            2 * MS
        };
        reading.call(0, false, clock);
        assert_eq!(read.get(), 0);
        reading.call(1, false, clock);
        reading.call(1, true, clock);
        reading.call(1, true, clock);
        assert_eq!(read.get(), 3);
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
