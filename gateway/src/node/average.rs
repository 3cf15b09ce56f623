//! Moving averages that many workers feed without a lock.
//!
//! They forget with a time constant of ten seconds (linkerd's and finagle's default for peak EWMA), and take the
//! time as milliseconds since any fixed moment. The SDK's simulator has the same formulas, so that a policy is judged on
//! what it will see (tests/simulated.rs compares the two): change them together.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::live::age;

/// After this many milliseconds a sample counts 1/e of what it did.
const TIME_CONSTANT: f32 = 10_000.0;

/// The same for samples of [`ServiceTime`]: shorter, so that an estimate does not hang on a node's first answers.
const SERVICE_TIME_CONSTANT: f32 = 2_000.0;

/// What is left of a sample after so many milliseconds.
fn kept(millis: u32) -> f32 {
    kept_of(millis, TIME_CONSTANT)
}

fn kept_of(millis: u32, time_constant: f32) -> f32 {
    if millis == 0 { 1.0 } else { (-(millis as f32) / time_constant).exp() }
}

/// Latency as finagle's and linkerd's peak EWMA: a sample above the average becomes the average at once, others
/// draw it down with time, and so does time without samples: a node that was slow is asked again some day.
///
/// One word: the average in microseconds as f32 above (whole microseconds would round small steps away, and the
/// average would stay up for ever under load), the time of the last sample below.
#[derive(Debug, Default)]
pub(super) struct PeakLatency(AtomicU64);

impl PeakLatency {
    /// The average now, in microseconds; 0 if there never was a sample.
    pub(super) fn get(&self, now: u32) -> u32 {
        match self.0.load(Relaxed) {
            0 => 0,
            word => {
                let (average, then) = unpack(word);
                ((average * kept(age(now, then))) as u32).max(1)
            }
        }
    }

    /// Feeds the latency of an attempt that went well.
    pub(super) fn sample(&self, micros: u32, now: u32) {
        let sample = micros as f32;
        self.update(now, |average, kept| average * kept + sample * (1.0 - kept), sample);
    }

    /// Feeds an attempt that failed. One that failed late is a peak like any other. One that failed at once tells
    /// nothing about speed and must not make the node look fast: it counts as one more sample of the average.
    pub(super) fn failure(&self, micros: u32, now: u32) {
        if self.0.load(Relaxed) != 0 {
            self.at_least(micros, now);
        }
    }

    /// Feeds an attempt that was given up: it would have taken longer. That can be a peak, and never a sign of speed.
    pub(super) fn at_least(&self, micros: u32, now: u32) {
        self.update(now, |average, _| average, micros as f32);
    }

    fn update(&self, now: u32, average: impl Fn(f32, f32) -> f32, sample: f32) {
        let step = |word: u64| {
            let (old, then) = unpack(word);
            if sample >= old {
                return Some(pack(sample, now));
            }
            let elapsed = age(now, then);
            // Nothing to learn within the same millisecond: leaves the cache line clean.
            (elapsed > 0).then(|| pack(average(old, kept(elapsed)).max(1.0), now))
        };
        let _unchanged = self.0.fetch_update(Relaxed, Relaxed, step);
    }
}

fn pack(average: f32, time: u32) -> u64 {
    u64::from(average.to_bits()) << 32 | u64::from(time)
}

fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

/// How long a node takes for one request, queues aside: the mean of latency / (requests in flight at the start, with the
/// attempt's own). No peaks: a policy multiplies it with the requests in flight now, so it has to be what is usual.
///
/// One word as in [`PeakLatency`]. Without samples it fades as the latency does: a node that was slow is asked again.
#[derive(Debug, Default)]
pub(super) struct ServiceTime(AtomicU64);

impl ServiceTime {
    /// The estimate now, in microseconds; 0 if there never was a sample.
    pub(super) fn get(&self, now: u32) -> u32 {
        match self.0.load(Relaxed) {
            0 => 0,
            word => {
                let (mean, then) = unpack(word);
                ((mean * kept(age(now, then))) as u32).max(1)
            }
        }
    }

    /// Feeds an attempt of this length that started beside so many others. One that failed counts only if it makes the
    /// node look slower: failing at once tells nothing about speed.
    pub(super) fn sample(&self, micros: u32, others: u32, failed: bool, now: u32) {
        let sample = (micros as f32 / (others as f32 + 1.0)).max(1.0);
        let step = |word: u64| {
            if word == 0 {
                return (!failed).then(|| pack(sample, now));
            }
            let (mean, then) = unpack(word);
            let elapsed = age(now, then);
            // Nothing to learn within the same millisecond: leaves the cache line clean.
            if elapsed == 0 || failed && sample < mean {
                return None;
            }
            let kept = kept_of(elapsed, SERVICE_TIME_CONSTANT);
            Some(pack(mean * kept + sample * (1.0 - kept), now))
        };
        let _unchanged = self.0.fetch_update(Relaxed, Relaxed, step);
    }
}

/// The share of attempts that failed, over the attempts of the last ten seconds or so.
///
/// One word holds both sums, attempts above and failures below, in fixed point: an attempt is a single addition. Now
/// and then one of them ages the sums first.
#[derive(Debug, Default)]
pub(super) struct ErrorRate {
    sums: AtomicU64,
    aged: AtomicU32,
}

/// One attempt in fixed point. The sums hold four million attempts, so 400,000 a second.
const ONE: u64 = 1 << 10;
/// The sums are aged in steps of so many milliseconds: a hundredth of the time constant.
const TICK: u32 = 100;
/// The rate is seen as if so many attempts had gone well besides: one failure of one attempt is not yet a rate of
/// 100 %, and a rate without new attempts fades.
const PRIOR: u64 = 1;

impl ErrorRate {
    /// Whether nothing failed that still counts.
    pub(super) fn is_none(&self) -> bool {
        split(self.sums.load(Relaxed)).1 == 0
    }

    /// The rate now, in thousandths.
    pub(super) fn get(&self, now: u32) -> u32 {
        let (attempts, failures) = split(self.sums.load(Relaxed));
        if failures == 0 {
            return 0;
        }
        let left = kept(age(now, self.aged.load(Relaxed)));
        let (attempts, failures) = (attempts as f32 * left, failures as f32 * left);
        (failures * 1000.0 / (attempts + (PRIOR * ONE) as f32)) as u32
    }

    /// Counts an attempt.
    pub(super) fn attempt(&self, failed: bool, now: u32) {
        self.grow_older(now);
        self.sums.fetch_add(ONE << 32 | if failed { ONE } else { 0 }, Relaxed);
    }

    fn grow_older(&self, now: u32) {
        let aged = self.aged.load(Relaxed);
        let elapsed = age(now, aged);
        // Whoever moves the time ages the sums; others go on.
        if elapsed < TICK || self.aged.compare_exchange(aged, now, Relaxed, Relaxed).is_err() {
            return;
        }
        let left = kept(elapsed);
        let older = |sums| {
            let (attempts, failures) = split(sums);
            Some(
                u64::from((attempts as f32 * left) as u32) << 32 | u64::from((failures as f32 * left) as u32),
            )
        };
        let _always_some = self.sums.fetch_update(Relaxed, Relaxed, older);
    }
}

fn split(sums: u64) -> (u32, u32) {
    ((sums >> 32) as u32, sums as u32)
}
