//! The HTTP/1.1 codec, for both sides of the gateway (RFC 9112).
//!
//! It turns bytes into heads and body pieces, and back. httparse splits a head into tokens; what a message's
//! framing is, what is refused and what is never forwarded is decided here. An edge and its nodes must
//! agree on where each message ends, so whatever RFC 9112 lets two readers see differently is refused.
//! No socket, no clock, no state but a body's: what is not complete yet is simply asked again.

mod body;
mod encode;
mod encode_body;
mod error;
mod framing;
mod names;
mod parse;
mod scan;
mod target;
mod trailers;

#[cfg(test)]
mod tests;

pub use body::{BodyDecoder, Piece};
pub use encode::{RequestEncoding, ResponseEncoding, encode_request, encode_response};
pub use encode_body::{BodyEncoder, ChunkFrame};
pub use error::Malformed;
pub use parse::{parse_request, parse_response};
pub use target::{valid_authority, valid_path};
pub use trailers::is_allowed as is_allowed_trailer;

use super::BodyLength;

/// What an edge does to requests beyond what RFC 9112 leaves no choice about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Whether paths are brought into their plain form ([`super::path`]), and ambiguous ones refused.
    pub normalize_path: bool,
    /// Whether an escaped slash or backslash stays in a path that is.
    pub keep_escaped_slashes: bool,
    /// Whether fields with an underscore in their names stay: many applications take it for a dash. Those that would pass for a
    /// field that the gateway knows go in any case.
    pub keep_underscores: bool,
}

impl Default for Edge {
    /// The strictest.
    fn default() -> Self {
        Edge { normalize_path: true, keep_escaped_slashes: false, keep_underscores: false }
    }
}

/// How many fields a head may have at most, whatever [`HeadLimits`] says: they are tokenised on the stack.
pub const MAX_FIELDS: usize = 128;

/// What a peer may make us hold for one head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head, its last empty line included.
    pub max_bytes: usize,
    /// Field lines; never more than [`MAX_FIELDS`].
    pub max_fields: usize,
}

impl Default for HeadLimits {
    /// 32 KiB: four times nginx's line, since cookies and tokens grow. 100 fields, as most servers allow.
    fn default() -> Self {
        HeadLimits { max_bytes: 32 * 1024, max_fields: 100 }
    }
}

/// What HTTP/1.1 says about a request's exchange beside its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    /// How long the body is; [`BodyLength::Unknown`] means chunked.
    pub body: BodyLength,
    /// Whether the client may send another request on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1).
    pub expect_continue: bool,
    /// Whether the client asks for another protocol (RFC 9110, 7.8). Never true for `h2c`: a tunnel that
    /// speaks HTTP would carry requests past every check; nor for a request with a body.
    pub upgrade: bool,
}

impl RequestFraming {
    /// Whether its head is all that the client sends on this connection, by its own word.
    pub fn is_last(&self) -> bool {
        !self.keep_alive && self.body == BodyLength::Empty
    }
}

/// What HTTP/1.1 says about a response's exchange beside its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the connection may be used again once the body ended.
    pub keep_alive: bool,
    /// False: the body ends with the connection, or with its stream of HTTP/2.
    pub delimited: bool,
    /// Whether an unknown length is told by chunks.
    pub chunked: bool,
}

impl ResponseFraming {
    /// What takes the framing off the body.
    pub fn decoder(self) -> BodyDecoder {
        let body = if self.delimited { self.body } else { BodyLength::Unknown };
        BodyDecoder::new(body, self.chunked)
    }
}
