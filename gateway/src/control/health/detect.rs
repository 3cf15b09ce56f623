//! Which nodes behave unlike the rest of their pool: pure statistics.
//!
//! A node is compared with the others, never with itself: in a small pool one bad node would draw the mean to its side
//! and widen the deviation until it fits in.

use std::time::Duration;

use crate::node::live::Tally;

/// A node with fewer attempts in the window says nothing.
const LEAST_ATTEMPTS: u64 = 50;
/// With fewer nodes that say something there is no telling who is unlike the rest.
const LEAST_NODES: usize = 3;
/// A node whose mean is less than this above the median is not worth taking out, however fast the others are.
const LEAST_DIFFERENCE: f64 = 50_000.0;
/// A rate has to be so many standard deviations below the others' mean: one in a thousand by chance.
const DEVIATIONS: f64 = 3.0;

/// The places of the nodes whose share of good answers is too far below the others': by so many points at least, and
/// by three of the others' standard deviations. A node that shall not be compared has no tally.
pub(super) fn below_the_others(tallies: &[Option<Tally>], points: u32) -> Vec<usize> {
    let rates = measures(tallies, |tally| {
        let good = f64::from(tally.answers);
        Some(good / (good + tally.failures as f64))
    });
    if rates.len() < LEAST_NODES {
        return Vec::new();
    }
    let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
    let squares: f64 = rates.iter().map(|(_, rate)| rate * rate).sum();
    let others = (rates.len() - 1) as f64;
    let is_below = |rate: f64| {
        let mean = (sum - rate) / others;
        let deviation = ((squares - rate * rate) / others - mean * mean).max(0.0).sqrt();
        mean - rate >= (f64::from(points) / 100.0).max(DEVIATIONS * deviation)
    };
    rates.into_iter().filter(|(_, rate)| is_below(*rate)).map(|(place, _)| place).collect()
}

/// The places of the nodes whose mean latency is so many times the pool's median.
pub(super) fn slower_than_the_median(tallies: &[Option<Tally>], factor: u32) -> Vec<usize> {
    let means = measures(tallies, |tally| {
        (tally.answers > 0).then(|| tally.micros as f64 / f64::from(tally.answers))
    });
    let mut sorted: Vec<f64> = means.iter().map(|(_, mean)| *mean).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.len() < LEAST_NODES {
        return Vec::new();
    }
    let median = sorted[(sorted.len() - 1) / 2];
    let limit = (median * f64::from(factor)).max(median + LEAST_DIFFERENCE);
    means.into_iter().filter(|(_, mean)| *mean >= limit).map(|(place, _)| place).collect()
}

/// What was measured of the nodes that had enough attempts, with their places.
fn measures(tallies: &[Option<Tally>], measure: impl Fn(Tally) -> Option<f64>) -> Vec<(usize, f64)> {
    let enough = |tally: &Tally| u64::from(tally.answers) + tally.failures >= LEAST_ATTEMPTS;
    let with_places = tallies.iter().enumerate();
    with_places.filter_map(|(place, tally)| Some((place, measure(tally.filter(enough)?)?))).collect()
}

/// After which time without an answer a node is silent: as configured, or ten times what the pool usually takes, if
/// that is longer: whoever is asked for slow things is not silent yet. `latencies` are the nodes' averages in
/// microseconds, 0 where there is none.
pub(super) fn silence(configured: Duration, latencies: impl Iterator<Item = u32>) -> Duration {
    let mut known: Vec<u32> = latencies.filter(|&micros| micros > 0).collect();
    known.sort_unstable();
    let median = known.get(known.len().saturating_sub(1) / 2).copied().unwrap_or(0);
    configured.max(Duration::from_micros(u64::from(median)) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [usize; 0] = [];

    fn rated(good: u32, bad: u64) -> Option<Tally> {
        Some(Tally { answers: good, micros: 0, failures: bad })
    }

    fn taking(count: u32, millis: u64) -> Option<Tally> {
        Some(Tally { answers: count, micros: u64::from(count) * millis * 1000, failures: 0 })
    }

    #[test]
    fn a_node_that_fails_more_than_the_others_stands_out() {
        let pool = [rated(100, 0), rated(60, 40), rated(99, 1), rated(100, 2)];
        assert_eq!(below_the_others(&pool, 30), [1]);
        assert_eq!(below_the_others(&pool, 50), NOBODY, "not by fifty points");
        assert_eq!(below_the_others(&pool[..2], 30), NOBODY, "two nodes may each be the odd one");
        let pool = [rated(100, 0), rated(20, 29), rated(99, 1), rated(100, 2)];
        assert_eq!(below_the_others(&pool, 30), NOBODY, "forty-nine attempts");
        let pool = [rated(100, 0), None, rated(0, 100), rated(100, 0)];
        assert_eq!(below_the_others(&pool, 30), [2], "the place counts nodes that are not compared");
    }

    #[test]
    fn a_pool_that_fails_as_a_whole_has_no_outlier() {
        let pool = [rated(50, 50), rated(40, 60), rated(60, 40), rated(30, 70), rated(70, 30)];
        assert_eq!(below_the_others(&pool, 30), NOBODY);
        let pool = [rated(100, 0), rated(10, 90), rated(100, 0), rated(10, 90)];
        assert_eq!(below_the_others(&pool, 30), NOBODY, "where half are bad, the others differ as much");
    }

    #[test]
    fn a_node_that_is_many_times_slower_stands_out() {
        let pool = [taking(100, 5), taking(100, 2000), taking(100, 7), taking(100, 6)];
        assert_eq!(slower_than_the_median(&pool, 10), [1]);
        let pool = [taking(100, 1), taking(100, 40), taking(100, 1), taking(100, 1)];
        assert_eq!(slower_than_the_median(&pool, 10), NOBODY, "40 ms are no harm");
        let pool = [taking(100, 5), taking(49, 2000), taking(100, 7), taking(100, 6)];
        assert_eq!(slower_than_the_median(&pool, 10), NOBODY, "too few answers");
        assert_eq!(slower_than_the_median(&pool[..2], 10), NOBODY);
    }

    #[test]
    fn a_pool_that_is_slow_anyway_is_given_time() {
        let half = Duration::from_millis(500);
        assert_eq!(silence(half, [0, 0].into_iter()), half);
        assert_eq!(silence(half, [5_000, 0, 7_000].into_iter()), half);
        assert_eq!(silence(half, [30_000_000, 0, 20_000_000].into_iter()), Duration::from_secs(200));
    }
}
