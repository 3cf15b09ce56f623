//! The doubles against each other, without a gateway: what they cannot say or see, no test can.

use crate::support::{TestClient, TestNode, wait_until};

#[test]
fn a_client_reads_what_a_node_answers() {
    let node = TestNode::answering("hello").with_header("X-A", "b").with_status(418);
    let mut client = TestClient::connect(node.address());
    for count in 1..=2 {
        let response = client.get("/path?q");
        assert_eq!((response.status, response.text().as_str()), (418, "hello"));
        assert_eq!(response.header("x-a"), Some("b"));
        assert_eq!(node.hits(), count);
    }
    let request = node.last_request();
    assert_eq!((request.method(), request.path(), request.connection), ("GET", "/path?q", 1));
    assert_eq!(request.header("host"), Some("example.test"));
}

#[test]
fn a_node_reads_bodies_in_any_pieces() {
    let node = TestNode::answering("");
    let mut client = TestClient::connect(node.address());
    let request =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: b\r\n\r\n";
    for byte in request.bytes() {
        client.send([byte]);
    }
    client.read_response();
    let body = node.last_request().body;
    assert_eq!((body.bytes.as_slice(), body.complete), (b"hello".as_slice(), true));
    assert_eq!(body.trailers, [("x-a".into(), "b".into())]);
}

#[test]
fn a_body_that_ends_early_is_seen_to_be_incomplete() {
    for (response, complete) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\nhello", true),
    ] {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.send(response);
        });
        let got = TestClient::connect(node.address()).get("/");
        assert_eq!((got.text().as_str(), got.body.complete), ("hello", complete), "{response}");
    }
}

#[test]
fn a_stopped_node_refuses_and_comes_back_on_its_port() {
    let node = TestNode::answering("hello");
    let mut client = TestClient::connect(node.address());
    assert_eq!(client.get("/").status, 200);
    node.stop();
    client.expect_close();
    wait_until("no connection is open", || node.open_connections() == 0);
    let refused = std::net::TcpStream::connect(node.address());
    assert_eq!(refused.map(|_| ()).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    node.restart();
    assert_eq!(TestClient::connect(node.address()).get("/").text(), "hello");
}

#[test]
fn a_reset_and_a_half_close_reach_the_node() {
    let node = TestNode::scripted(|connection| {
        assert!(connection.read_to_end().is_empty());
        connection.send("still here");
    });
    let mut client = TestClient::connect(node.address());
    assert_eq!(client.half_close().read_to_end(), b"still here");
    TestClient::connect(node.address()).reset();
    wait_until("both connections ended", || node.connections() == 2 && node.open_connections() == 0);
}

#[test]
#[should_panic(expected = "the script of a node failed")]
fn a_script_that_fails_fails_the_test() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        panic!("on purpose");
    });
    TestClient::connect(node.address()).send("GET / HTTP/1.1\r\n\r\n").expect_close();
    wait_until("the script ended", || node.open_connections() == 0);
}
