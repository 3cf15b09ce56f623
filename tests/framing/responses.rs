//! What a node sends: every way that a body can be delimited, and what must not pass for a whole response.

use super::gateway_before;
use crate::support::TestNode;

/// What it is, what the node sends, and the body that the client shall get.
const BODIES: [(&str, &str, &str); 10] = [
    ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("a length of zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    (
        "chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "hello",
    ),
    ("no chunk but the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    (
        "a chunk extension",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n\r\n",
        "hello",
    ),
    ("the connection's end", "HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
    ("the connection's end, said", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello"),
    ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
    ("an error's body", "HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nhello", "hello"),
];

#[test]
fn every_body_reaches_the_client_whole_and_the_connection_stays_in_step() {
    for (what, response, body) in BODIES {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        for _ in 0..2 {
            let got = client.get("/t");
            assert_eq!(got.text(), body, "{what}");
            assert!(got.body.complete, "{what}");
            assert_eq!(got.head.start.split(' ').nth(1), response.split(' ').nth(1), "{what}");
        }
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_the_connection_ends() {
    for (what, response, body) in BODIES {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        let got = client.send("GET /t HTTP/1.0\r\nHost: a.test\r\n\r\n").read_response();
        assert_eq!(got.header("transfer-encoding"), None, "{what}");
        assert_eq!(got.text(), body, "{what}");
        client.expect_close();
    }
}

#[test]
fn trailers_of_a_response_reach_a_client_that_takes_them() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
    });
    let gateway = gateway_before(&node);
    let response = gateway.client().get_with("/t", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!(response.body.trailers, [("x-sum".into(), "1".into())]);
    assert_eq!(response.text(), "hello");
}

#[test]
fn a_response_without_a_body_keeps_the_connection_in_step_whatever_its_fields_say() {
    // Each has fields that would announce a body if it could have one (RFC 9112, 6.3).
    for (method, response) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 404 No\r\nContent-Length: 100000\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No\r\n\r\n"),
        ("GET", "HTTP/1.1 304 No\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"),
        ("GET", "HTTP/1.1 304 No\r\nETag: \"a\"\r\n\r\n"),
    ] {
        let node = TestNode::scripted(move |connection| {
            while let Some(request) = connection.read_request() {
                match request.method() {
                    "POST" => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"),
                    _ => connection.send(response),
                };
            }
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        let head = client.send(format!("{method} /t HTTP/1.1\r\nHost: a.test\r\n\r\n")).read_head();
        assert_eq!(head.start.split(' ').nth(1), response.split(' ').nth(1), "{method}: {response}");
        assert_eq!(client.post("/t", "").text(), "next", "{method}: {response}");
        assert_eq!(node.connections(), 1, "the node's connection is kept after {method}: {response}");
    }
}

#[test]
fn the_length_that_get_would_have_is_passed_on_to_head_and_304() {
    for (method, response) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"),
    ] {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        let head = client.send(format!("{method} /t HTTP/1.1\r\nHost: a.test\r\n\r\n")).read_head();
        assert_eq!(head.header("content-length"), Some("5"), "{method}");
    }
}

/// Heads that the gateway cannot trust: it cannot know where their bodies end, or what they say at all.
const REFUSED: [(&str, &str); 13] = [
    (
        "length and chunks",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    ("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
    ("a list of codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("a bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("a folded line", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello"),
    ("a space before the colon", "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello"),
    ("no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"),
    ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status beyond 599", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a switch that nobody asked for", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ("an end within the head", "HTTP/1.1 200 OK\r\nContent-Le"),
];

#[test]
fn a_head_that_cannot_be_trusted_is_502_and_its_bytes_stay_here() {
    for (what, response) in REFUSED {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        // A POST, since a GET may be tried again.
        let got = client.post("/t", "once");
        assert_eq!(got.status, 502, "{what}");
        assert!(!got.text().contains("hello"), "{what}: {got:?}");
        assert_eq!(client.get("/nowhere").status, 404, "{what}: the client's connection lives on");
    }
}

#[test]
fn a_body_that_ends_early_is_not_completed() {
    for (what, response) in [
        ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ("within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhello"),
        (
            "before the trailers' end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n",
        ),
        (
            "a chunk that breaks the rules",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
        ),
    ] {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        let got = client.get("/t");
        assert_eq!(got.status, 200, "{what}");
        assert!(!got.body.complete, "{what}: the client took {got:?} for whole");
        client.expect_close();
    }
}

#[test]
fn bytes_behind_a_response_are_never_the_next_answer() {
    let node = TestNode::scripted(|connection| {
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get("/t").text(), "mine");
    }
    assert_eq!(node.connections(), 3, "such a connection is not used again");
}
