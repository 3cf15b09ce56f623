//! How fast a pool answers, as far as one worker sees it: the time in which a given share of its attempts is answered.
//!
//! A histogram that forgets: when it is full, all counts are halved. Pure, and small enough to be asked for each request.

use std::time::Duration;

/// Latencies up to this share the first bucket. The clock that hedges wait on is far coarser.
const FIRST: u64 = 1 << 10;
/// Buckets for each doubling: a percentile is at most a fifth above what it is.
const STEPS: u64 = 4;
/// The last one ends after a minute, in microseconds; what takes longer counts there.
const BUCKETS: usize = 16 * STEPS as usize + 1;
/// Longer ones are not told apart: 12 days.
const LONGEST: u64 = 1 << 40;
/// With fewer samples there is no percentile.
const LEAST: u32 = 100;
/// With so many, all counts are halved: enough that a thousandth is still some, few enough to follow the pool.
const FULL: u32 = 8192;

/// Latencies of a pool's attempts, the last few thousand of them.
#[derive(Debug)]
pub(in crate::proxy) struct Pace {
    counts: [u16; BUCKETS],
    sum: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { counts: [0; BUCKETS], sum: 0 }
    }
}

impl Pace {
    /// Counts an attempt that was answered after this time.
    pub(in crate::proxy) fn answered(&mut self, after: Duration) {
        self.counts[bucket(after)] += 1;
        self.sum += 1;
        if self.sum >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.sum = self.counts.iter().map(|&count| u32::from(count)).sum();
        }
    }

    /// The time in which so many thousandths of the attempts are answered, if there were enough to tell.
    pub(in crate::proxy) fn percentile(&self, thousandths: u32) -> Option<Duration> {
        if self.sum < LEAST {
            return None;
        }
        let mut slower = self.sum - (self.sum * thousandths).div_ceil(1000);
        let place = self.counts.iter().rposition(|&count| {
            let is_here = u32::from(count) > slower;
            slower = slower.saturating_sub(u32::from(count));
            is_here
        })?;
        Some(Duration::from_micros(end(place)))
    }
}

/// Where this latency counts: the first bucket that does not end before it.
fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).clamp(FIRST, LONGEST) - 1;
    let doubling = u64::from((micros / FIRST).max(1).ilog2());
    let step = (micros.saturating_sub(FIRST << doubling) * STEPS) / (FIRST << doubling);
    let place = if micros < FIRST { 0 } else { 1 + doubling * STEPS + step };
    (place as usize).min(BUCKETS - 1)
}

/// The longest latency of a bucket, in microseconds.
fn end(place: usize) -> u64 {
    match (place as u64).checked_sub(1) {
        None => FIRST,
        Some(place) => (FIRST << (place / STEPS)) / STEPS * (STEPS + place % STEPS + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentile_needs_a_hundred_samples() {
        let mut pace = Pace::default();
        (0..99).for_each(|_| pace.answered(Duration::from_millis(5)));
        assert_eq!(pace.percentile(950), None);
        pace.answered(Duration::from_millis(5));
        assert_eq!(pace.percentile(950), Some(Duration::from_micros(5120)));
    }

    #[test]
    fn a_percentile_is_what_so_many_stay_below() {
        let mut pace = Pace::default();
        (0..950).for_each(|_| pace.answered(Duration::from_millis(10)));
        (0..50).for_each(|_| pace.answered(Duration::from_secs(1)));
        let millis = |thousandths| pace.percentile(thousandths).map_or(0, |time| time.as_millis());
        assert_eq!(millis(500), 10);
        assert_eq!(millis(950), 10);
        assert_eq!(millis(951), 1048);
        assert_eq!(millis(999), 1048);
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut pace = Pace::default();
        (0..100_000).for_each(|_| pace.answered(Duration::from_secs(1)));
        (0..2 * FULL).for_each(|_| pace.answered(Duration::from_millis(1)));
        assert!(pace.percentile(500).is_some_and(|time| time < Duration::from_millis(2)));
    }

    proptest! {
        /// A latency lies in its bucket, and the bucket is at most a quarter as wide as where it begins.
        #[test]
        fn buckets_follow_each_other(micros in 1..60_000_000_u64) {
            let place = bucket(Duration::from_micros(micros));
            prop_assert!(micros <= end(place), "{micros} in {place}");
            prop_assert!(place == 0 || end(place - 1) < micros, "{micros} in {place}");
            prop_assert!(place == 0 || end(place) * 4 <= end(place - 1) * 5, "{micros} in {place}");
            prop_assert_eq!(bucket(Duration::from_micros(end(place))), place);
        }

        /// No latency is too long, and no number of them too many.
        #[test]
        fn anything_can_be_counted(micros: u64, count in 0..30_000) {
            let mut pace = Pace::default();
            (0..count).for_each(|_| pace.answered(Duration::from_micros(micros)));
            prop_assert_eq!(pace.percentile(999).is_some(), count >= 100);
        }
    }
}
