//! How many retries a pool may have, so that they cannot become the outage: a share of its recent requests, and a few
//! a second beside that for pools with little traffic.
//!
//! Each worker keeps its own, with its share of the floor: nothing is shared. Pure: the time comes with each call, to
//! the second.

use std::time::Instant;

/// Seconds that count as recent. Chosen as Finagle's: long enough to smooth bursts, short enough to follow the traffic.
const SECONDS: usize = 10;

/// What one worker remembers of a pool's requests and retries.
#[derive(Debug)]
pub(in crate::proxy) struct Budget {
    /// Time is counted in seconds from here.
    born: Instant,
    /// The second that was written last.
    second: u64,
    recent: [Second; SECONDS],
    /// The sum of `recent`.
    sum: Second,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: u64,
    retries: u64,
}

/// What a pool grants to one worker.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Allowance {
    /// Retries in a hundred requests.
    pub percent: u32,
    /// Retries a second beside that, on the whole gateway.
    pub floor: u32,
    /// The workers that share the floor.
    pub workers: u32,
}

impl Budget {
    /// Nothing happened yet.
    pub(in crate::proxy) fn new(now: Instant) -> Budget {
        Budget { born: now, second: 0, recent: Default::default(), sum: Second::default() }
    }

    /// Counts a request, whatever comes of it.
    pub(in crate::proxy) fn request(&mut self, now: Instant) {
        self.advance(now).requests += 1;
        self.sum.requests += 1;
    }

    /// Takes one retry out of the budget, if there is one.
    pub(in crate::proxy) fn withdraw(&mut self, now: Instant, allowance: Allowance) -> bool {
        let has_room = self.has_room(now, allowance);
        if has_room {
            self.advance(now).retries += 1;
            self.sum.retries += 1;
        }
        has_room
    }

    /// Whether one retry could be taken out of it.
    pub(in crate::proxy) fn has_room(&mut self, now: Instant, allowance: Allowance) -> bool {
        self.advance(now);
        // In hundredths of a retry, so that a share of a floor is not rounded away.
        let share = self.sum.requests * u64::from(allowance.percent);
        let floor = SECONDS as u64 * 100 * u64::from(allowance.floor) / u64::from(allowance.workers.max(1));
        (self.sum.retries + 1) * 100 <= share + floor
    }

    /// Forgets what is no longer recent; the present second.
    fn advance(&mut self, now: Instant) -> &mut Second {
        let second = now.saturating_duration_since(self.born).as_secs();
        // A time that is a moment older than the last one counts with that.
        while self.second < second {
            // A pool that was quiet for long has forgotten all after one turn.
            self.second = (self.second + 1).max(second.saturating_sub(SECONDS as u64));
            let old = std::mem::take(&mut self.recent[self.second as usize % SECONDS]);
            self.sum.requests -= old.requests;
            self.sum.retries -= old.retries;
        }
        &mut self.recent[self.second as usize % SECONDS]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance { percent: 20, floor: 0, workers: 1 };

    fn granted(budget: &mut Budget, now: Instant, allowance: Allowance) -> usize {
        (0..100_000).take_while(|_| budget.withdraw(now, allowance)).count()
    }

    #[test]
    fn a_share_of_the_recent_requests_may_be_sent_again() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        (0..100).for_each(|_| budget.request(start));
        assert_eq!(granted(&mut budget, start, ALLOWANCE), 20);
        let later = start + Duration::from_secs(9);
        (0..100).for_each(|_| budget.request(later));
        assert_eq!(
            granted(&mut budget, later, ALLOWANCE),
            20,
            "both hundreds are recent, and so are the retries"
        );
        let much_later = start + Duration::from_secs(10);
        assert_eq!(granted(&mut budget, much_later, ALLOWANCE), 0, "the first hundred went with its retries");
        assert_eq!(granted(&mut budget, start + Duration::from_secs(3600), ALLOWANCE), 0);
    }

    #[test]
    fn the_floor_is_there_without_traffic_and_shared_by_the_workers() {
        let start = Instant::now();
        let floor = |workers| Allowance { percent: 20, floor: 10, workers };
        for (workers, expected) in [(1, 100), (2, 50), (64, 1), (1000, 0)] {
            assert_eq!(
                granted(&mut Budget::new(start), start, floor(workers)),
                expected,
                "{workers} workers"
            );
        }
        let mut budget = Budget::new(start);
        granted(&mut budget, start, floor(1));
        assert!(!budget.withdraw(start + Duration::from_secs(9), floor(1)));
        assert!(budget.withdraw(start + Duration::from_secs(10), floor(1)));
    }

    #[test]
    fn no_budget_is_no_retry() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        (0..1000).for_each(|_| budget.request(start));
        assert!(!budget.withdraw(start, Allowance { percent: 0, floor: 0, workers: 1 }));
        assert_eq!(granted(&mut budget, start, Allowance { percent: 100, ..ALLOWANCE }), 1000);
    }

    proptest! {
        /// Whatever the order and the pauses, all retries together stay within the share of all requests.
        #[test]
        fn retries_never_exceed_the_share(steps in proptest::collection::vec((0..3000_u64, 0..20_u32), 0..200)) {
            let start = Instant::now();
            let mut budget = Budget::new(start);
            let mut millis = 0;
            let mut sum = Second::default();
            for (pause, requests) in steps {
                millis += pause;
                let now = start + Duration::from_millis(millis);
                (0..requests).for_each(|_| budget.request(now));
                sum.requests += u64::from(requests);
                sum.retries += granted(&mut budget, now, ALLOWANCE) as u64;
                prop_assert!(sum.retries * 5 <= sum.requests, "{sum:?}");
            }
        }
    }
}
