//! Requests: what is understood, and what is refused and why.

use super::*;
use crate::http::fields::{Field, Known};

#[rustfmt::skip] // one row a line
const GOOD: &[Row] = &[
    ("the smallest", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET / @a []")),
    ("no white space behind the colon", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", Ok("GET / @a []")),
    ("white space around a value", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", Ok("GET / @a []")),
    ("an empty value", "GET / HTTP/1.1\r\nX:\r\nHost: a\r\nY: \r\n\r\n", Ok("GET / @a []")),
    ("a method of its own", "PURGE /x HTTP/1.1\r\nHost: a\r\n\r\n", Ok("PURGE /x @a []")),
    ("a query", "GET /x?y=1&z=%20 HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET /x?y=1&z=%20 @a []")),
    ("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET / @a []")),
    ("a port", "GET / HTTP/1.1\r\nHost: a.b-c_d:8080\r\n\r\n", Ok("GET / @a.b-c_d:8080 []")),
    ("an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Ok("GET / @[::1]:80 []")),
    ("OPTIONS for all", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok("OPTIONS * @a []")),
    ("absolute form", "GET http://b:1/x?y HTTP/1.1\r\nHost: b:1\r\n\r\n", Ok("GET /x?y @b:1 []")),
    ("absolute form, https", "GET HTTPS://b/ HTTP/1.1\r\nHost: b\r\n\r\n", Ok("GET / @b []")),
    ("absolute form without path", "GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", Ok("GET / @b []")),
    ("absolute form, query only", "GET http://b?x HTTP/1.1\r\nHost: b\r\n\r\n", Ok("GET /?x @b []")),
    ("absolute form, OPTIONS", "OPTIONS http://b HTTP/1.1\r\nHost: B:80\r\n\r\n", Ok("OPTIONS * @b []")),
    ("absolute form, HTTP/1.0 without Host", "GET http://b/ HTTP/1.0\r\n\r\n", Ok("GET / @b 1.0 close []")),
    ("absolute form, the scheme's port", "GET https://b:443/ HTTP/1.1\r\nHost: b\r\n\r\n", Ok("GET / @b:443 []")),
    ("dot segments and slashes in a row", "GET /a/./b//../c?x=/../y HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET /a/c?x=/../y @a []")),
    ("letters that need no escape", "GET /%61%2D?%61 HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET /a-?%61 @a []")),
    ("a value outside ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n", Ok("GET / @a []")),
    ("close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", Ok("GET / @a close []")),
    ("close wins", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", Ok("GET / @a close []")),
    ("HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", Ok("GET / @ 1.0 close []")),
    ("HTTP/1.0, keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Ok("GET / @ 1.0 []")),
    ("an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", Ok("GET / @a upgrade []")),
    ("an upgrade that Connection lacks", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", Ok("GET / @a []")),
    ("an upgrade to HTTP/2", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", Ok("GET / @a []")),
    ("an upgrade to a choice", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x, h2c\r\n\r\n", Ok("GET / @a []")),
    ("an upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Ok("GET / @ 1.0 close []")),
    ("a known length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Ok("POST / @a 5 [hello]")),
    ("a length of zero", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Ok("POST / @a []")),
    ("chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Ok("POST / @a chunked [abc]")),
    ("expects 100", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", Ok("POST / @a expect 1 [x]")),
    ("expects 100 for nothing", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", Ok("GET / @a []")),
    ("expects 100 in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", Ok("POST / @ 1.0 close 1 [x]")),
    ("three pipelined", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET /1 @a [] + POST /2 @a 2 [hi] + GET /3 @a []")),
    ("pipelined behind chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", Ok("POST / @a chunked [] + GET /2 @a []")),
    ("half a head", "GET / HTTP/1.1\r\nHost: a\r\n", Ok(" incomplete")),
];

use Malformed as M;

#[rustfmt::skip] // one row a line
const BAD: &[Row] = &[
    ("LF alone behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", Err(M::BareLineFeed)),
    ("LF alone behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", Err(M::BareLineFeed)),
    ("LF alone at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", Err(M::BareLineFeed)),
    ("LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::BareLineFeed)),
    ("CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::BareCarriageReturn)),
    ("CR inside a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", Err(M::FieldValue)),
    ("CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", Err(M::FieldValue)),
    ("CR inside the request line", "GET /\rHTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("CR behind the version", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", Err(M::BareCarriageReturn)),
    ("three empty lines first", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("CR alone behind two empty lines", "\r\n\r\n\r GET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("TLS", "\u{16}\u{3}\u{1}", Err(M::RequestLine)),
    ("a space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("a space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Err(M::BareCarriageReturn)),
    ("HTTP/0.9", "GET /\r\n\r\n", Err(M::RequestLine)),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Err(M::Version)),
    ("HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(M::Version)),
    ("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Err(M::Connect)),
    ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Trace)),
    ("a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Method)),
    ("a method of both", "Post / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Err(M::Method)),
    ("a path above the root", "GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Path)),
    ("an escaped slash", "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Path)),
    ("another host in the target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::HostDiffers)),
    ("another port in the target", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::HostDiffers)),
    ("another scheme's port in Host", "GET http://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", Err(M::HostDiffers)),
    ("another expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n", Err(M::Expectation)),
    ("a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("a target outside ASCII", "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("a control in the target", "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::RequestLine)),
    ("no form of target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("another scheme", "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("user information in the target", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("no authority in the target", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", Err(M::Target)),
    ("no Host", "GET / HTTP/1.1\r\n\r\n", Err(M::HostMissing)),
    ("no Host beside an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", Err(M::HostMissing)),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Err(M::HostRepeated)),
    ("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Err(M::HostRepeated)),
    ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", Err(M::Host)),
    ("user information in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Err(M::Host)),
    ("a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Err(M::Host)),
    ("a list in Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Err(M::Host)),
    ("a port of letters", "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n", Err(M::Host)),
    ("a port too high", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Err(M::Host)),
    ("two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", Err(M::Host)),
    ("an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Err(M::Host)),
    ("no address in brackets", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", Err(M::Host)),
    ("text behind the brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", Err(M::Host)),
    ("a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", Err(M::FieldName)),
    ("a folded line first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(M::FieldName)),
    ("white space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(M::FieldName)),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Err(M::FieldName)),
    ("no name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Err(M::FieldName)),
    ("a name outside ASCII", "GET / HTTP/1.1\r\nHost: a\r\n\u{e9}: b\r\n\r\n", Err(M::FieldName)),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", Err(M::FieldValue)),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{7f}c\r\n\r\n", Err(M::FieldValue)),
    ("a length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", Err(M::ContentLength)),
    ("a length of letters", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", Err(M::ContentLength)),
    ("no length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nx", Err(M::ContentLength)),
    ("a length with a space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nx", Err(M::ContentLength)),
    ("a length over 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nx", Err(M::ContentLength)),
    ("a list of equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", Err(M::ContentLength)),
    ("two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", Err(M::ContentLengthRepeated)),
    ("length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx", Err(M::LengthAndCoding)),
    ("coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nx", Err(M::LengthAndCoding)),
    ("an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", Err(M::UnknownCoding)),
    ("nearly chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Err(M::UnknownCoding)),
    ("identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Err(M::UnknownCoding)),
    ("gzip, then chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("chunked is not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Err(M::TransferEncoding)),
    ("chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("chunked twice in a list", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("chunked with a comma", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("no coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", Err(M::TransferEncoding)),
    ("quoted chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Err(M::TransferEncoding)),
    ("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("nine fields", "GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\nHost: a\r\n\r\n", Err(M::TooManyFields)),
    ("a body cut short", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", Err(M::Truncated)),
    ("chunks cut short", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", Err(M::Truncated)),
    ("the second of two is bad", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", Err(M::HostMissing)),
];

#[test]
fn good_requests() {
    check(Side::Requests, GOOD);
}

#[test]
fn bad_requests() {
    check(Side::Requests, BAD);
}

proptest! {
    #[test]
    fn split_at_random(
        (row, cuts) in prop_oneof![cut_row(GOOD), cut_row(BAD)],
    ) {
        let read = Reader::read(Side::Requests, row.1.as_bytes(), &cuts);
        prop_assert_eq!(read, row.2.map(str::to_owned), "{}", row.0);
    }
}

#[test]
fn a_head_may_reach_its_limit_and_not_pass_it() {
    let head = |length: usize, long_target: bool| {
        let filler = "x".repeat(length - "GET / HTTP/1.1\r\nHost: a\r\nx: \r\n\r\n".len());
        let (path, value) = if long_target { (filler.as_str(), "") } else { ("", filler.as_str()) };
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\nx: {value}\r\n\r\n")
    };
    let exact = head(LIMITS.max_bytes, false);
    let over = head(LIMITS.max_bytes + 1, false);
    let target = head(LIMITS.max_bytes + 100, true);
    check(
        Side::Requests,
        &[
            ("exact", &exact, Ok("GET / @a []")),
            ("over", &over, Err(M::HeadTooLarge)),
            ("a target over", &target, Err(M::TargetTooLong)),
        ],
    );
}

#[test]
fn each_refusal_has_its_status() {
    for (error, status) in [
        (M::TargetTooLong, 414),
        (M::HeadTooLarge, 431),
        (M::TooManyFields, 431),
        (M::Connect, 501),
        (M::Trace, 501),
        (M::Expectation, 417),
        (M::Path, 400),
        (M::UnknownCoding, 501),
        (M::TransferEncoding, 400),
        (M::Version, 505),
        (M::Host, 400),
    ] {
        assert_eq!(error.status(), status, "{error}");
    }
}

fn parsed(text: &str) -> RequestHead {
    parsed_with(text, Edge::default())
}

fn parsed_with(text: &str, edge: Edge) -> RequestHead {
    let mut buffer = text.as_bytes().to_vec();
    let mut head = RequestHead::default();
    parse_request(&mut buffer, &mut head, &LIMITS, edge).unwrap().unwrap();
    head
}

#[test]
fn names_that_pass_for_others_are_left_out() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX_Own: 1\r\nContent_Length: 5\r\nX-Forwarded_For: 9.9.9.9\r\nPROXY: x\r\nX-Last: a_b\r\n\r\n";
    let names = |edge| -> Vec<String> {
        let head = parsed_with(text, edge);
        let name = |field: &Field| String::from_utf8(head.fields.bytes(field.name).to_vec()).unwrap();
        head.fields.iter().map(name).collect()
    };
    assert_eq!(names(Edge::default()), ["Host", "X-Last"]);
    let keep = Edge { keep_underscores: true, ..Edge::default() };
    assert_eq!(names(keep), ["Host", "X_Own", "X-Last"]);
}

#[test]
fn a_path_is_left_alone_where_that_is_wanted() {
    let raw = Edge { normalize_path: false, ..Edge::default() };
    let path = |text: &str, edge| String::from_utf8(parsed_with(text, edge).path().to_vec()).unwrap();
    assert_eq!(path("GET /a/../%2f//%00 HTTP/1.1\r\nHost: a\r\n\r\n", raw), "/a/../%2f//%00");
    let keep = Edge { keep_escaped_slashes: true, ..Edge::default() };
    assert_eq!(path("GET //a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", keep), "/a%2Fb");
}

#[test]
fn connection_takes_out_the_fields_that_it_names_but_none_that_matters() {
    let head = parsed(
        "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\nX-Forwarded-For: 9.9.9.9\r\n\
         Connection: x-one, host,, x-forwarded-for\r\nConnection: close, X-TWO\r\n\r\n",
    );
    assert_eq!(head.fields.get("x-one"), None);
    assert_eq!(head.fields.get("x-two"), None);
    assert_eq!(head.fields.known(Known::Host), Some(&b"a"[..]));
    assert!(head.fields.known(Known::XForwardedFor).is_some());
    let names = "x,".repeat(40);
    let mut buffer = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {names}\r\n\r\n").into_bytes();
    let mut head = RequestHead::default();
    assert_eq!(parse_request(&mut buffer, &mut head, &LIMITS, Edge::default()), Err(M::Connection));
}

#[test]
fn a_path_that_could_end_the_request_line_is_refused() {
    for path in ["/", "/a?b=c%20", "//x"] {
        assert!(valid_path(path.as_bytes()), "{path}");
    }
    for path in ["", "a", "*", "/a b", "/a\r\nX: y", "/a#b", "/\u{e9}"] {
        assert!(!valid_path(path.as_bytes()), "{path}");
    }
}

#[test]
fn the_buffers_are_swapped_and_the_rest_stays() {
    let mut buffer = Vec::with_capacity(4096);
    buffer.extend_from_slice(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    let address = buffer.as_ptr();
    let mut head = RequestHead::default();
    head.fields.add(b"left", b"over");
    parse_request(&mut buffer, &mut head, &LIMITS, Edge::default()).unwrap().unwrap();
    assert_eq!(buffer, b"body");
    assert_eq!(head.fields.buffer().as_ptr(), address);
    assert!(head.fields.buffer().ends_with(b"\r\n\r\n"));
    assert_eq!(head.fields.len(), 2);
}

#[test]
fn after_an_error_the_head_is_empty_and_safe_to_ask() {
    let mut head = parsed("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut buffer = b"GET /b HTTP/1.1\r\nAccept: x\r\nHost: b\r\nHost: b\r\n\r\n".to_vec();
    assert_eq!(parse_request(&mut buffer, &mut head, &LIMITS, Edge::default()), Err(M::HostRepeated));
    assert_eq!(head.fields.known(Known::Accept), None);
    assert_eq!((head.path(), head.authority()), (&b""[..], &b""[..]));
}
