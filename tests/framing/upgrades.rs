//! Another protocol on the same connection (RFC 9110, 7.8).

use super::gateway_before;
use crate::support::{TestNode, wait_until};

const UPGRADE: &str = "GET /t HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Switches if it is asked to, and then echoes until the other end stops sending.
fn echoing_node() -> TestNode {
    TestNode::scripted(|connection| {
        let request = connection.read_request().expect("a request");
        assert_eq!(request.header("upgrade"), Some("websocket"));
        assert_eq!(request.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
        // What follows the head at once belongs to the new protocol.
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ",
        );
        loop {
            let piece = connection.read_bytes(3);
            if piece.is_empty() {
                break;
            }
            connection.send(piece);
        }
        connection.send("bye");
    })
}

#[test]
fn an_upgrade_becomes_a_tunnel_in_both_directions() {
    let node = echoing_node();
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    let head = client.send(UPGRADE).read_head();
    assert_eq!((head.status(), head.header("upgrade")), (101, Some("websocket")));
    assert_eq!(client.read_bytes(6), b"hello ");
    for piece in ["one", "two", "\r\n\r"] {
        assert_eq!(client.send(piece).read_bytes(3), piece.as_bytes());
    }
    // Each direction ends by itself.
    assert_eq!(client.half_close().read_to_end(), b"bye");
    wait_until("the node's connection is closed", || node.open_connections() == 0);
}

#[test]
fn bytes_that_came_with_the_request_go_into_the_tunnel() {
    let node = echoing_node();
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    assert_eq!(client.send(format!("{UPGRADE}now")).read_head().status(), 101);
    assert_eq!(client.read_bytes(9), b"hello now");
}

#[test]
fn a_node_that_does_not_switch_answers_as_usual() {
    let node = TestNode::answering("no");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.send(UPGRADE).read_response().text(), "no");
    }
    assert_eq!(node.connections(), 1);
}

#[test]
fn a_client_that_leaves_a_tunnel_ends_it() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        connection.read_to_end();
    });
    let gateway = gateway_before(&node);
    for reset in [false, true] {
        let mut client = gateway.client();
        assert_eq!(client.send(UPGRADE).read_head().status(), 101);
        if reset {
            client.reset()
        } else {
            drop(client)
        }
        wait_until("the node's connection is closed", || node.open_connections() == 0);
    }
}
