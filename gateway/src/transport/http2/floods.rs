//! How many frames that ask for nothing a client may send: what h2 does not bound by itself.
//!
//! h2 bounds what it would have to keep: streams, heads and their CONTINUATIONs, small DATA, resets of streams that nobody
//! has accepted yet. It answers every PING and SETTINGS, though, and a request that is given up after it was accepted, or that
//! makes the gateway itself reset the stream (MadeYouReset, CVE-2025-8671), frees its place at once: so a client could have
//! any amount of work done in spite of the limit on streams.
//!
//! So such frames are paid from allowances that grow with time, and with what the client is honestly sent: who downloads has
//! to widen windows, and gRPC pings as often as messages come. See docs/decisions/0048-floods-are-paid-from-allowances.md.

use std::time::{Duration, Instant};

use super::frames::{Frame, kind};
use crate::telemetry::Refused;

/// Frames in hand, and more of them a second. A thousand cost about as much as ten requests; browsers and gRPC send a few.
const IDLE: (u32, u32) = (1_000, 500);
/// The same for streams that came to nothing: a page that is left gives up as many as it had, at most `http2_streams`.
const RESETS: (u32, u32) = (500, 100);
/// What a SETTINGS costs: a changed window is applied to each stream.
const SETTINGS_COST: u32 = 10;
/// DATA of fewer bytes earns no WINDOW_UPDATE: a client that takes a response byte by byte makes each byte a frame.
const LEAST_DATA: usize = 64;
/// Bytes of DATA that earn one WINDOW_UPDATE more. Go's client sends two for each 4 KiB.
const EARNING_DATA: usize = 1024;

/// So much may be spent, and grows again.
#[derive(Debug)]
struct Allowance {
    /// In millionths.
    left: u64,
    most: u64,
    per_second: u64,
}

const UNIT: u64 = 1_000_000;

impl Allowance {
    fn new((most, per_second): (u32, u32)) -> Allowance {
        let most = u64::from(most) * UNIT;
        Allowance { left: most, most, per_second: per_second.into() }
    }

    fn pass(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.grow(micros.saturating_mul(self.per_second));
    }

    fn earn(&mut self, count: usize) {
        self.grow(count as u64 * UNIT);
    }

    fn grow(&mut self, more: u64) {
        self.left = self.left.saturating_add(more).min(self.most);
    }

