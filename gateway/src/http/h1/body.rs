//! Takes the framing off a body, piece by piece and in place (RFC 9112, 6 and 7).
//!
//! The decoder is shown unread input and says which part is data; it never copies data and never waits. Its
//! state is one small value, so input may be cut anywhere.

use std::ops::Range;

use super::Malformed;
use super::trailers::Collector;
use crate::http::BodyLength;
use crate::http::fields::{Fields, valid_value};

/// Bytes that all chunk extensions of one body may take together. They are dropped; nobody uses them, and
/// an endless one would be a body that counts as none.
const MAX_EXTENSION_BYTES: u32 = 16 * 1024;

/// A chunk size has at most so many digits: what fits 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;

/// What the front of the input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Data at `range` of the input; `consumed` bytes of input are done with, framing included.
    Data {
        /// Where the data stands in the input; never empty.
        range: Range<usize>,
        /// How many bytes of the input not to show again.
        consumed: usize,
    },
    /// No data yet; show more input.
    More {
        /// How many bytes of the input not to show again.
        consumed: usize,
    },
    /// The body ended; what follows belongs to the next message.
    End {
        /// How many bytes of the input not to show again.
        consumed: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a known length are to come.
    Known(u64),
    /// Everything up to the end of the connection.
    UntilClose,
    /// In a chunk size, of which so many digits were read.
    Size { digits: u8, size: u64 },
    /// In a chunk extension.
    Extension { size: u64 },
    /// Behind the CR of the size line.
    SizeLf { size: u64 },
    /// In a chunk's data.
    Chunk { left: u64 },
    /// Behind a chunk's data.
    ChunkCr,
    /// Behind the CR that follows a chunk's data.
    ChunkLf,
    /// Behind the last chunk's size line.
    Trailers,
    /// The body ended.
    Done,
}

/// Decodes one body. It is small and holds no buffer unless trailers arrive.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    extension_bytes: u32,
    collector: Option<Box<Collector>>,
    trailers: Option<Box<Fields>>,
}

impl BodyDecoder {
    /// A decoder for a body of this length. An unknown length is told by chunks or by the connection's end.
    pub fn new(body: BodyLength, chunked: bool) -> Self {
        let state = match body {
            BodyLength::Empty | BodyLength::Known(0) => State::Done,
            BodyLength::Known(length) => State::Known(length),
            BodyLength::Unknown if chunked => State::Size { digits: 0, size: 0 },
            BodyLength::Unknown => State::UntilClose,
        };
        BodyDecoder { state, extension_bytes: 0, collector: None, trailers: None }
    }

    /// Looks at unread input. Call it again with what is left until it says `More` or `End`, or
    /// [`is_done`](Self::is_done).
    pub fn decode(&mut self, input: &[u8]) -> Result<Piece, Malformed> {
        let mut at = 0;
        loop {
            match self.state {
                State::Done => return Ok(Piece::End { consumed: at }),
                _ if at == input.len() => return Ok(Piece::More { consumed: at }),
                State::UntilClose => return Ok(data(at..input.len())),
                State::Known(left) => {
                    let taken = left.min((input.len() - at) as u64);
                    self.state = if taken == left { State::Done } else { State::Known(left - taken) };
                    return Ok(data(at..at + taken as usize));
                }
                State::Chunk { left } => {
                    let taken = left.min((input.len() - at) as u64);
                    let left = left - taken;
                    self.state = if left == 0 { State::ChunkCr } else { State::Chunk { left } };
                    return Ok(data(at..at + taken as usize));
                }
                State::Extension { size } => at += self.extension(&input[at..], size)?,
                State::Trailers => at += self.trailer_bytes(&input[at..])?,
                _ => {
                    self.framing_byte(input[at])?;
                    at += 1;
                }
            }
        }
    }

    /// Whether the body ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The peer closed its side: fine for a body that ends so, [`Malformed::Truncated`] for any other that
    /// is not done.
    pub fn close(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Malformed::Truncated),
        }
    }

    /// The trailers that may be passed on, once the body is done and if there were any. Gives them away.
    pub fn trailers(&mut self) -> Option<Box<Fields>> {
        self.trailers.take()
    }

    /// One byte of a size line or of a chunk's end.
    fn framing_byte(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => State::SizeLf { size },
            (State::Size { digits: 1.., size }, b';') => State::Extension { size },
            (State::Size { digits, size }, _) => {
                let digit = (byte as char).to_digit(16).ok_or(size_error(byte))?;
                if digits == MAX_SIZE_DIGITS {
                    return Err(Malformed::ChunkSize);
                }
                State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { size }, b'\n') => State::Chunk { left: size },
            (State::SizeLf { .. }, _) => return Err(Malformed::BareCarriageReturn),
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { digits: 0, size: 0 },
            _ => return Err(Malformed::ChunkEnd),
        };
        Ok(())
    }

    /// Skips extension bytes; returns how many, the CR included.
    fn extension(&mut self, input: &[u8], size: u64) -> Result<usize, Malformed> {
        let end = memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len());
        self.extension_bytes = self.extension_bytes.saturating_add(end.min(u32::MAX as usize) as u32);
        if self.extension_bytes > MAX_EXTENSION_BYTES || !valid_value(&input[..end]) {
            return Err(Malformed::ChunkExtension);
        }
        match input.get(end) {
            None => Ok(end),
            Some(b'\r') => {
                self.state = State::SizeLf { size };
                Ok(end + 1)
            }
            Some(_) => Err(Malformed::BareLineFeed),
        }
    }

    /// Collects trailer bytes; returns how many.
    fn trailer_bytes(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        // The usual body has none: no memory for it when its last CRLF arrives whole.
        if self.collector.is_none() && input.starts_with(b"\r\n") {
            self.state = State::Done;
            return Ok(2);
        }
        let collector = self.collector.get_or_insert_default();
        let taken = collector.take_line(input)?;
        if collector.is_complete() {
            self.trailers = collector.finish()?;
            self.collector = None;
            self.state = State::Done;
        }
        Ok(taken)
    }
}

fn data(range: Range<usize>) -> Piece {
    let consumed = range.end;
    Piece::Data { range, consumed }
}

fn size_error(byte: u8) -> Malformed {
    if byte == b'\n' { Malformed::BareLineFeed } else { Malformed::ChunkSize }
}
