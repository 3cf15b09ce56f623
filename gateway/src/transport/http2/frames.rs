//! Where frames begin in a connection's bytes (RFC 9113, 4.1), which pass through here on their way to and from h2.
//!
//! It looks at frames' heads alone, keeps no payload and decides nothing: see `floods` and `blocks`.

/// Bytes of a frame's head.
const HEAD: usize = 9;
/// What a client sends before its first frame (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// DATA, HEADERS and the other types (RFC 9113, 6).
pub(super) mod kind {
    pub(in crate::transport::http2) const DATA: u8 = 0;
    pub(in crate::transport::http2) const HEADERS: u8 = 1;
    pub(in crate::transport::http2) const PRIORITY: u8 = 2;
    pub(in crate::transport::http2) const RST_STREAM: u8 = 3;
    pub(in crate::transport::http2) const SETTINGS: u8 = 4;
    pub(in crate::transport::http2) const PING: u8 = 6;
    pub(in crate::transport::http2) const GOAWAY: u8 = 7;
    pub(in crate::transport::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::transport::http2) const CONTINUATION: u8 = 9;
}

/// On SETTINGS and PING: an answer, which asks for nothing.
const ACK: u8 = 1;
/// On DATA and HEADERS: the stream's last.
const END_STREAM: u8 = 1;
/// On HEADERS and CONTINUATION: the block's last.
const END_HEADERS: u8 = 4;
/// On HEADERS: what stands before and behind the fields (RFC 9113, 6.2).
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A frame whose head has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its type, as in [`kind`].
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Whose it is; 0 for the connection's own.
    pub stream: u32,
    /// Bytes of its payload.
    pub length: usize,
    /// The error code that a RST_STREAM gives.
    pub code: u32,
}

impl Frame {
    /// Whether it ends its side of a stream.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether it ends a block of fields.
    pub(super) fn ends_block(self) -> bool {
        self.flags & END_HEADERS != 0
    }

    /// Whether a HEADERS has padding, and bytes of its priority.
    pub(super) fn around_block(self) -> (bool, usize) {
        (self.flags & PADDED != 0, if self.flags & PRIORITY != 0 { 5 } else { 0 })
    }

    /// Whether it answers a SETTINGS or a PING.
    pub(super) fn is_answer(self) -> bool {
        matches!(self.kind, kind::SETTINGS | kind::PING) && self.flags & ACK != 0
    }
}

/// What has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed<'a> {
    /// A frame's head.
    Frame(Frame),
    /// Bytes behind the last head that passed: of its payload, or of a client's greeting if there was none.
    Payload(&'a [u8]),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// What has come of the next frame's head, and of the code of a RST_STREAM behind it.
    head: [u8; HEAD + 4],
    have: usize,
    /// Bytes before that head that are of no interest.
    skip: usize,
}

impl Frames {
    /// What a client sends: frames behind its preface.
    pub(super) fn of_client() -> Frames {
        Frames { head: [0; HEAD + 4], have: 0, skip: PREFACE }
    }

    /// What a server sends.
    pub(super) fn of_server() -> Frames {
        Frames { skip: 0, ..Frames::of_client() }
    }

    /// Follows the bytes that pass, and tells what they are.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Passed<'_>)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let (payload, rest) = bytes.split_at(self.skip.min(bytes.len()));
                self.skip -= payload.len();
                tell(Passed::Payload(payload));
                bytes = rest;
            }
            let taken = (self.wanted() - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            // A RST_STREAM is told with its code, which is wanted once its head is there.
            if self.have > 0 && self.have == self.wanted() {
                tell(Passed::Frame(self.take()));
            }
        }
    }

    fn wanted(&self) -> usize {
        let is_reset = self.have >= HEAD && self.head[3] == kind::RST_STREAM && self.length() >= 4;
        if is_reset { HEAD + 4 } else { HEAD }
    }

    fn length(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }

    fn take(&mut self) -> Frame {
        let length = self.length();
        let code = if self.have > HEAD { self.number(HEAD) } else { 0 };
        self.skip = length - (self.have - HEAD);
        self.have = 0;
        // The bit before the stream's number means nothing (RFC 9113, 4.1).
        let stream = self.number(5) & 0x7fff_ffff;
        Frame { kind: self.head[3], flags: self.head[4], stream, length, code }
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.head[at], self.head[at + 1], self.head[at + 2], self.head[at + 3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        [&length.to_be_bytes()[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_found_however_their_bytes_are_cut() {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(kind::SETTINGS, 0, &[]),
            frame(kind::DATA, END_STREAM, &[7; 300]),
            frame(kind::RST_STREAM, 0, &8_u32.to_be_bytes()),
            frame(kind::PING, ACK, &[0; 8]),
        ]
        .concat();
        for step in [1, 2, 5, 9, 13, 40, bytes.len()] {
            let (mut frames, mut seen, mut data) = (Frames::of_client(), Vec::new(), 0);
            for piece in bytes.chunks(step) {
                frames.follow(piece, |passed| match passed {
                    Passed::Frame(frame) => seen.push(frame),
                    Passed::Payload(bytes) => data += bytes.iter().filter(|byte| **byte == 7).count(),
                });
            }
            assert_eq!(data, 300, "in pieces of {step}");
            assert!(seen.iter().all(|frame| frame.stream == 1));
            let told: Vec<_> = seen.iter().map(|frame| (frame.kind, frame.length, frame.code)).collect();
            assert_eq!(told, [(4, 0, 0), (0, 300, 0), (3, 4, 8), (6, 8, 0)], "in pieces of {step}");
            let ends = seen.iter().map(|frame| (frame.ends_stream(), frame.is_answer()));
            assert_eq!(
                ends.collect::<Vec<_>>(),
                [(false, false), (true, false), (false, false), (false, true)]
            );
        }
    }
}
