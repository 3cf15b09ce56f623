//! Frames a body on the way out (RFC 9112, 6 and 7).

use super::Malformed;
use super::trailers::is_allowed;
use crate::http::BodyLength;
use crate::http::fields::Fields;

/// How one body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoder {
    /// There is none.
    Empty,
    /// As many bytes as Content-Length promised.
    Known {
        /// Bytes still to come.
        left: u64,
    },
    /// In chunks.
    Chunked,
    /// Bare bytes up to the end of the connection.
    UntilClose,
}

/// What stands before and behind one piece of data, so that the three leave in one vectored write.
#[derive(Clone, Copy, Debug)]
pub struct ChunkFrame {
    bytes: [u8; 18],
    start: u8,
    suffix: &'static [u8],
}

impl ChunkFrame {
    /// What to write before the data.
    pub fn prefix(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }

    /// What to write behind the data.
    pub fn suffix(&self) -> &'static [u8] {
        self.suffix
    }

    const NONE: ChunkFrame = ChunkFrame { bytes: [0; 18], start: 18, suffix: b"" };

    /// The size in hexadecimal and CRLF, written from the end of the array.
    fn chunk(length: usize) -> ChunkFrame {
        let mut bytes = [0; 18];
        bytes[16..].copy_from_slice(b"\r\n");
        let mut start = 16;
        let mut rest = length;
        while rest > 0 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[rest & 15];
            rest >>= 4;
        }
        ChunkFrame { bytes, start: start as u8, suffix: b"\r\n" }
    }
}

impl BodyEncoder {
    /// The framing that [`super::encode_request`] announces for a request's body.
    pub fn for_request(body: BodyLength) -> BodyEncoder {
        match body {
            BodyLength::Empty => BodyEncoder::Empty,
            BodyLength::Known(left) => BodyEncoder::Known { left },
            BodyLength::Unknown => BodyEncoder::Chunked,
        }
    }

    /// The framing where the end of the body is told otherwise: bare bytes, though no more or fewer than are promised.
    pub fn unframed(body: BodyLength) -> BodyEncoder {
        match body {
            BodyLength::Unknown => BodyEncoder::UntilClose,
            body => BodyEncoder::for_request(body),
        }
    }

    /// Frames a piece of `length` bytes. An empty piece gets no frame, since an empty chunk would end the
    /// body. [`Malformed::BodyLength`] if it is more than was promised: nothing of it may be sent.
    pub fn frame(&mut self, length: usize) -> Result<ChunkFrame, Malformed> {
        match self {
            _ if length == 0 => Ok(ChunkFrame::NONE),
            BodyEncoder::Chunked => Ok(ChunkFrame::chunk(length)),
            BodyEncoder::UntilClose => Ok(ChunkFrame::NONE),
            BodyEncoder::Empty => Err(Malformed::BodyLength),
            BodyEncoder::Known { left } => {
                *left = left.checked_sub(length as u64).ok_or(Malformed::BodyLength)?;
                Ok(ChunkFrame::NONE)
            }
        }
    }

    /// Ends the body: writes what stands behind its data. Only chunked bodies have room for trailers, from
    /// others they are dropped. [`Malformed::BodyLength`] if less was framed than was promised: the
    /// connection must then be closed, so that the receiver sees it.
    pub fn finish(&mut self, trailers: Option<&Fields>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match std::mem::replace(self, BodyEncoder::Empty) {
            BodyEncoder::Chunked => {
                out.extend_from_slice(b"0\r\n");
                for field in trailers.into_iter().flat_map(Fields::iter) {
                    let fields = trailers.expect("a field comes from these trailers");
                    let name = fields.bytes(field.name);
                    if is_allowed(name) {
                        super::encode::push_field(out, name, fields.bytes(field.value));
                    }
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
            BodyEncoder::Known { left: 1.. } => Err(Malformed::BodyLength),
            _ => Ok(()),
        }
    }
}
