//! What one connection may ask for, and that each refusal has its word.

use super::{gateway_with, refused};
use crate::support::http2::{Http2Client, converse};
use crate::support::{TestNode, wait_until};

#[test]
fn a_connection_has_so_many_requests_and_then_ends_politely() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("requests_per_connection = 3", "", "", &node);
    assert_eq!(gateway.snapshot()["listeners"][0]["requests_per_connection"], 3);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").header("connection"), None);
    }
    let last = client.get("/");
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    client.expect_close();
    assert_eq!(node.connections(), 1, "the node's goes on");
}

#[test]
fn a_connection_of_http2_has_so_many_requests_too() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("requests_per_connection = 3", "", "", &node);
    converse(async {
        let mut client = Http2Client::connect(gateway.address()).await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
        // The client may not have read yet that no more are taken.
        let mut more = 0;
        while let Ok(answer) = client.get("/").await {
            assert_eq!(answer.status, 200);
            more += 1;
            assert!(more < 100, "it may go on for ever");
        }
    });
    wait_until("it is gone", || gateway.snapshot()["listeners"][0]["open"] == 0);
}

#[test]
fn each_refusal_is_counted_by_its_kind() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("", "max_body = \"10B\"", "", &node);
    let get = |rest: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n");
    let long = "x".repeat(70_000);
    let cases = [
        ("framing", get("Content-Length: 1\r\nTransfer-Encoding: chunked")),
        ("syntax", get("a b: c")),
        ("target", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("unsupported", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        ("target_too_long", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("head_too_large", get(&format!("x: {long}"))),
        ("body_too_large", get("Content-Length: 11")),
    ];
    for (kind, bytes) in &cases {
        assert!(gateway.client().send(bytes).read_response().status >= 400, "{kind}");
        assert_eq!(refused(&gateway, kind), 1.0, "{kind}");
        assert_eq!(gateway.snapshot()["refused"][*kind], 1, "{kind}");
    }
    assert_eq!(gateway.snapshot()["refused"].as_object().unwrap().len(), cases.len());
    assert_eq!(node.hits(), 0);
}
