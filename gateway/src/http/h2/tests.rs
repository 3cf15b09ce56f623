//! Heads of HTTP/2, taken and made.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::http::forwarded::Forwarded;

fn take(request: http::request::Builder, ended: bool) -> Result<(RequestHead, RequestFraming), Malformed> {
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
    assert_eq!(head.fields.get("te"), Some(&b"trailers"[..]), "for nodes of HTTP/2 alone");
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
    assert_eq!((head.method_name(), head.path(), head.authority()), ("GET", &b"/chat?x"[..], &b"a.test"[..]));
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

/// What a node is asked, and the head that a client's request was.
fn asked(client: http::request::Builder, body: BodyLength, secure: bool) -> Request<()> {
    let (mut head, _) = take(client, body == BodyLength::Empty).unwrap();
    head.fields.add(b"Connection", b"x-a");
    let forwarded = Forwarded {
        peer: "192.0.2.1".parse().unwrap(),
        peer_trusted: false,
        proto: "https",
        host: b"a.test",
        certificate: None,
    };
    let options =
        RequestEncoding { body, host: b"b.test:81", forwarded: &forwarded, request_id: "7", upgrade: false };
    super::request(&head, &options, secure, &mut Vec::new()).unwrap()
}

#[test]
fn a_node_is_asked_what_http_1_would_have_asked() {
    let client =
        get("https://a.test/x?y=http://z").method("PURGE").header("te", "trailers").header("x-a", "1:2");
    let request = asked(client, BodyLength::Known(3), true);
    assert_eq!(request.method(), "PURGE");
    assert_eq!(request.uri(), "https://b.test:81/x?y=http://z");
    let fields: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(
        fields,
        [
            ("x-a", &b"1:2"[..]),
            ("content-length", b"3"),
            ("x-forwarded-for", b"192.0.2.1"),
            ("x-forwarded-proto", b"https"),
            ("x-forwarded-host", b"a.test"),
            ("forwarded", b"for=192.0.2.1;host=\"a.test\";proto=https"),
            ("x-request-id", b"7"),
            ("te", b"trailers"),
        ]
    );
    let request = asked(get("https://a.test/").method("POST"), BodyLength::Unknown, false);
    assert_eq!(request.uri().scheme_str(), Some("http"));
    assert!(!request.headers().contains_key("transfer-encoding"), "frames tell the end");
    assert!(!request.headers().contains_key("te"), "trailers are not asked for where nobody takes them");
}

#[test]
fn a_node_is_asked_for_a_tunnel_where_http_1_upgrades() {
    let (head, framing) = take(connect("websocket").header("sec-websocket-version", "13"), false).unwrap();
    let forwarded = Forwarded {
        peer: "192.0.2.1".parse().unwrap(),
        peer_trusted: false,
        proto: "https",
        host: b"a.test",
        certificate: None,
    };
    let options = RequestEncoding {
        body: framing.body,
        host: b"b.test",
        forwarded: &forwarded,
        request_id: "7",
        upgrade: true,
    };
    let request = super::request(&head, &options, true, &mut Vec::new()).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string()),
        (&http::Method::CONNECT, "https://b.test/chat?x".into())
    );
    assert_eq!(request.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
    assert_eq!(request.headers()["sec-websocket-version"], "13");
    for name in ["connection", "upgrade", "sec-websocket-key", "content-length"] {
        assert!(!request.headers().contains_key(name), "{name}");
    }
}

fn answered(
    response: http::response::Builder,
    ended: bool,
    method: Method,
) -> Result<(ResponseHead, ResponseFraming), Malformed> {
    let mut head = ResponseHead::default();
    let limits = HeadLimits { max_bytes: 1000, max_fields: 3 };
    let response = response.body(()).unwrap();
    take_response(&response, ended, &mut head, method, &limits, &mut Vec::new())
        .map(|framing| (head, framing))
}

#[test]
fn a_nodes_response_is_read_as_one_of_http_1() {
    let ok = || Response::builder().header("x-a", "1");
    let (head, framing) = answered(ok().header("content-length", "5"), false, Method::Get).unwrap();
    assert_eq!((head.status, head.fields.get("x-a")), (200, Some(&b"1"[..])));
    assert_eq!((framing.body, framing.delimited), (BodyLength::Known(5), false));
    for (response, ended, method, body) in [
        (ok(), false, Method::Get, BodyLength::Unknown),
        (ok().header("content-length", "0"), false, Method::Get, BodyLength::Unknown),
        (ok(), true, Method::Get, BodyLength::Empty),
        (ok().header("content-length", "5"), true, Method::Head, BodyLength::Empty),
        (ok().status(204), true, Method::Get, BodyLength::Empty),
    ] {
        assert_eq!(answered(response, ended, method).unwrap().1.body, body);
    }
}

#[test]
fn a_response_that_would_be_refused_in_http_1_is_refused() {
    let ok = Response::builder;
    for (response, malformed) in [
        (ok().status(101), Malformed::StatusLine),
        (ok().status(999), Malformed::StatusLine),
        (ok().header("content-length", "5, 5"), Malformed::ContentLength),
        (ok().header("content-length", "5").header("content-length", "5"), Malformed::ContentLengthRepeated),
        (
            ok().header("x-a", "1").header("x-b", "2").header("x-c", "3").header("x-d", "4"),
            Malformed::TooManyFields,
        ),
        (ok().header("x-a", "1".repeat(1000)), Malformed::HeadTooLarge),
    ] {
        assert_eq!(answered(response, false, Method::Get).err(), Some(malformed));
    }
}

#[test]
fn no_trailer_changes_what_was_decided() {
    let mut fields = Fields::default();
    for name in ["grpc-status", "set-cookie", "content-length", "host"] {
        fields.add(name.as_bytes(), b"0");
    }
    let names: Vec<_> = trailers(&fields).keys().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(names, ["grpc-status"]);
}
