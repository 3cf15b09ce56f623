//! A node that answers before it has the whole request.

use super::gateway_before;
use crate::support::TestNode;

#[test]
fn an_answer_that_does_not_wait_for_the_body_reaches_the_client() {
    let node = TestNode::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        connection.half_close();
        connection.read_to_end();
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nonly a part");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (413, "no"));
    client.expect_close(); // what is left of the body must not be read as a request
}

#[test]
fn both_directions_make_progress_at_once() {
    // The node echoes each piece before the next one is sent: neither side is ever whole while the other waits.
    let node = TestNode::scripted(|connection| {
        let head = connection.read_head().expect("a request");
        assert_eq!(head.header("content-length"), Some("300"));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n");
        for _ in 0..100 {
            let piece = connection.read_bytes(3);
            connection.send(piece);
        }
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.status(), 200);
    let closes = head.header("connection") == Some("close");
    for number in 0..100 {
        let piece = format!("{number:03}").into_bytes();
        assert_eq!(client.send(&piece).read_bytes(3), piece);
    }
    // The request was not whole when the answer began, so its head may have said that this is the last one.
    match closes {
        true => client.expect_close(),
        false => assert_eq!(client.get("/nowhere").status, 404, "the connection lives on"),
    }
}

#[test]
fn a_nodes_connection_with_an_unfinished_request_is_not_used_again() {
    let node = TestNode::scripted(|connection| {
        connection.read_head();
        // Answers without the body, and would take whatever comes next for a request.
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        let rest = connection.read_to_end();
        assert!(!rest.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 30\r\n\r\nGET /");
    assert_eq!(client.read_response().text(), "fine");
    client.send("smuggled HTTP/1.1\r\n\r\n");
    let mut other = gateway.client();
    assert_eq!(other.get("/t").text(), "fine");
    assert_eq!(node.connections(), 2);
}
