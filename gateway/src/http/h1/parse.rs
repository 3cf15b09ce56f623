//! From bytes to a head. A request's head takes the buffer that its bytes arrived in; a response's is copied out of its
//! buffer, so that the body behind it, which may be long, stays where it is.

use std::mem::{MaybeUninit, swap};

use super::framing::{Seen, leave_out};
use super::names::Names;
use super::scan::{head_end, request_start, response_start};
use super::target::{parse_target, same_authority};
use super::{Edge, HeadLimits, MAX_FIELDS, Malformed, RequestFraming, ResponseFraming};
use crate::http::BodyLength;
use crate::http::fields::{Fields, Known, Span};
use crate::http::head::{Method, RequestHead, ResponseHead, Version};

/// Parses a request's head at the front of `buffer`. `Ok(None)`: it is not complete yet.
///
/// When it is complete, `head` takes the bytes (the two buffers are swapped) and `buffer` keeps just what
/// followed the head. After an error `head` is empty and the connection of no further use.
pub fn parse_request(
    buffer: &mut Vec<u8>,
    head: &mut RequestHead,
    limits: &HeadLimits,
    edge: Edge,
) -> Result<Option<RequestFraming>, Malformed> {
    let result = read_request(buffer, head, limits, edge);
    if result.is_err() {
        // Its spans may point past its buffer.
        head.clear();
    }
    result
}

fn read_request(
    buffer: &mut Vec<u8>,
    head: &mut RequestHead,
    limits: &HeadLimits,
    edge: Edge,
) -> Result<Option<RequestFraming>, Malformed> {
    let Some(start) = request_start(buffer)? else {
        return Ok(None);
    };
    let Some(end) = head_end(buffer, start, limits)? else {
        return Ok(None);
    };
    head.clear();
    let whole = &buffer[..end];
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request
        .parse_with_uninit_headers(&whole[start..], &mut slots)
        .map_err(|error| request_error(error, &whole[start..]))?;
    let (true, Some(method), Some(target)) = (parsed.is_complete(), request.method, request.path) else {
        return Err(Malformed::RequestLine);
    };
    head.method = known_method(method.as_bytes(), whole)?;
    head.version = version(request.version);
    let target = parse_target(whole, target.as_bytes(), head.method)?;
    let names = Names::of_request(whole, edge.keep_underscores);
    let seen = take_fields(whole, request.headers, names, &mut head.fields)?;
    seen.check_host(head.version)?;
    let body = seen.body(head.version)?.unwrap_or(BodyLength::Empty);

    take_bytes(buffer, end, &mut head.fields);
    head.target_authority = target.authority;
    head.path = target.path;
    if target.path_missing {
        add_missing_path(head);
    }
    if seen.leaves_out() {
        leave_out(&mut head.fields);
    }
    // RFC 9112, 3.2.2 would let the target rule; an honest client has the same in both.
    if target.authority.is_some() && !same_authority(head, target.default_port) {
        return Err(Malformed::HostDiffers);
    }
    if edge.normalize_path && !target.is_plain {
        head.normalize_path(edge.keep_escaped_slashes).map_err(|_| Malformed::Path)?;
    }
    Ok(Some(RequestFraming {
        body,
        keep_alive: seen.keep_alive(head.version),
        expect_continue: body != BodyLength::Empty && seen.expect_continue(head.version),
        // Behind a body nobody could tell the request's last byte from the first of the other protocol.
        upgrade: body == BodyLength::Empty && seen.upgrade(head.version),
    }))
}

/// Parses a response's head at the front of `buffer` into `head`, and tells how many bytes it takes there. `Ok(None)`: it
/// is not complete yet. After an error `head` is empty and the connection of no further use. 1xx heads are returned as
/// heads with an empty body. `method` is the request's: HEAD, and 2xx to CONNECT, have no body.
pub fn parse_response(
    buffer: &[u8],
    head: &mut ResponseHead,
    method: Method,
    limits: &HeadLimits,
) -> Result<Option<(ResponseFraming, usize)>, Malformed> {
    let result = read_response(buffer, head, method, limits);
    if result.is_err() {
        head.clear();
    }
    result
}

