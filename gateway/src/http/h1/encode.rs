//! From a head to bytes: what is hop-by-hop stays here, what frames the message is written anew.
//!
//! The head that left the filters is never changed: each attempt on a node encodes it again. Fields that
//! arrived side by side leave in one copy, which is most of the work for most messages.

use super::BodyEncoder;
use crate::http::BodyLength;
use crate::http::error_body::reason_phrase;
use crate::http::fields::{Field, Fields, Known, valid_value};
use crate::http::forwarded::Forwarded;
use crate::http::head::{Method, RequestHead, ResponseHead, Version};

/// What a request to a node says beside the client's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestEncoding<'a> {
    /// The body's length: known gives Content-Length, unknown is sent in chunks.
    pub body: BodyLength,
    /// The Host that the node shall see.
    pub host: &'a [u8],
    /// Who asked, and how.
    pub forwarded: &'a Forwarded<'a>,
    /// The value of X-Request-Id; a client's own is replaced by it. It must be a valid field value.
    pub request_id: &'a str,
    /// Whether the client's Upgrade goes on to the node.
    pub upgrade: bool,
}

/// What a response to a client says beside the node's head.
#[derive(Clone, Copy, Debug)]
pub struct ResponseEncoding<'a> {
    /// The body's length: known gives Content-Length; unknown is sent in chunks, or up to the connection's
    /// end if the client speaks HTTP/1.0.
    pub body: BodyLength,
    /// The version of the client's request.
    pub client_version: Version,
    /// Whether the gateway is willing to keep the connection; see [`ResponseEncoding::keeps_alive`].
    pub keep_alive: bool,
    /// Whether the request was HEAD.
    pub head_request: bool,
    /// Whether this 101 turns the connection into a tunnel.
    pub upgrade: bool,
    /// The time as IMF-fixdate (RFC 9110, 5.6.7), for responses without Date.
    pub date: &'a [u8],
    /// Fields to append. They must be valid, see [`crate::http::fields`].
    pub extra: &'a [(&'a str, &'a [u8])],
}

impl ResponseEncoding<'_> {
    /// How the body has to be framed after a head of this status was written.
    pub fn body_encoder(&self, status: u16) -> BodyEncoder {
        if is_bodiless(status) || status == 304 || self.head_request {
            return BodyEncoder::Empty;
        }
        match self.body {
            BodyLength::Unknown if self.client_version == Version::Http10 => BodyEncoder::UntilClose,
            body => BodyEncoder::for_request(body),
        }
    }

    /// Whether the connection lives on after a response of this status: what its head says.
    pub fn keeps_alive(&self, status: u16) -> bool {
        self.keep_alive && self.body_encoder(status) != BodyEncoder::UntilClose
    }
}

