//! Heads between HTTP/2's shape and the gateway's own (RFC 9113, 8.3).
//!
//! What comes is written as a head of HTTP/1.1 and read by that codec, so that what is refused there is refused here, by the
//! same few lines: no input may mean one thing in one version and another in the next. What goes to nodes is written by that
//! codec and taken apart, for the same reason. Frames and streams are h2's business.

use h2::ext::Protocol;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};

use super::BodyLength;
use super::fields::{Fields, Known};
use super::h1::{
    Edge, HeadLimits, Malformed, RequestEncoding, RequestFraming, ResponseEncoding, ResponseFraming,
    encode_request, is_allowed_trailer, parse_request, parse_response,
};
use super::head::{Method, RequestHead, ResponseHead};
use super::websocket;

/// Takes a request's head. `ended`: nothing follows it.
///
/// # Errors
/// As in HTTP/1.1; an authority that the fields contradict (RFC 9113, 8.3.1); a CONNECT that is not for WebSocket.
pub fn take_request(
    parts: &Parts,
    ended: bool,
    head: &mut RequestHead,
    limits: &HeadLimits,
    edge: Edge,
) -> Result<RequestFraming, Malformed> {
    let mut text = Vec::with_capacity(1024);
    write_request(parts, &mut text)?;
    let framing = parse_request(&mut text, head, limits, edge)?.ok_or(Malformed::RequestLine)?;
    let body = match framing.body {
        // What follows is the other protocol's.
        BodyLength::Empty if framing.upgrade => BodyLength::Empty,
        // One that was told to have bytes has to have them; h2 sees to that.
        BodyLength::Empty if !ended => BodyLength::Unknown,
        body => body,
    };
    let expect_continue = body != BodyLength::Empty && expects_continue(&parts.headers);
    Ok(RequestFraming { body, keep_alive: true, expect_continue, upgrade: framing.upgrade })
}

fn write_request(parts: &Parts, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let switches = asks_for_websocket(parts)?;
    let method = if switches { "GET" } else { parts.method.as_str() };
    let asked = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = parts.headers.get(http::header::HOST).map(HeaderValue::as_bytes);
    if let (Some(asked), Some(named)) = (asked, named)
        && !asked.eq_ignore_ascii_case(named)
    {
        return Err(Malformed::Host);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    for piece in [method.as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1\r\n"] {
        text.extend_from_slice(piece);
    }
    if let Some(host) = asked.or(named) {
        write_field(b"host", host, text);
    }
    let mut cookies =
        parts.headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes).peekable();
    if cookies.peek().is_some() {
        // HTTP/2 may send it in crumbs (RFC 9113, 8.2.3).
        let joined = cookies.collect::<Vec<_>>().join(&b"; "[..]);
        write_field(b"cookie", &joined, text);
    }
    if switches {
        write_switch(text);
    }
    for (name, value) in &parts.headers {
        if switches && name == http::header::SEC_WEBSOCKET_KEY {
            continue;
        }
        match Known::from_name(name.as_str().as_bytes()) {
            Known::Host | Known::Cookie => {}
            // h2 refuses those that speak of a connection, but for `te: trailers`, which nodes of HTTP/2 are told.
            known if known.is_hop_by_hop() && known != Known::Te => {}
            _ => write_field(name.as_str().as_bytes(), value.as_bytes(), text),
        }
    }
    text.extend_from_slice(b"\r\n");
    Ok(())
}

/// Whether a tunnel for WebSocket is asked for (RFC 8441, 4).
fn asks_for_websocket(parts: &Parts) -> Result<bool, Malformed> {
    if parts.method != http::Method::CONNECT {
        return Ok(false);
    }
    match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case(websocket::PROTOCOL) => {}
        // The plain one would make a forward proxy of the gateway; what other protocols carry, no rule could see.
        _ => return Err(Malformed::Connect),
    }
    // Its length is that of the tunnel, and nobody can know it (RFC 9113, 8.5).
    match parts.headers.get(http::header::CONTENT_LENGTH) {
        Some(_) => Err(Malformed::ContentLength),
        None => Ok(true),
    }
}

/// The same wish in HTTP/1.1. Its key is the gateway's, which will check what the node makes of it (RFC 8441, 5.1).
fn write_switch(text: &mut Vec<u8>) {
    write_field(b"connection", b"upgrade", text);
    write_field(b"upgrade", websocket::PROTOCOL.as_bytes(), text);
    write_field(b"sec-websocket-key", websocket::new_key().as_bytes(), text);
}

/// Makes a request to a node of the head of one attempt, `secure` if that is met under TLS; `text` is for scratch. An upgrade
/// becomes a CONNECT, which asks for a tunnel in HTTP/2 (RFC 8441, 5).
///
/// # Errors
/// HTTP/2 has no way to say it.
pub fn request(
    head: &RequestHead,
    options: &RequestEncoding<'_>,
    secure: bool,
    text: &mut Vec<u8>,
) -> Result<Request<()>, Malformed> {
    encode_request(head, options, text);
    let mut request = Request::new(());
    *request.method_mut() = if options.upgrade {
        request.extensions_mut().insert(Protocol::from_static(websocket::PROTOCOL));
        http::Method::CONNECT
    } else {
        http::Method::from_bytes(head.method_name().as_bytes()).map_err(|_| Malformed::Method)?
    };
    *request.uri_mut() = uri(head.path(), options.host, secure).ok_or(Malformed::Target)?;
    let fields = request.headers_mut();
    let mut rest = &text[..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = rest[..end].trim_ascii_end();
        rest = &rest[end + 1..];
        // The request line's first colon, if it has one, stands behind a space.
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        match Known::from_name(name) {
            Known::Host | Known::TransferEncoding | Known::Connection | Known::Upgrade => {}
            // What CONNECT asks for needs no proof that it was understood.
            Known::Other if options.upgrade && name.eq_ignore_ascii_case(websocket::KEY.as_bytes()) => {}
            _ => append(fields, name, value),
        }
    }
    if head.fields.known_all(Known::Te).any(takes_trailers) {
        append(fields, b"te", b"trailers");
    }
    Ok(request)
}