    /// False if it is not enough.
    fn spend(&mut self, cost: u32) -> bool {
        let left = self.left.checked_sub(u64::from(cost) * UNIT);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// A connection's allowances.
#[derive(Debug)]
pub(super) struct Floods {
    pings: Allowance,
    /// WINDOW_UPDATE, SETTINGS, PRIORITY and types that nobody knows.
    others: Allowance,
    resets: Allowance,
    looked: Instant,
    found: Option<Refused>,
}

impl Floods {
    /// Of a connection that begins now.
    pub(super) fn new(now: Instant) -> Floods {
        let [pings, others, resets] = [IDLE, IDLE, RESETS].map(Allowance::new);
        Floods { pings, others, resets, looked: now, found: None }
    }

    /// What the client overdid, if it did.
    pub(super) fn found(&self) -> Option<Refused> {
        self.found
    }

    /// Time goes on; asked once for each read, not for each frame.
    pub(super) fn look(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        for allowance in [&mut self.pings, &mut self.others, &mut self.resets] {
            allowance.pass(passed);
        }
    }

    /// The client sent this frame.
    pub(super) fn came(&mut self, frame: Frame) {
        let (allowance, cost, flood) = match frame.kind {
            // What these ask for is bounded elsewhere.
            kind::DATA | kind::HEADERS | kind::CONTINUATION => return,
            _ if frame.is_answer() => return,
            kind::RST_STREAM => (&mut self.resets, 1, Refused::Http2Resets),
            kind::PING => (&mut self.pings, 1, Refused::Http2Pings),
            kind::SETTINGS => (&mut self.others, SETTINGS_COST, Refused::Http2Settings),
            kind::WINDOW_UPDATE => (&mut self.others, 1, Refused::Http2WindowUpdates),
            kind::PRIORITY => (&mut self.others, 1, Refused::Http2Priorities),
            _ => (&mut self.others, 1, Refused::Http2Unknown),
        };
        if !allowance.spend(cost) {
            self.found.get_or_insert(flood);
        }
    }

    /// The client is sent this frame.
    pub(super) fn went(&mut self, frame: Frame) {
        if frame.ends_stream() {
            self.resets.earn(1);
        }
        match frame.kind {
            kind::DATA => {
                self.pings.earn(1);
                if frame.length >= LEAST_DATA {
                    self.others.earn(1 + frame.length / EARNING_DATA);
                }
            }
            kind::RST_STREAM if is_provoked(frame.code) && !self.resets.spend(1) => {
                self.found.get_or_insert(Refused::Http2ProvokedResets);
            }
            _ => {}
        }
    }
}

/// Whether a stream is reset with this code for what the client did on it, and not for a node's failure.
fn is_provoked(code: u32) -> bool {
    // PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM (RFC 9113, 7).
    matches!(code, 0x1 | 0x3 | 0x5 | 0x6 | 0x7 | 0xb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8) -> Frame {
        Frame { kind, flags: 0, stream: 1, length: 8, code: 8 }
    }

    /// How many of them pass in a row.
    fn passing(floods: &mut Floods, frame: Frame) -> (usize, Option<Refused>) {
        let count = (0..100_000).take_while(|_| {
            floods.came(frame);
            floods.found().is_none()
        });
        (count.count(), floods.found())
    }

    #[test]
    fn each_kind_has_its_bound_and_its_word() {
        let cases = [
            (kind::PING, 1_000, Refused::Http2Pings),
            (kind::SETTINGS, 100, Refused::Http2Settings),
            (kind::PRIORITY, 1_000, Refused::Http2Priorities),
            (kind::WINDOW_UPDATE, 1_000, Refused::Http2WindowUpdates),
            (kind::RST_STREAM, 500, Refused::Http2Resets),
            (0x77, 1_000, Refused::Http2Unknown),
        ];
        for (kind, bound, word) in cases {
            let mut floods = Floods::new(Instant::now());
            assert_eq!(passing(&mut floods, frame(kind)), (bound, Some(word)));
        }
    }

    #[test]
    fn what_asks_for_something_and_answers_are_free() {
        let mut floods = Floods::new(Instant::now());
        for kind in [kind::DATA, kind::HEADERS, kind::CONTINUATION] {
            assert_eq!(passing(&mut floods, frame(kind)).1, None);
        }
        for kind in [kind::SETTINGS, kind::PING] {
            assert_eq!(passing(&mut floods, Frame { flags: 1, ..frame(kind) }).1, None);
        }
    }

    #[test]
    fn allowances_grow_with_time_but_not_beyond_what_they_were() {
        let start = Instant::now();
        let mut floods = Floods::new(start);
        for _ in 0..1_000 {
            floods.came(frame(kind::PING));
        }
        for milli in 1..=1_000 {
            floods.look(start + Duration::from_millis(milli));
        }
        assert_eq!(
            passing(&mut floods, frame(kind::PING)).0,
            500,
            "so many a second, however often it looks"
        );
        let mut floods = Floods::new(start);
        floods.look(start + Duration::from_secs(3_600));
        assert_eq!(passing(&mut floods, frame(kind::PING)).0, 1_000);
    }

    #[test]
    fn who_downloads_may_widen_windows_and_ping() {
        let mut floods = Floods::new(Instant::now());
        for _ in 0..10_000 {
            floods.went(Frame { length: 16_384, ..frame(kind::DATA) });
            (0..8).for_each(|_| floods.came(frame(kind::WINDOW_UPDATE)));
            floods.came(frame(kind::PING));
        }
        assert_eq!(floods.found(), None);
        let mut floods = Floods::new(Instant::now());
        let drip = (0..10_000).find(|_| {
            floods.went(Frame { length: 1, ..frame(kind::DATA) });
            floods.came(frame(kind::WINDOW_UPDATE));
            floods.found().is_some()
        });
        assert_eq!((drip, floods.found()), (Some(1_000), Some(Refused::Http2WindowUpdates)));
    }

    #[test]
    fn as_many_requests_may_be_given_up_as_are_answered() {
        let mut floods = Floods::new(Instant::now());
        for _ in 0..10_000 {
            floods.went(Frame { flags: 1, ..frame(kind::HEADERS) });
            floods.came(frame(kind::RST_STREAM));
        }
        assert_eq!(floods.found(), None);
    }

    #[test]
    fn resets_count_if_the_client_provoked_them() {
        let mut floods = Floods::new(Instant::now());
        for _ in 0..10_000 {
            // A node failed: INTERNAL_ERROR.
            floods.went(Frame { code: 2, ..frame(kind::RST_STREAM) });
        }
        assert_eq!(floods.found(), None);
        for _ in 0..=500 {
            floods.went(Frame { code: 1, ..frame(kind::RST_STREAM) });
        }
        assert_eq!(floods.found(), Some(Refused::Http2ProvokedResets));
    }
}