fn read_response(
    buffer: &[u8],
    head: &mut ResponseHead,
    method: Method,
    limits: &HeadLimits,
) -> Result<Option<(ResponseFraming, usize)>, Malformed> {
    response_start(buffer)?;
    let Some(end) = head_end(buffer, 0, limits)? else {
        return Ok(None);
    };
    head.clear();
    let whole = &buffer[..end];
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        whole,
        &mut slots,
    )?;
    let (true, Some(status @ 100..=599)) = (parsed.is_complete(), response.code) else {
        return Err(Malformed::StatusLine);
    };
    head.status = status;
    head.version = version(response.version);
    // httparse gives an empty text that stands elsewhere when the phrase is not ASCII.
    if let Some(reason) = response.reason.filter(|reason| !reason.is_empty()) {
        head.reason = Span::of(whole, reason.as_bytes());
    }
    let seen = take_fields(whole, response.headers, Names::of_response(whole), &mut head.fields)?;
    let told = seen.body(head.version)?;
    head.fields.buffer_mut().extend_from_slice(whole);
    if seen.leaves_out() {
        leave_out(&mut head.fields);
    }

    let bodiless = matches!(status, 100..=199 | 204 | 304)
        || method == Method::Head
        || (method == Method::Connect && status < 300);
    let (body, delimited) = match told {
        _ if bodiless => (BodyLength::Empty, true),
        Some(body) => (body, true),
        None => (BodyLength::Unknown, false),
    };
    let framing = ResponseFraming {
        body,
        // After 101 it speaks another protocol, whatever becomes of the response.
        keep_alive: delimited && status != 101 && seen.keep_alive(head.version),
        delimited,
        chunked: delimited && body == BodyLength::Unknown,
    };
    Ok(Some((framing, end)))
}

/// A method as the registry writes them, in capital letters: a server that knows no case would see one that no rule saw.
fn known_method(name: &[u8], whole: &[u8]) -> Result<Method, Malformed> {
    let method = Method::from_name(name, Span::of(whole, name));
    let is_odd = matches!(method, Method::Other(_)) && name.iter().any(u8::is_ascii_lowercase);
    if is_odd { Err(Malformed::Method) } else { Ok(method) }
}

/// Notes each field's place and meaning.
fn take_fields(
    whole: &[u8],
    headers: &[httparse::Header<'_>],
    mut names: Names<'_>,
    fields: &mut Fields,
) -> Result<Seen, Malformed> {
    let mut seen = Seen::default();
    for header in headers {
        let name = header.name.as_bytes();
        let span = Span::of(whole, name);
        if names.drops(span) {
            continue;
        }
        let known = Known::from_name(name);
        seen.field(known, header.value)?;
        fields.push_known(span, Span::of(whole, header.value), known);
    }
    Ok(seen)
}

/// Gives the head its bytes and leaves what follows them in `buffer`.
fn take_bytes(buffer: &mut Vec<u8>, end: usize, fields: &mut Fields) {
    let own = fields.buffer_mut();
    swap(buffer, own);
    buffer.clear();
    buffer.extend_from_slice(&own[end..]);
    own.truncate(end);
}

/// `http://host` means "/", `http://host?query` "/?query", and OPTIONS of the former "*" (RFC 9112, 3.2.4).
fn add_missing_path(head: &mut RequestHead) {
    if head.path.is_empty() {
        let path: &[u8] = if head.method == Method::Options { b"*" } else { b"/" };
        head.set_path(path);
    } else {
        let path = [b"/", head.path()].concat();
        head.set_path(&path);
    }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

/// httparse reports a second space as a bad version; only a version of the right form is worth a 505.
fn request_error(error: httparse::Error, head: &[u8]) -> Malformed {
    if error != httparse::Error::Version {
        return error.into();
    }
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|&byte| byte == b' ').skip(2);
    match (parts.next(), parts.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Malformed::Version
        }
        _ => Malformed::RequestLine,
    }
}
