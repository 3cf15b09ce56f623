//! When a node answers: a queue that exists in numbers only, so that eleven nodes do not share the CPU of one machine.
//!
//! No clock is read and nothing waits here; [`super::nodes`] keeps the promise with a timer.

use std::time::{Duration, Instant};

/// Serves so many requests at once, in the order of their arrival; each takes an exponentially distributed time.
pub(super) struct Queue {
    /// When each of the places is free.
    free: Vec<Instant>,
    mean: Duration,
    random: fastrand::Rng,
}

impl Queue {
    /// `places` is how many it serves at once; at least one.
    pub(super) fn new(places: usize, mean: Duration, seed: u64, now: Instant) -> Queue {
        Queue { free: vec![now; places.max(1)], mean, random: fastrand::Rng::with_seed(seed) }
    }

    /// Takes a request in; answers when it is served.
    pub(super) fn served_at(&mut self, now: Instant) -> Instant {
        // 1 - f64() is never 0, whose logarithm is none.
        let takes = self.mean.mul_f64(-(1.0 - self.random.f64()).ln());
        let place = self.free.iter_mut().min().expect("a queue has a place");
        *place = now.max(*place) + takes;
        *place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Duration = Duration::from_millis(10);

    #[test]
    fn who_comes_to_a_free_place_waits_for_the_service_only() {
        let start = Instant::now();
        let mut queue = Queue::new(1, MEAN, 1, start);
        let served: Vec<Duration> = (0..10_000)
            .map(|number| {
                let now = start + Duration::from_secs(number);
                queue.served_at(now) - now
            })
            .collect();
        let mean = served.iter().sum::<Duration>() / 10_000;
        assert!(mean.abs_diff(MEAN) < MEAN / 20, "{mean:?}");
        // A share of 1/e takes longer than the mean: that is what makes it exponential.
        let longer = served.iter().filter(|time| **time > MEAN).count();
        assert!((3_500..3_860).contains(&longer), "{longer}");
    }

    #[test]
    fn one_place_serves_one_after_the_other_and_two_serve_two() {
        let start = Instant::now();
        for (places, at_once) in [(1, 1), (2, 2), (8, 8)] {
            let mut queue = Queue::new(places, MEAN, 7, start);
            let last = (0..8_000).map(|_| queue.served_at(start)).max().expect("some were served");
            let expected = MEAN * 8_000 / at_once;
            assert!((last - start).abs_diff(expected) < expected / 10, "{places}: {:?}", last - start);
        }
    }
}
