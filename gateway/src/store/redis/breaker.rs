//! When Redis is not asked any more, and how long until it is tried again: numbers, no clock and no connection.

use std::time::Duration;

/// So many failures in a row are too many.
const IN_A_ROW: u32 = 5;
/// So many of the last 64 answers are, too.
const OF_64: u32 = 32;
/// The first pause, and the longest. Chosen: a Redis that hiccups is back at once, one that is gone costs nothing.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// How the last 64 questions went: a bit for each, 1 for a failure, the newest lowest.
#[derive(Debug, Default)]
pub(super) struct Answers(u64);

impl Answers {
    /// Notes how one went; whether that is one failure too many.
    pub(super) fn note(&mut self, failed: bool) -> bool {
        self.0 = self.0 << 1 | u64::from(failed);
        failed && (self.0.trailing_ones() >= IN_A_ROW || self.0.count_ones() >= OF_64)
    }
}

/// Pauses that double, each shortened by up to a half so that gateways do not come back all at once.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The next pause; `share` is random, from 0 to 1.
    pub(super) fn next(&mut self, share: f64) -> Duration {
        let pause = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        pause.mul_f64(1.0 - share / 2.0)
    }

    /// It went well: the next pause is the shortest again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_are_too_many_and_so_is_every_other() {
        let mut answers = Answers::default();
        assert!((0..4).all(|_| !answers.note(true)));
        assert!(!answers.note(false));
        assert!((0..4).all(|_| !answers.note(true)));
        assert!(answers.note(true));
        let mut answers = Answers::default();
        let given_up = (0..100).position(|index| answers.note(index % 2 == 0));
        assert_eq!(given_up, Some(62), "the thirty-second of 63");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut pauses = Pauses::default();
        let lengths: Vec<_> = (0..8).map(|_| pauses.next(0.0).as_millis()).collect();
        assert_eq!(lengths, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pauses.next(1.0), Duration::from_secs(1));
        pauses.reset();
        assert_eq!(pauses.next(0.5), Duration::from_micros(37_500));
    }
}
