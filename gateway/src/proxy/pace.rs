//! Whether a client is too slow: its body trickles in, or its response trickles out (`min_rate`).
//!
//! What moves at all has to move at a pace; what stands still has a time limit already (a route's `timeout`, a pool's
//! `between_bytes_timeout`). A client that sends or takes a byte just before that limit, again and again, would hold its
//! place for ever. It is looked at when a span is over, and only if the body waits for the client then: a node may be as
//! slow as its own limits let it. So a piece that moves costs nothing, and nobody is judged by a single pause.

use super::error::Error;
use super::exchange::Exchange;
use super::timeouts::Limit;
use crate::http::BodyLength;

/// What had moved when the span began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(u64);

impl Pace {
    /// Whether too little moved since then. Nothing at all is not for this to judge.
    fn trickles(self, moved: u64, least: u64) -> bool {
        (1..least).contains(&moved.saturating_sub(self.0))
    }
}

impl Exchange<'_> {
    /// Begins a span in which a body has to move; so many of its bytes have already.
    pub(super) fn start_pace(&mut self, moved: u64) {
        self.pace = Pace(moved);
        let per = self.route.and_then(|route| route.min_rate).map(|rate| rate.per);
        self.timeouts.start(Limit::Pace, per, &self.connection.deadline);
    }

    /// Looks at the upload from now on, if there is one.
    pub(super) fn start_upload_pace(&mut self) {
        if self.framing.body != BodyLength::Empty
            && let Some(upload) = self.upload.as_ref().filter(|upload| !upload.is_over())
        {
            self.start_pace(upload.body_bytes());
        }
    }

    /// Judges the upload.
    ///
    /// # Errors
    /// It trickles.
    pub(super) fn measure_upload(&mut self) -> Result<(), Error> {
        let Some(upload) = self.upload.as_ref().filter(|upload| !upload.is_over()) else {
            self.timeouts.stop(&[Limit::Pace], &self.connection.deadline);
            return Ok(());
        };
        let (moved, is_starved) = (upload.body_bytes(), upload.is_starved());
        if self.is_too_slow(moved, is_starved) { Err(Error::BodyLate) } else { Ok(()) }
    }

    /// Judges the span that is over, if the client is waited for; and begins the next one.
    pub(super) fn is_too_slow(&mut self, moved: u64, waits_for_client: bool) -> bool {
        let least = self.route.and_then(|route| route.min_rate).map_or(0, |rate| rate.bytes);
        let too_slow = waits_for_client && self.pace.trickles(moved, least);
        self.start_pace(moved);
        too_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_too_little_trickles_and_what_stands_still_does_not() {
        let pace = Pace(5_000);
        assert!(!pace.trickles(5_000, 1_000));
        assert!(pace.trickles(5_001, 1_000));
        assert!(pace.trickles(5_999, 1_000));
        assert!(!pace.trickles(6_000, 1_000));
    }
}
