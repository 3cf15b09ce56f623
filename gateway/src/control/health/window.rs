//! What attempts on a node came to within the last ten seconds, second by second.

use crate::node::live::Tally;

/// Seconds that are looked back: long enough for a rate, and short enough that what was mended is soon forgotten.
const SECONDS: usize = 10;

/// Ten seconds of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    seconds: [Tally; SECONDS],
    next: usize,
    last: Tally,
}

impl Window {
    /// A window that begins with this tally.
    pub(super) fn new(tally: Tally) -> Self {
        Self { last: tally, ..Self::default() }
    }

    /// Notes a second: what the node's tally is at its end.
    pub(super) fn note(&mut self, tally: Tally) {
        self.seconds[self.next] = tally.since(self.last);
        self.next = (self.next + 1) % SECONDS;
        self.last = tally;
    }

    /// The sum of the window.
    pub(super) fn sum(&self) -> Tally {
        self.seconds.iter().fold(Tally::default(), |sum, second| Tally {
            answers: sum.answers.saturating_add(second.answers),
            micros: sum.micros.saturating_add(second.micros),
            failures: sum.failures.saturating_add(second.failures),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sums_ten_seconds_and_forgets_older_ones() {
        let tally = |count: u32| Tally {
            answers: count.wrapping_add(u32::MAX),
            micros: u64::from(count) * 100,
            failures: u64::from(count) * 2,
        };
        let mut window = Window::new(tally(0));
        for second in 1..=25 {
            window.note(tally(second * second));
        }
        let expected = 25 * 25 - 15 * 15;
        assert_eq!(
            window.sum(),
            Tally { answers: expected, micros: u64::from(expected) * 100, failures: u64::from(expected) * 2 }
        );
    }
}
