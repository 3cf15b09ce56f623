//! The blocks of fields among a client's frames (RFC 9113, 4.3): whether one is under way, and which streams had trailers with pseudo-fields.
//!
//! h2 drops pseudo-fields from trailers and says nothing of it, where RFC 9113, 8.1 has the message malformed; and it waits
//! for the rest of a block for as long as it may take. Heads are not looked at: h2 is strict with those.

use super::frames::{Frame, kind};
use super::walk::Walk;

/// So many streams with such trailers may wait for somebody to take note. A stream whose exchange is over has nobody; honest clients
/// send no such trailers at all.
const MOST_MALFORMED: usize = 64;

/// What is known of a connection's blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The highest stream that had a head. Their numbers grow, so what comes on it or below it is trailers.
    highest: u32,
    begun: u64,
    coming: Option<Coming>,
    malformed: Vec<u32>,
}

/// A block that is not whole.
#[derive(Debug)]
struct Coming {
    stream: u32,
    /// None over a head.
    walk: Option<Walk>,
    /// Whether the frame at hand is the block's last, and how much of it is to come, padding included.
    is_last: bool,
    left: usize,
    /// Whether the length of the padding is the next byte, and how long that is.
    is_padded: bool,
    padding: usize,
    /// Bytes before the block.
    priority: usize,
}

impl Blocks {
    /// The number of the block that is under way, if one is.
    pub(super) fn coming(&self) -> Option<u64> {
        self.coming.as_ref().map(|_| self.begun)
    }

    /// Whether a stream had malformed trailers; it is told once.
    pub(super) fn take_malformed(&mut self, stream: u32) -> bool {
        let place = self.malformed.iter().position(|malformed| *malformed == stream);
        place.map(|place| self.malformed.swap_remove(place)).is_some()
    }

    /// Whether more streams had malformed trailers than are kept in mind.
    pub(super) fn is_overfull(&self) -> bool {
        self.malformed.len() > MOST_MALFORMED
    }

    /// The client sent this frame's head.
    pub(super) fn came(&mut self, frame: Frame) {
        match (frame.kind, &mut self.coming) {
            (kind::HEADERS, None) => {
                let is_head = frame.stream > self.highest;
                self.highest = self.highest.max(frame.stream);
                self.begun += 1;
                let (is_padded, priority) = frame.around_block();
                self.coming = Some(Coming {
                    stream: frame.stream,
                    walk: (!is_head).then(Walk::new),
                    is_last: frame.ends_block(),
                    left: frame.length,
                    is_padded,
                    padding: 0,
                    priority,
                });
            }
            (kind::CONTINUATION, Some(coming)) => {
                (coming.is_last, coming.left, coming.padding) = (frame.ends_block(), frame.length, 0);
            }
            // Nothing else may come before the block is whole: h2 ends the connection.
            _ => self.coming = None,
        }
        self.end_if_whole();
    }

    /// Bytes behind the last frame's head.
    pub(super) fn payload(&mut self, bytes: &[u8]) {
        if let Some(coming) = &mut self.coming {
            coming.take(bytes);
            self.end_if_whole();
        }
    }

    fn end_if_whole(&mut self) {
        if let Some(coming) = self.coming.take_if(|coming| coming.is_last && coming.left == 0)
            && coming.walk.is_some_and(|walk| walk.has_pseudo())
            && !self.is_overfull()
        {
            self.malformed.push(coming.stream);
        }
    }
}

