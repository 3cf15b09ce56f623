//! When a node that says nothing is asked whether it lives (PING, RFC 9113, 6.7). Pure: what was heard, and the time, come
//! from outside.
//!
//! Only while requests wait for it, and sparingly: gRPC's servers take a third PING without an answer of theirs in between
//! for abuse, and a quiet stream is nothing unusual.

use std::time::{Duration, Instant};

/// How patient the gateway is with a node that says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How often it looks.
    pub(super) look: Duration,
    /// After so long it asks.
    pub(super) silence: Duration,
    /// The same once a PING was answered and still nothing else came.
    pub(super) quiet: Duration,
    /// So long may the answer take.
    pub(super) answer: Duration,
}

impl Patience {
    /// Chosen: long against a slow answer's share of the traffic, short against a user's patience; and for quiet streams what
    /// gRPC's servers allow by default.
    pub(super) const USUAL: Patience = Patience {
        look: Duration::from_secs(1),
        silence: Duration::from_secs(5),
        quiet: Duration::from_secs(300),
        answer: Duration::from_secs(5),
    };
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Fine,
    /// Send a PING.
    Ask,
    /// It was asked and did not answer.
    Dead,
}

/// How a connection to a node does.
#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    /// Bytes that came so far, at the last look.
    heard: u64,
    since: Instant,
    asked: Option<Instant>,
    answered: bool,
}

impl Pulse {
    pub(super) fn new(patience: Patience, now: Instant) -> Pulse {
        Pulse { patience, heard: 0, since: now, asked: None, answered: false }
    }

    /// Looks at a connection on which so many bytes came, `busy` if requests are on it.
    pub(super) fn look(&mut self, heard: u64, busy: bool, now: Instant) -> Sign {
        if heard != self.heard {
            *self = Pulse { heard, ..Pulse::new(self.patience, now) };
            return Sign::Fine;
        }
        if let Some(asked) = self.asked {
            return if now.duration_since(asked) < self.patience.answer { Sign::Fine } else { Sign::Dead };
        }
        if !busy {
            self.since = now;
        }
        let patience = if self.answered { self.patience.quiet } else { self.patience.silence };
        if now.duration_since(self.since) < patience {
            return Sign::Fine;
        }
        self.asked = Some(now);
        Sign::Ask
    }

    /// It answered; that is among the bytes that came.
    pub(super) fn answered(&mut self, heard: u64, now: Instant) {
        *self = Pulse { heard, answered: true, ..Pulse::new(self.patience, now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn silence_while_requests_wait_is_asked_about_and_then_death() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Patience::USUAL, start);
        assert_eq!(pulse.look(10, true, start), Sign::Fine);
        assert_eq!(pulse.look(10, true, after(start, 4)), Sign::Fine);
        assert_eq!(pulse.look(10, true, after(start, 5)), Sign::Ask);
        assert_eq!(pulse.look(10, true, after(start, 9)), Sign::Fine);
        assert_eq!(pulse.look(10, true, after(start, 10)), Sign::Dead);
        assert_eq!(pulse.look(11, true, after(start, 10)), Sign::Fine, "whatever comes is a sign of life");
    }

    #[test]
    fn a_quiet_node_that_answered_is_left_in_peace() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Patience::USUAL, start);
        assert_eq!(pulse.look(0, true, after(start, 5)), Sign::Ask);
        pulse.answered(17, after(start, 6));
        assert_eq!(pulse.look(17, true, after(start, 200)), Sign::Fine);
        assert_eq!(pulse.look(17, true, after(start, 306)), Sign::Ask);
        pulse.answered(34, after(start, 307));
        assert_eq!(pulse.look(99, true, after(start, 308)), Sign::Fine);
        assert_eq!(pulse.look(99, true, after(start, 313)), Sign::Ask, "after traffic it is asked as before");
    }

    #[test]
    fn an_idle_connection_is_not_asked() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Patience::USUAL, start);
        assert_eq!(pulse.look(0, false, after(start, 1000)), Sign::Fine);
        assert_eq!(
            pulse.look(0, true, after(start, 1004)),
            Sign::Fine,
            "the silence begins with the request"
        );
    }
}
