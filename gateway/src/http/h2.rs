//! Heads between HTTP/2's shape and the gateway's own (RFC 9113, 8.3).
//!
//! A request is written as a head of HTTP/1.1 and read by that codec, so that what is refused there is refused here, by the
//! same few lines: no input may mean one thing in one version and another in the next. Frames and streams are h2's business.

use h2::ext::Protocol;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};

use super::BodyLength;
use super::fields::{Fields, Known};
use super::h1::{Edge, HeadLimits, Malformed, RequestFraming, ResponseEncoding, parse_request};
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
            // h2 refuses those that speak of a connection, but for `te: trailers`.
            known if known.is_hop_by_hop() => {}
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
    let keeps_length = options.head_request || head.status == 304;
    for field in head.fields.iter() {
        let name = head.fields.bytes(field.name);
        let kept = match field.known {
            Known::ContentLength => keeps_length,
            // It answers the gateway's key, of which the client does not know.
            Known::Other if switches => !name.eq_ignore_ascii_case(websocket::ACCEPT.as_bytes()),
            known => !known.is_hop_by_hop(),
        };
        if kept {
            append(fields, name, head.fields.bytes(field.value));
        }
    }
    for (name, value) in options.extra {
        append(fields, name.as_bytes(), value);
    }
    let is_final = status >= 200;
    if is_final && !fields.contains_key(http::header::DATE) {
        append(fields, b"date", options.date);
    }
    if let BodyLength::Known(length) = options.body
        && is_final
        && status != 204
        && !fields.contains_key(http::header::CONTENT_LENGTH)
    {
        fields.insert(http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Appends a field. The heads were parsed strictly, so nothing is lost here.
fn append(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}

/// Trailers for HTTP/2.
pub fn trailers(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields.iter() {
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn take(
        request: http::request::Builder,
        ended: bool,
    ) -> Result<(RequestHead, RequestFraming), Malformed> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut head = RequestHead::default();
        take_request(&parts, ended, &mut head, &HeadLimits::default(), Edge::default())
            .map(|framing| (head, framing))
    }

    fn get(uri: &str) -> http::request::Builder {
        http::Request::builder().uri(uri)
    }

    #[test]
    fn a_request_becomes_what_http_1_would_have_said() {
        let request =
            get("https://a.test:8443/x?y=1").method("PURGE").header("x-a", "1").header("te", "trailers");
        let (head, framing) = take(request, true).unwrap();
        assert_eq!((head.method_name(), head.path()), ("PURGE", &b"/x?y=1"[..]));
        assert_eq!(head.authority(), b"a.test:8443");
        assert_eq!(head.fields.get("x-a"), Some(&b"1"[..]));
        assert_eq!(head.fields.get("te"), None);
        assert_eq!(framing.body, BodyLength::Empty);
        assert!(framing.keep_alive && !framing.upgrade);
    }

    #[test]
    fn a_bodys_length_is_what_is_told_or_unknown() {
        let post = || get("https://a.test/").method("POST");
        assert_eq!(take(post(), false).unwrap().1.body, BodyLength::Unknown);
        assert_eq!(take(post().header("content-length", "5"), false).unwrap().1.body, BodyLength::Known(5));
        assert_eq!(take(post(), true).unwrap().1.body, BodyLength::Empty);
        assert!(take(post().header("content-length", "5, 5"), false).is_err());
        let expects = post().header("expect", "100-continue");
        assert!(take(expects, false).unwrap().1.expect_continue);
    }

    #[test]
    fn crumbs_of_cookies_are_joined() {
        let (head, _) =
            take(get("https://a.test/").header("cookie", "a=1").header("cookie", "b=2"), true).unwrap();
        assert_eq!(head.cookie("b"), Some(&b"2"[..]));
        assert_eq!(head.fields.get("cookie"), Some(&b"a=1; b=2"[..]));
    }

    #[test]
    fn a_host_has_to_be_the_authority() {
        assert!(take(get("https://a.test/").header("host", "A.test"), true).is_ok());
        assert_eq!(take(get("https://a.test/").header("host", "b.test"), true).err(), Some(Malformed::Host));
        let (head, _) = take(get("/").header("host", "b.test"), true).unwrap();
        assert_eq!(head.authority(), b"b.test");
        assert_eq!(take(get("/"), true).err(), Some(Malformed::HostMissing));
        assert_eq!(take(get("a.test:443").method("CONNECT"), true).err(), Some(Malformed::Connect));
    }

    fn connect(protocol: &'static str) -> http::request::Builder {
        get("https://a.test/chat?x").method("CONNECT").extension(Protocol::from_static(protocol))
    }

    #[test]
    fn a_tunnel_for_websocket_is_an_upgrade() {
        let asked =
            connect("websocket").header("sec-websocket-key", "mine").header("sec-websocket-version", "13");
        let (head, framing) = take(asked, false).unwrap();
        assert_eq!(
            (head.method_name(), head.path(), head.authority()),
            ("GET", &b"/chat?x"[..], &b"a.test"[..])
        );
        assert_eq!(head.fields.get("upgrade"), Some(&b"websocket"[..]));
        assert_eq!(head.fields.get("sec-websocket-version"), Some(&b"13"[..]));
        let keys: Vec<_> = head.fields.get_all("sec-websocket-key").collect();
        assert!(keys.len() == 1 && keys[0].len() == 24, "{keys:?}");
        assert!(framing.upgrade && framing.body == BodyLength::Empty);
    }

    #[test]
    fn other_tunnels_are_refused() {
        for protocol in ["connect-udp", "h2c", "websocket, h2c", ""] {
            assert_eq!(take(connect(protocol), false).err(), Some(Malformed::Connect), "{protocol}");
        }
        let with_length = connect("websocket").header("content-length", "5");
        assert_eq!(take(with_length, false).err(), Some(Malformed::ContentLength));
    }

    #[test]
    fn a_switch_is_an_open_tunnel() {
        let mut head = ResponseHead { status: 101, ..ResponseHead::default() };
        for (name, value) in [
            ("Upgrade", "websocket"),
            ("Connection", "upgrade"),
            ("Sec-WebSocket-Accept", "x"),
            ("Sec-WebSocket-Protocol", "chat"),
        ] {
            head.fields.add(name.as_bytes(), value.as_bytes());
        }
        let made = response(&head, &options(BodyLength::Empty, &[]));
        let names: Vec<&str> = made.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!((made.status().as_u16(), &names[..]), (200, &["sec-websocket-protocol", "date"][..]));
    }

    fn options<'a>(body: BodyLength, extra: &'a [(&'a str, &'a [u8])]) -> ResponseEncoding<'a> {
        ResponseEncoding {
            body,
            client_version: crate::http::head::Version::Http11,
            keep_alive: true,
            head_request: false,
            upgrade: false,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
            extra,
        }
    }

    #[test]
    fn a_response_has_no_field_of_a_connection() {
        let mut head = ResponseHead { status: 200, ..ResponseHead::default() };
        for (name, value) in
            [("X-A", "1"), ("connection", "close"), ("transfer-encoding", "chunked"), ("content-length", "9")]
        {
            head.fields.add(name.as_bytes(), value.as_bytes());
        }
        let made = response(&head, &options(BodyLength::Known(4), &[("x-b", b"2")]));
        let names: Vec<&str> = made.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "x-b", "date", "content-length"]);
        assert_eq!(made.headers()["content-length"], "4");
        head.status = 103;
        assert!(!response(&head, &options(BodyLength::Empty, &[])).headers().contains_key("date"));
    }
}
