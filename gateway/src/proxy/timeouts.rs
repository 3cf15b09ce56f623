//! The time limits that a request is under, all on the one deadline of its connection.
//!
//! Several run at once: that of the attempt beside that of the route, that of the whole request beside both. Each has an
//! end of its own; the deadline is set to the nearest, and when it is over that one is to blame. Setting one is a few
//! stores, so a limit that is not configured costs nothing and no limit needs a timer.

use std::time::Duration;

use crate::transport::deadline::{Deadline, End};

/// What takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// There is room in the pool (`queue_timeout`).
    Queue,
    /// A connection to the node comes about (`connect_timeout`).
    Connect,
    /// The node has the whole request, and begins to answer (`first_byte_timeout`).
    FirstByte,
    /// The first attempt is alone (`hedge`). What comes then is no failure: see `hedge.rs`.
    Hedge,
    /// The next look whether the node is still in use.
    Ejected,
    /// One attempt, up to the response's head (`attempt_timeout`).
    Attempt,
    /// All attempts, up to the response's head (a route's `timeout`).
    Answer,
    /// The next piece of the response (`between_bytes_timeout`).
    BetweenBytes,
    /// The span in which a client's body or response has to move (`min_rate`). What comes then may be no failure: see
    /// `pace.rs`.
    Pace,
    /// The whole response (`total_timeout`).
    Total,
}

impl Limit {
    const ALL: [Limit; 10] = [
        Limit::Queue,
        Limit::Connect,
        Limit::FirstByte,
        Limit::Hedge,
        Limit::Ejected,
        Limit::Attempt,
        Limit::Answer,
        Limit::BetweenBytes,
        Limit::Pace,
        Limit::Total,
    ];

    /// What happened when it was over, as a log line says it.
    pub(super) fn story(self) -> &'static str {
        match self {
            Limit::Queue => "the pool had no room in time",
            Limit::Connect => "the node did not accept a connection in time",
            Limit::FirstByte => "the node did not begin to answer in time",
            Limit::Ejected => "the node was taken out since it answers nothing",
            // The first attempt goes on when this is over.
            Limit::Hedge | Limit::Attempt => "the attempt took too long",
            Limit::Answer => "the node did not answer in time",
            Limit::BetweenBytes => "the node's response stood still for too long",
            Limit::Pace => "the client was too slow",
            Limit::Total => "the request took too long as a whole",
        }
    }
}

/// When each limit ends.
pub(super) struct Timeouts {
    ends: [End; Limit::ALL.len()],
}

impl Timeouts {
    /// No limit.
    pub(super) fn none() -> Timeouts {
        Timeouts { ends: [End::NEVER; Limit::ALL.len()] }
    }

    /// Starts a limit anew; one that is not configured never ends.
    pub(super) fn start(&mut self, limit: Limit, after: Option<Duration>, deadline: &Deadline) {
        match after {
            Some(after) => {
                self.ends[limit as usize] = deadline.end(after);
                deadline.set_end(self.nearest().1);
            }
            None => self.stop(&[limit], deadline),
        }
    }

    /// Ends limits that were kept.
    pub(super) fn stop(&mut self, limits: &[Limit], deadline: &Deadline) {
        if !limits.iter().any(|limit| self.is_running(*limit)) {
            return;
        }
        for &limit in limits {
            self.ends[limit as usize] = End::NEVER;
        }
        deadline.set_end(self.nearest().1);
    }

    /// Whether a limit runs.
    pub(super) fn is_running(&self, limit: Limit) -> bool {
        self.ends[limit as usize] != End::NEVER
    }

    /// The limit that is over when the deadline is. What is cut with its listener took too long as a whole.
    pub(super) fn first(&self, deadline: &Deadline) -> Limit {
        if deadline.is_cut() { Limit::Total } else { self.nearest().0 }
    }

    fn nearest(&self) -> (Limit, End) {
        let ends = Limit::ALL.into_iter().zip(self.ends);
        ends.min_by_key(|(_, end)| *end).expect("there are limits")
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Instant;

    use super::*;
    use crate::transport::deadline::Deadlines;

    #[test]
    fn the_nearest_limit_is_the_deadline_and_to_blame() {
        let clock = Deadlines::new();
        let deadline = clock.deadline(0);
        let start = Instant::now();
        let is_over = |millis| {
            clock.tick(start + Duration::from_millis(millis));
            deadline.poll_elapsed(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        let millis = |millis| Some(Duration::from_millis(millis));
        let mut timeouts = Timeouts::none();
        timeouts.start(Limit::Total, millis(900), &deadline);
        timeouts.start(Limit::Answer, millis(600), &deadline);
        timeouts.start(Limit::Attempt, millis(300), &deadline);
        timeouts.start(Limit::FirstByte, None, &deadline);
        assert!(!is_over(299));
        assert!(is_over(400));
        assert_eq!(timeouts.first(&deadline), Limit::Attempt);

        timeouts.start(Limit::Attempt, millis(300), &deadline);
        assert!(!is_over(500), "the next attempt has as much");
        assert!(is_over(700));
        assert_eq!(timeouts.first(&deadline), Limit::Answer, "but all of them share the route's limit");

        timeouts.stop(&[Limit::Attempt, Limit::Answer], &deadline);
        assert!(!is_over(800));
        assert!(is_over(1000));
        assert_eq!(timeouts.first(&deadline), Limit::Total);
    }
}