fn uri(path: &[u8], host: &[u8], secure: bool) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    // A client of HTTP/1.0 may have named none.
    if !host.is_empty() {
        parts.authority = Some(Authority::try_from(host).ok()?);
        parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    }
    Uri::from_parts(parts).ok()
}

/// Whether a value of TE has this one, which is all that HTTP/2 knows (RFC 9113, 8.2.2).
fn takes_trailers(te: &[u8]) -> bool {
    te.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Takes the head of a node's response to a request of this method. `ended`: nothing follows it; `text` is for scratch.
///
/// # Errors
/// As in HTTP/1.1; and another protocol, which HTTP/2 has no such way to (RFC 9113, 8.6).
pub fn take_response(
    response: &Response<()>,
    ended: bool,
    head: &mut ResponseHead,
    method: Method,
    limits: &HeadLimits,
    text: &mut Vec<u8>,
) -> Result<ResponseFraming, Malformed> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed::StatusLine);
    }
    for piece in [&b"HTTP/1.1 "[..], response.status().as_str().as_bytes(), b" \r\n"] {
        text.extend_from_slice(piece);
    }
    for (name, value) in response.headers() {
        write_field(name.as_str().as_bytes(), value.as_bytes(), text);
    }
    text.extend_from_slice(b"\r\n");
    let (framing, _) = parse_response(text, head, method, limits)?.ok_or(Malformed::HeadTooLarge)?;
    let body = match framing.body {
        _ if ended || is_bodiless(head.status, method) => BodyLength::Empty,
        // Trailers may stand behind no byte.
        BodyLength::Empty => BodyLength::Unknown,
        body => body,
    };
    // Whatever its length, the body ends with the stream: h2 sees to it that both agree.
    let delimited = body == BodyLength::Empty;
    Ok(ResponseFraming { body, keep_alive: false, delimited, chunked: false })
}

fn write_field(name: &[u8], value: &[u8], text: &mut Vec<u8>) {
    for piece in [name, b": ", value, b"\r\n"] {
        text.extend_from_slice(piece);
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A response's head: the node's fields without those of its connection, Date if it is missing, and the body's length if
/// that is known. What the codec of HTTP/1.1 leaves to framing is h2's to say.
pub fn response(head: &ResponseHead, options: &ResponseEncoding<'_>) -> Response<()> {
    let mut response = Response::new(());
    let switches = head.status == 101;
    // In HTTP/2 there is no other protocol to switch to, but a tunnel to be opened (RFC 8441, 5).
    let status = if switches { 200 } else { head.status };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let fields = response.headers_mut();
    // Two more than the node's: a map that grows hashes all of it anew.
    fields.reserve(head.fields.len() + 2);
    let keeps_length = options.head_request || head.status == 304;
    let (mut has_date, mut has_length) = (false, false);
    for field in head.fields.iter() {
        let name = head.fields.bytes(field.name);
        let kept = match field.known {
            Known::ContentLength => keeps_length,
            // It answers the gateway's key, of which the client does not know.
            Known::Other if switches => !name.eq_ignore_ascii_case(websocket::ACCEPT.as_bytes()),
            known => !known.is_hop_by_hop(),
        };
        if kept {
            has_length |= field.known == Known::ContentLength;
            has_date |= name.eq_ignore_ascii_case(b"date");
            append(fields, name, head.fields.bytes(field.value));
        }
    }
    for (name, value) in options.extra {
        append(fields, name.as_bytes(), value);
    }
    let is_final = status >= 200;
    if is_final
        && !has_date
        && let Ok(date) = HeaderValue::from_bytes(options.date)
    {
        fields.append(http::header::DATE, date);
    }
    if let BodyLength::Known(length) = options.body
        && is_final
        && status != 204
        && !has_length
    {
        fields.append(http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Appends a field. The heads were parsed strictly, so nothing is lost here.
fn append(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}

/// Trailers for HTTP/2: those that may be passed on.
pub fn trailers(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields.iter().filter(|field| is_allowed_trailer(fields.bytes(field.name))) {
        append(&mut map, fields.bytes(field.name), fields.bytes(field.value));
    }
    map
}

/// Trailers from HTTP/2; none if there is no field in them. Which of them go on is decided where they are written.
pub fn take_trailers(map: &HeaderMap) -> Option<Box<Fields>> {
    let mut fields: Option<Box<Fields>> = None;
    for (name, value) in map {
        fields.get_or_insert_default().add(name.as_str().as_bytes(), value.as_bytes());
    }
    fields
}

/// Whether a response to this request, of this status, has no body whatever its length says.
pub fn is_bodiless(status: u16, method: Method) -> bool {
    matches!(status, 100..=199 | 204 | 304) || method == Method::Head
}

#[cfg(test)]
mod tests;