/// Writes the head of one attempt: request line, Host, the client's fields without the hop-by-hop ones, the
/// body's framing, who asked, and the request's id.
pub fn encode_request(head: &RequestHead, options: &RequestEncoding, out: &mut Vec<u8>) {
    debug_assert!(valid_value(options.host) && valid_value(options.request_id.as_bytes()));
    // Beside the client's head: two addresses, two hosts, the id, and names and framing under 256 bytes.
    out.reserve(head.fields.buffer().len() + 3 * options.host.len() + options.request_id.len() + 512);
    out.extend_from_slice(head.method_name().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.path());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(options.host);
    out.extend_from_slice(b"\r\n");
    copy_fields(&head.fields, out, |field| match field.known {
        Known::Other => true,
        // The node would answer 100 to a client that does not know it (RFC 9110, 10.1.1).
        Known::Expect => head.version == Version::Http11,
        known => !is_rewritten(known) && !is_request_only_rewritten(known),
    });
    match options.body {
        BodyLength::Known(length) => push_length(out, length),
        // RFC 9110, 8.6: a method that expects a body says that there is none.
        BodyLength::Empty if matches!(head.method, Method::Post | Method::Put | Method::Patch) => {
            push_length(out, 0);
        }
        BodyLength::Empty => {}
        BodyLength::Unknown => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    options.forwarded.write(&head.fields, out);
    if !options.request_id.is_empty() {
        push_field(out, b"x-request-id", options.request_id.as_bytes());
    }
    if options.upgrade {
        push_upgrade(&head.fields, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a response's head for the client: status line, the node's fields without the hop-by-hop ones, the
/// body's framing, Date if it is missing, and what the client may do with the connection.
pub fn encode_response(head: &ResponseHead, options: &ResponseEncoding, out: &mut Vec<u8>) {
    out.reserve(head.fields.buffer().len() + 256);
    push_status_line(head, out);
    let status = head.status;
    // The length of the body that a GET would have had (RFC 9110, 8.6), which only the node knows.
    let keeps_length = !is_bodiless(status) && (options.head_request || status == 304);
    let mut has_date = false;
    let mut has_length = false;
    copy_fields(&head.fields, out, |field| match field.known {
        Known::Other => {
            has_date |= is_date(head.fields.bytes(field.name));
            true
        }
        Known::ContentLength => {
            has_length |= keeps_length;
            keeps_length
        }
        known => !is_rewritten(known),
    });
    for (name, value) in options.extra {
        debug_assert!(valid_value(value));
        has_date |= is_date(name.as_bytes());
        push_field(out, name.as_bytes(), value);
    }
    if is_bodiless(status) {
        // No framing at all (RFC 9112, 6.1 and 6.3).
    } else if keeps_length {
        if let (false, BodyLength::Known(length)) = (has_length, options.body) {
            push_length(out, length);
        }
    } else {
        match options.body_encoder(status) {
            BodyEncoder::Empty => push_length(out, 0),
            BodyEncoder::Known { left } => push_length(out, left),
            BodyEncoder::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            BodyEncoder::UntilClose => {}
        }
    }
    if status >= 200 {
        if !has_date {
            push_field(out, b"date", options.date);
        }
        if !options.keeps_alive(status) {
            out.extend_from_slice(b"connection: close\r\n");
        } else if options.client_version == Version::Http10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
    } else if options.upgrade {
        push_upgrade(&head.fields, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// 1xx and 204: a head and nothing else, whatever it says.
fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204)
}

/// Fields that are written anew, or not at all, on either side.
fn is_rewritten(known: Known) -> bool {
    known.is_hop_by_hop() || known == Known::ContentLength
}

fn is_request_only_rewritten(known: Known) -> bool {
    known.is_of_certificate()
        || matches!(
            known,
            Known::Host
                | Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedProto
                | Known::XForwardedHost
                | Known::XRequestId
        )
}

fn is_date(name: &[u8]) -> bool {
    name.len() == 4 && name.eq_ignore_ascii_case(b"date")
}

/// Copies the fields that `keep` accepts. Neighbours that stand as they arrived leave in one copy.
fn copy_fields(fields: &Fields, out: &mut Vec<u8>, mut keep: impl FnMut(&Field) -> bool) {
    let buffer = fields.buffer();
    let mut run = 0..0;
    for field in fields.iter() {
        if !keep(field) {
            continue;
        }
        let (name, value) = (field.name, field.value);
        let line = name.start as usize..value.end as usize;
        if value.start > name.end && buffer.get(run.end..line.start) == Some(b"\r\n") {
            run.end = line.end;
            continue;
        }
        push_run(out, &buffer[run]);
        if value.start > name.end {
            // It arrived as a line, so a colon and white space stand between name and value.
            run = line;
        } else {
            push_field(out, fields.bytes(name), fields.bytes(value));
            run = 0..0;
        }
    }
    push_run(out, &buffer[run]);
}

fn push_run(out: &mut Vec<u8>, run: &[u8]) {
    if !run.is_empty() {
        out.extend_from_slice(run);
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes one field line.
pub(super) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn push_status_line(head: &ResponseHead, out: &mut Vec<u8>) {
    let reason = head.fields.bytes(head.reason);
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(head.status));
    out.push(b' ');
    if reason.is_empty() {
        out.extend_from_slice(reason_phrase(head.status).as_bytes());
    } else {
        out.extend_from_slice(reason);
    }
    out.extend_from_slice(b"\r\n");
}

/// The protocol that the sender of this head asked for or agreed to.
fn push_upgrade(fields: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"connection: upgrade\r\n");
    for protocol in fields.known_all(Known::Upgrade) {
        push_field(out, b"upgrade", protocol);
    }
}

fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    push_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number without the formatting machinery.
fn push_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
