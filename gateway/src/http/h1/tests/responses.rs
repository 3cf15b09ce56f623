//! Responses: every way in which their body can end.

use super::*;

use Malformed as M;

#[rustfmt::skip] // one row a line
const TO_GET: &[Row] = &[
    ("a known length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok("200 OK 2 [hi]")),
    ("a length of zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok("200 OK []")),
    ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", Ok("200 OK chunked [hi]{X-Sum=1}")),
    ("until close", "HTTP/1.1 200 OK\r\n\r\nhi", Ok("200 OK close until-close [hi]")),
    ("until close, empty", "HTTP/1.0 200 OK\r\n\r\n", Ok("200 OK close until-close []")),
    ("close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", Ok("200 OK close 2 [hi]")),
    ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok("200 OK close 2 [hi]")),
    ("HTTP/1.0, keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", Ok("200 OK 2 [hi]")),
    ("no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", Ok("200  []")),
    ("no reason, no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Ok("200  []")),
    ("a reason outside ASCII", "HTTP/1.1 200 \u{e9}\r\nContent-Length: 0\r\n\r\n", Ok("200  []")),
    ("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Ok("204 No Content []")),
    ("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok("304 Not Modified []")),
    ("100, 103, then 200", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok("100 Continue [] + 103 Early Hints [] + 200 OK 2 [hi]")),
    ("101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Ok("101 Switching Protocols close []")),
    ("half a head", "HTTP/1.1 200 OK\r\n", Ok(" incomplete")),
    ("a body cut short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", Err(M::Truncated)),
    ("chunks cut short", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Err(M::Truncated)),
    ("an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", Err(M::StatusLine)),
    ("another protocol", "SSH-2.0-x\r\n", Err(M::StatusLine)),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", Err(M::Version)),
    ("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", Err(M::StatusLine)),
    ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", Err(M::StatusLine)),
    ("a status below 100", "HTTP/1.1 099 OK\r\n\r\n", Err(M::StatusLine)),
    ("a status over 599", "HTTP/1.1 600 OK\r\n\r\n", Err(M::StatusLine)),
    ("a control in the reason", "HTTP/1.1 200 O\u{1}K\r\n\r\n", Err(M::StatusLine)),
    ("LF alone", "HTTP/1.1 200 OK\n\r\n", Err(M::BareLineFeed)),
    ("a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Err(M::FieldName)),
    ("white space before the colon", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", Err(M::FieldName)),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", Err(M::ContentLengthRepeated)),
    ("length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Err(M::LengthAndCoding)),
    ("gzip, then chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err(M::TransferEncoding)),
    ("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(M::TransferEncoding)),
];

#[rustfmt::skip] // one row a line
const TO_HEAD: &[Row] = &[
    ("a length without a body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n", Ok("200 OK [] + 404 Not Found []")),
    ("chunks without a body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Ok("200 OK []")),
];

#[rustfmt::skip] // one row a line
const TO_CONNECT: &[Row] = &[
    ("a tunnel", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Ok("200 OK []")),
    ("a refusal", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", Ok("403 No 2 [no]")),
];

#[test]
fn responses_to_get() {
    check(Side::Responses(Method::Get), TO_GET);
}

#[test]
fn responses_without_a_body_by_their_request() {
    check(Side::Responses(Method::Head), TO_HEAD);
    check(Side::Responses(Method::Connect), TO_CONNECT);
}

proptest! {
    #[test]
    fn split_at_random((row, cuts) in cut_row(TO_GET)) {
        let read = Reader::read(Side::Responses(Method::Get), row.1.as_bytes(), &cuts);
        prop_assert_eq!(read, row.2.map(str::to_owned), "{}", row.0);
    }
}
