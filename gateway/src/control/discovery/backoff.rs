//! How long to wait before a registry that was lost is asked again. Pure.

use std::time::Duration;

/// The first pause: a registry that restarts is back in about a second, and is asked a few times in it.
const FIRST: Duration = Duration::from_millis(200);
/// The longest: what changed while a registry was gone is known soon after it comes back.
const LONGEST: Duration = Duration::from_secs(10);
/// After a connection that held for so long the pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// Pauses that double.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause after a connection that held for so long. `draw` is from 0 to 1: a hundred gateways that lost the same
    /// registry shall not come back together.
    pub(super) fn pause(&mut self, held: Duration, draw: f64) -> Duration {
        if held >= GOOD {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause.mul_f64(0.5 + 0.5 * draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        let pauses = (0..8).map(|_| backoff.pause(Duration::ZERO, 1.0).as_millis());
        assert_eq!(pauses.collect::<Vec<_>>(), [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff.pause(GOOD, 0.0).as_millis(), 100, "half of it at least");
    }
}
