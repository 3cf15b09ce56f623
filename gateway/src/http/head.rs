//! Request and response heads, as every stage between the two codecs sees them.

use memchr::memchr_iter;

use super::fields::{Fields, Mark, Span};
use super::path::{self, Ambiguous};

/// The method of a request (RFC 9110, 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// PATCH
    Patch,
    /// Any other token; its name stands in the head's buffer.
    Other(Span),
}

impl Method {
    /// The method of this name; `span` is where the name stands in the head's buffer.
    pub fn from_name(name: &[u8], span: Span) -> Method {
        match name {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            _ => Method::Other(span),
        }
    }

    /// Whether doing it twice has the effect of doing it once (RFC 9110, 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(
            self,
            Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace
        )
    }
}

/// HTTP's version as far as HTTP/1 tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// A request's head.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The version that the client spoke.
    pub version: Version,
    /// The authority of an absolute target; else the Host field tells it.
    pub target_authority: Option<Span>,
    /// Path and query as they will be forwarded ("*" for OPTIONS *).
    pub path: Span,
    /// Its fields, and the buffer under all spans.
    pub fields: Fields,
}

/// A point in the history of a request head's edits.
#[derive(Clone, Copy, Debug)]
pub struct RequestMark {
    fields: Mark,
    path: Span,
    target_authority: Option<Span>,
}

impl RequestHead {
    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.method = Method::Get;
        self.version = Version::Http11;
        self.target_authority = None;
        self.path = Span::default();
    }

    /// The method's name.
    pub fn method_name(&self) -> &str {
        match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
            Method::Other(span) => std::str::from_utf8(self.fields.bytes(span)).unwrap_or(""),
        }
    }

    /// Path and query.
    pub fn path(&self) -> &[u8] {
        self.fields.bytes(self.path)
    }

    /// The authority that the client asked for; empty if an HTTP/1.0 client named none.
    pub fn authority(&self) -> &[u8] {
        match self.target_authority {
            Some(span) => self.fields.bytes(span),
            None => self.fields.known(super::fields::Known::Host).unwrap_or(b""),
        }
    }

    /// Replaces path and query.
    pub fn set_path(&mut self, path: &[u8]) {
        self.path = self.fields.store(path);
    }

    /// Brings the path into its plain form, and leaves the query as it is; see [`path::plain`].
    ///
    /// # Errors
    /// The path is one that servers read in different ways.
    pub fn normalize_path(&mut self, keep_escaped_slashes: bool) -> Result<(), Ambiguous> {
        let whole = self.path();
        if path::is_surely_plain(whole) {
            return Ok(());
        }
        let (path, query) = whole.split_at(memchr::memchr(b'?', whole).unwrap_or(whole.len()));
        if let Some(mut plain) = path::plain(path, keep_escaped_slashes)? {
            plain.extend_from_slice(query);
            self.set_path(&plain);
        }
        Ok(())
    }

    /// The value of a cookie (RFC 6265, 5.4), without surrounding quotes.
    pub fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.fields.known_all(super::fields::Known::Cookie).find_map(|pairs| cookie(pairs, name.as_bytes()))
    }

    /// Remembers this point, so that [`RequestHead::undo`] can come back to it.
    pub fn mark(&self) -> RequestMark {
        RequestMark { fields: self.fields.mark(), path: self.path, target_authority: self.target_authority }
    }

    /// Undoes every edit since `mark`.
    pub fn undo(&mut self, mark: RequestMark) {
        self.fields.undo(mark.fields);
        self.path = mark.path;
        self.target_authority = mark.target_authority;
    }
}

/// The value of a cookie in a field of pairs.
fn cookie<'a>(pairs: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut start = 0;
    let ends = memchr_iter(b';', pairs).chain(std::iter::once(pairs.len()));
    ends.map(|end| &pairs[std::mem::replace(&mut start, end + 1)..end]).find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// A response's head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The version that the node spoke.
    pub version: Version,
    /// The reason phrase as the node sent it; forwarded as it is, unless a plugin changed the status.
    pub reason: Span,
    /// Its fields, and the buffer under all spans.
    pub fields: Fields,
}

impl ResponseHead {
    /// Forgets the response and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.status = 0;
        self.version = Version::Http11;
        self.reason = Span::default();
    }
}
