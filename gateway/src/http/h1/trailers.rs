//! Trailers: fields behind a chunked body (RFC 9112, 7.1.2), bounded and filtered.
//!
//! They come after every decision was made on the head, so none that could change one is passed on.

use super::Malformed;
use super::names::is_impostor;
use crate::http::fields::{Fields, Known};

/// Bytes of a trailer section: checksums, signatures and a status take a few hundred.
const MAX_BYTES: usize = 8 * 1024;
/// Fields of a trailer section.
const MAX_FIELDS: usize = 32;

/// Gathers the section's bytes, which may arrive cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: Vec<u8>,
    /// Where the line begins that is being gathered.
    line: usize,
    complete: bool,
}

impl Collector {
    /// Takes input up to the end of a line, if it is there; returns how many bytes.
    pub(super) fn take_line(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let end = memchr::memchr(b'\n', input);
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.bytes.len() + taken > MAX_BYTES {
            return Err(Malformed::Trailers);
        }
        self.bytes.extend_from_slice(&input[..taken]);
        if end.is_some() {
            match &self.bytes[self.line..] {
                b"\r\n" => self.complete = true,
                [.., b'\r', b'\n'] => self.line = self.bytes.len(),
                _ => return Err(Malformed::BareLineFeed),
            }
        }
        Ok(taken)
    }

    /// Whether the empty line arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The fields that may be passed on, if there are any.
    pub(super) fn finish(&self) -> Result<Option<Box<Fields>>, Malformed> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match httparse::parse_headers(&self.bytes, &mut slots) {
            Ok(httparse::Status::Complete((end, headers))) if end == self.bytes.len() => {
                let mut fields: Option<Box<Fields>> = None;
                for header in headers.iter().filter(|header| is_allowed(header.name.as_bytes())) {
                    let fields = fields.get_or_insert_default();
                    fields.add(header.name.as_bytes(), header.value);
                }
                Ok(fields)
            }
            _ => Err(Malformed::Trailers),
        }
    }
}

/// Names that RFC 9110, 6.5.1 keeps out of trailers, beside those that the gateway knows itself.
const REFUSED: [&str; 30] = [
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
    "set-cookie",
    "content-encoding",
    "content-type",
    "content-range",
    "content-location",
    "cache-control",
    "pragma",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "max-forwards",
    "age",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "origin",
    "referer",
    "user-agent",
    "x-real-ip",
    "x-forwarded-port",
    "x-http-method-override",
];

/// Whether a trailer of this name may be passed on. What the gateway knows, it knows because it frames,
/// routes, authenticates or speaks of one connection.
pub fn is_allowed(name: &[u8]) -> bool {
    Known::from_name(name) == Known::Other
        && !is_impostor(name)
        && !REFUSED.iter().any(|refused| name.eq_ignore_ascii_case(refused.as_bytes()))
}
