//! What a client sends: every way that a body can be delimited, and every way that must be refused.

use super::gateway_before;
use crate::support::TestNode;

/// What it is, the rest of a POST behind its Host, and the body that the node shall get.
const BODIES: [(&str, &str, &str); 12] = [
    ("no body", "\r\n", ""),
    ("a length of zero", "Content-Length: 0\r\n\r\n", ""),
    ("a length", "Content-Length: 5\r\n\r\nhello", "hello"),
    ("a length with zeros in front", "Content-Length: 005\r\n\r\nhello", "hello"),
    ("one chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("many chunks", "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", "hello"),
    ("no chunk but the last", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    ("chunks in any case", "transfer-encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("a hexadecimal size", "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
    ("zeros in front of a size", "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n", "hello"),
    ("a chunk extension", "Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", "hello"),
    ("trailers", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "hello"),
];

#[test]
fn every_body_reaches_the_node_whole_and_the_connection_stays_in_step() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for (what, rest, body) in BODIES {
        let response = client.send(format!("POST /t HTTP/1.1\r\nHost: a.test\r\n{rest}")).read_response();
        assert_eq!(response.text(), "fine", "{what}");
        let request = node.last_request();
        assert_eq!(String::from_utf8_lossy(&request.body.bytes), body, "{what}");
        assert!(request.body.complete, "{what}");
        let framing = ["content-length", "transfer-encoding"].map(|name| request.head.headers(name).len());
        assert!(framing.iter().sum::<usize>() <= 1, "{what}: two readers could differ on {:?}", request.head);
    }
    assert_eq!(node.hits(), BODIES.len());
}

#[test]
fn trailers_of_a_request_reach_the_node() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let request = "POST /t HTTP/1.1\r\nHost: a.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n";
    assert_eq!(gateway.client().send(request).read_response().status, 200);
    let trailers = node.last_request().body.trailers;
    assert_eq!(trailers, [("x-sum".into(), "1".into()), ("x-more".into(), "2".into())]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let node = TestNode::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            let body = format!("{}{}", request.path(), String::from_utf8_lossy(&request.body.bytes));
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send(
        "GET /t/1 HTTP/1.1\r\nHost: a.test\r\n\r\n\
         POST /t/2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\none\
         POST /t/3 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
         GET /nowhere HTTP/1.1\r\nHost: a.test\r\n\r\n\
         GET /t/5 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    for expected in ["/t/1", "/t/2one", "/t/3two"] {
        assert_eq!(client.read_response().text(), expected);
    }
    assert_eq!(client.read_response().status, 404);
    assert_eq!(client.read_response().text(), "/t/5");
}

/// What is wrong, the whole request, and the status that says so.
const REFUSED: [(&str, &str, u16); 34] = [
    (
        "length and chunks",
        "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunks and length",
        "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("two lengths", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    (
        "the same length twice",
        "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        400,
    ),
    ("a list of lengths", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    ("a signed length", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
    ("a negative length", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400),
    ("a hexadecimal length", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400),
    ("an empty length", "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400),
    (
        "a length beyond 64 bits",
        "POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        400,
    ),
    ("another coding", "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (
        "a list of codings",
        "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked twice",
        "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "the coding twice",
        "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a quoted coding",
        "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("chunks in HTTP/1.0", "POST /t HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("no Host", "GET /t HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", "GET /t HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("a Host with a user", "GET /t HTTP/1.1\r\nHost: b@a\r\n\r\n", 400),
    ("a space before the colon", "GET /t HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400),
    ("a folded line", "GET /t HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
    ("a folded first line", "GET /t HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("a field without a name", "GET /t HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    ("a line without a colon", "GET /t HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n", 400),
    ("a bare LF", "GET /t HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", 400),
    ("only bare LFs", "GET /t HTTP/1.1\nHost: a\n\n", 400),
    ("a bare CR", "GET /t HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", 400),
    ("a NUL in a value", "GET /t HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", 400),
    ("a fragment", "GET /t#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a space in the target", "GET /t b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no version", "GET /t\r\nHost: a\r\n\r\n", 400),
    ("a later version", "GET /t HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("TLS", "\x16\x03\x01\x02\0\x01\0\x01", 400),
];

#[test]
fn what_two_readers_may_see_differently_is_refused_and_the_connection_closed() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    for (what, request, status) in REFUSED {
        let mut client = gateway.client();
        // The second request would be a smuggled one if the gateway went on reading.
        let response =
            client.send(format!("{request}GET /t/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).read_response();
        assert_eq!(response.status, status, "{what}");
        client.expect_close();
    }
    assert_eq!(node.hits(), 0, "nothing of it may reach the node");
}

/// Chunks that break RFC 9112, 7.1, behind a head that is fine.
const BAD_CHUNKS: [(&str, &str); 10] = [
    ("a space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
    ("a space behind the size", "5 \r\nhello\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
    ("no size", "\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a size line that ends with LF", "5\nhello\r\n0\r\n\r\n"),
    ("data longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
    ("data that ends with LF", "5\r\nhello\n0\r\n\r\n"),
    ("a trailer that is no field", "5\r\nhello\r\n0\r\nX-A b\r\n\r\n"),
];

#[test]
fn bad_chunks_never_look_like_a_whole_body() {
    let node = TestNode::scripted(|connection| {
        if let Some(request) = connection.read_request() {
            assert!(!request.body.complete, "the node took {request:?} for a whole request");
        }
    });
    let gateway = gateway_before(&node);
    for (what, chunks) in BAD_CHUNKS {
        let mut client = gateway.client();
        let head = "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let response = client.send(format!("{head}{chunks}")).read_response();
        assert_eq!(response.status, 400, "{what}");
        client.expect_close();
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let long = "a".repeat(70_000);
    let many = "X-A: b\r\n".repeat(200);
    for (what, request, status) in [
        ("the target", format!("GET /t/{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("a field", format!("GET /t HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), 431),
        ("the number of fields", format!("GET /t HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
    ] {
        assert_eq!(gateway.client().send(request).read_response().status, status, "{what}");
    }
    assert_eq!(node.hits(), 0);
}
