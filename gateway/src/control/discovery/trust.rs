//! Whether an answer without any node is believed. Pure; `now` is an argument.
//!
//! A registry that was restarted empty, or lost what it knew, looks just like one from which all nodes signed off. The
//! first happens more often, and taking out nodes that serve fails every request. So while nodes are known an empty
//! answer has to stand for a time, on one connection; one that holds only entries that cannot be used is never believed.

use std::time::Duration;

use tokio::time::Instant;

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nodes.
    Nodes,
    /// No entry at all.
    Nothing,
    /// Entries, and none that can be used.
    Unusable,
}

/// What is believed of a pool.
#[derive(Debug)]
pub(super) struct Trust {
    /// How long an empty answer has to stand.
    patience: Duration,
    /// Whether nodes are known that would be lost.
    has_nodes: bool,
    /// The connection on which it was said that there are none, and since when.
    empty: Option<(u64, Instant)>,
}

impl Trust {
    pub(super) fn new(patience: Duration, has_nodes: bool) -> Self {
        Self { patience, has_nodes, empty: None }
    }

    /// Whether this answer is believed. `connection` is the one on which the registry stands by it; none if it is lost.
    pub(super) fn believes(&mut self, answer: Answer, connection: Option<u64>, now: Instant) -> bool {
        let empty = self.empty.take();
        match (answer, connection) {
            (Answer::Nodes, _) => self.has_nodes = true,
            (Answer::Nothing, _) if !self.has_nodes => {}
            (Answer::Nothing, Some(connection)) => {
                let since = empty.filter(|(same, _)| *same == connection).map_or(now, |(_, since)| since);
                if now.saturating_duration_since(since) < self.patience {
                    self.empty = Some((connection, since));
                    return false;
                }
                self.has_nodes = false;
            }
            (Answer::Nothing, None) | (Answer::Unusable, _) => return false,
        }
        true
    }

    /// When an empty answer that stands now will be believed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.empty.map(|(_, since)| since + self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_empty_answer_is_believed_when_it_stood_long_enough() {
        let now = Instant::now();
        let mut trust = Trust::new(TEN, false);
        assert!(trust.believes(Answer::Nodes, Some(1), now));
        assert!(!trust.believes(Answer::Nothing, Some(1), now));
        assert_eq!(trust.deadline(), Some(now + TEN));
        assert!(!trust.believes(Answer::Nothing, Some(1), now + TEN - SECOND));
        assert!(trust.believes(Answer::Nothing, Some(1), now + TEN));
        assert_eq!(trust.deadline(), None);
        assert!(trust.believes(Answer::Nothing, Some(1), now + TEN + SECOND), "there is nothing to lose");
    }

    #[test]
    fn nodes_or_a_new_connection_begin_the_wait_anew() {
        let now = Instant::now();
        let mut trust = Trust::new(TEN, true);
        assert!(!trust.believes(Answer::Nothing, Some(1), now));
        assert!(!trust.believes(Answer::Nothing, None, now + SECOND));
        assert_eq!(trust.deadline(), None, "a lost registry stands by nothing");
        assert!(!trust.believes(Answer::Nothing, Some(2), now + TEN));
        assert!(trust.believes(Answer::Nodes, Some(2), now + TEN + SECOND));
        assert!(!trust.believes(Answer::Nothing, Some(2), now + TEN * 2));
        assert!(trust.believes(Answer::Nothing, Some(2), now + TEN * 3));
    }

    #[test]
    fn entries_of_which_none_is_good_are_never_believed() {
        let now = Instant::now();
        let mut trust = Trust::new(Duration::ZERO, true);
        assert!(!trust.believes(Answer::Unusable, Some(1), now));
        assert!(!trust.believes(Answer::Unusable, Some(1), now + TEN));
        assert!(trust.believes(Answer::Nothing, Some(1), now), "without patience at once");
    }
}