impl Coming {
    fn take(&mut self, mut bytes: &[u8]) {
        if self.is_padded
            && let Some((padding, rest)) = bytes.split_first()
        {
            (self.is_padded, self.padding) = (false, usize::from(*padding));
            self.left -= 1;
            bytes = rest;
        }
        let priority = self.priority.min(bytes.len());
        self.priority -= priority;
        self.left -= priority;
        bytes = &bytes[priority..];
        if let Some(walk) = &mut self.walk {
            let of_block = self.left.saturating_sub(self.padding).min(bytes.len());
            walk.go_on(&bytes[..of_block]);
        }
        self.left -= bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http2::frames::{Frames, Passed};

    /// On HEADERS and CONTINUATION.
    const END_HEADERS: u8 = 4;
    /// `:method: GET`, and `x: y`.
    const PSEUDO: &[u8] = &[0x82];
    const PLAIN: &[u8] = b"\x00\x01x\x01y";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn headers(stream: u32, payload: &[u8]) -> Vec<u8> {
        frame(kind::HEADERS, END_HEADERS, stream, payload)
    }

    /// What is known when these frames came, in pieces of any size.
    fn after(frames: &[Vec<u8>]) -> Blocks {
        let bytes = frames.concat();
        let mut seen = [1, 3, 10, bytes.len()].map(|step| {
            let (mut blocks, mut frames) = (Blocks::default(), Frames::of_server());
            for piece in bytes.chunks(step) {
                frames.follow(piece, |passed| match passed {
                    Passed::Frame(frame) => blocks.came(frame),
                    Passed::Payload(payload) => blocks.payload(payload),
                });
            }
            blocks
        });
        seen.iter().for_each(|blocks| assert_eq!(blocks.malformed, seen[0].malformed));
        std::mem::take(&mut seen[0])
    }

    #[test]
    fn pseudo_fields_are_looked_for_in_trailers_alone() {
        let mut blocks = after(&[
            headers(1, PSEUDO),
            headers(3, PSEUDO),
            frame(kind::DATA, 0, 1, &[0x82; 30]),
            headers(1, PLAIN),
            headers(3, &[PLAIN, PSEUDO].concat()),
        ]);
        assert_eq!([1, 3, 3, 5].map(|stream| blocks.take_malformed(stream)), [false, true, false, false]);
        assert_eq!(blocks.coming(), None);
    }

    #[test]
    fn padding_and_priority_are_no_fields() {
        const PADDED: u8 = 8;
        const PRIORITY: u8 = 0x20;
        let around = |block: &[u8]| [&[3, 0x82, 0x82, 0x82, 0x82, 0x82], block, &[0x82; 3]].concat();
        let padded =
            |stream, block| frame(kind::HEADERS, END_HEADERS | PADDED | PRIORITY, stream, &around(block));
        let mut blocks = after(&[headers(5, PSEUDO), padded(3, PLAIN), padded(1, PSEUDO)]);
        assert_eq!([1, 3].map(|stream| blocks.take_malformed(stream)), [true, false]);
    }

    #[test]
    fn a_block_goes_on_until_its_last_frame_is_whole() {
        let head = frame(kind::HEADERS, 0, 1, PSEUDO);
        let last = frame(kind::CONTINUATION, END_HEADERS, 1, PLAIN);
        let (cut, _) = last.split_at(last.len() - 1);
        assert_eq!(after(std::slice::from_ref(&head)).coming(), Some(1));
        assert_eq!(after(&[head.clone(), cut.to_vec()]).coming(), Some(1));
        assert_eq!(after(&[head.clone(), last.clone()]).coming(), None);
        assert_eq!(after(&[head, last, frame(kind::HEADERS, 0, 3, PSEUDO)]).coming(), Some(2));
        assert_eq!(after(&[headers(1, &[])]).coming(), None, "an empty one is whole at once");
    }

    #[test]
    fn trailers_are_walked_over_from_frame_to_frame() {
        // The name stands in two frames, none of which tells all.
        let mut blocks = after(&[
            headers(1, PSEUDO),
            frame(kind::HEADERS, 0, 1, b"\x00\x05"),
            frame(kind::CONTINUATION, 0, 1, b""),
            frame(kind::CONTINUATION, END_HEADERS, 1, b":test\x01x"),
        ]);
        assert!(blocks.take_malformed(1));
    }

    #[test]
    fn a_frame_that_may_not_come_in_between_is_no_part_of_it() {
        let blocks = after(&[frame(kind::HEADERS, 0, 1, PSEUDO), frame(kind::DATA, 0, 1, &[0x82; 20])]);
        assert_eq!(blocks.coming(), None);
    }

    #[test]
    fn more_malformed_trailers_than_anybody_waits_for_are_told() {
        let mut frames = vec![headers(1, PSEUDO)];
        frames.resize(1 + MOST_MALFORMED, headers(1, PSEUDO));
        assert!(!after(&frames).is_overfull());
        frames.resize(1_000, headers(1, PSEUDO));
        let blocks = after(&frames);
        assert!(blocks.is_overfull());
        assert_eq!(blocks.malformed.len(), MOST_MALFORMED + 1);
    }
}
