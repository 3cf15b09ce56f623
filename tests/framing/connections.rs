//! Connections on both sides: kept alive, half-closed, closed just as they are used again.

use super::gateway_before;
use crate::support::{PATIENCE, TestGateway, TestNode, wait_until};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

#[test]
fn connections_are_kept_on_both_sides() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.get("/t").text(), "fine");
    }
    assert_eq!(gateway.get("/t").text(), "fine");
    assert_eq!((node.hits(), node.connections()), (11, 1), "one worker needs one connection");
}

#[test]
fn connection_close_is_honoured_on_both_sides() {
    let node = TestNode::answering("fine").with_header("Connection", "close");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for count in 1..=3 {
        assert_eq!(client.get("/t").text(), "fine");
        assert_eq!(node.connections(), count, "the node's wish ends its connection only");
    }
    let response = client.get_with("/t", "Connection: close\r\n");
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_close();
}

#[test]
fn http_1_0_keeps_its_connection_only_if_it_asks() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    let response = client.send("GET /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_response();
    assert_eq!((response.status, response.header("connection")), (200, Some("keep-alive")));
    assert_eq!(client.send("GET /t HTTP/1.0\r\n\r\n").read_response().text(), "fine");
    client.expect_close();
}

#[test]
fn a_client_that_half_closed_after_its_last_request_gets_its_answer() {
    let node = TestNode::answering("fine").with_delay(Duration::from_millis(50));
    let gateway = gateway_before(&node);
    for request in [
        "GET /t HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
        "GET /t HTTP/1.0\r\n\r\n",
        "POST /t HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut client = gateway.client();
        let response = client.send(request).half_close().read_response();
        assert_eq!(response.text(), "fine", "{request}");
        client.expect_close();
    }
}

/// A node that never answers, and tells when the gateway dropped a request.
fn node_that_never_answers() -> (TestNode, mpsc::Receiver<()>) {
    let (dropped, drops) = mpsc::channel();
    let node = TestNode::scripted(move |connection| {
        connection.read_request();
        connection.read_to_end();
        dropped.send(()).unwrap();
    });
    (node, drops)
}

#[test]
fn a_client_that_ends_its_connection_before_the_answer_is_gone() {
    let (node, drops) = node_that_never_answers();
    let gateway = gateway_before(&node);
    for (count, way) in (1..).zip(["FIN", "RST", "half-close"]) {
        let mut client = gateway.client();
        client.send("GET /t HTTP/1.1\r\nHost: a.test\r\n\r\n");
        wait_until("the node has the request", || node.hits() == count);
        match way {
            "FIN" => drop(client),
            "RST" => client.reset(),
            _ => client.half_close().expect_close(),
        }
        assert!(drops.recv_timeout(PATIENCE).is_ok(), "{way}: the node still waits");
    }
    let metric = || gateway.metric("bascule_errors_total", &[("kind", "client_gone")]);
    wait_until("three clients are counted as gone", || metric() == 3.0);
}

#[test]
fn a_request_whose_client_goes_within_its_body_is_dropped() {
    let (node, drops) = node_that_never_answers();
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nsome");
    wait_until("the request is on its way", || node.open_connections() == 1);
    drop(client);
    assert!(drops.recv_timeout(PATIENCE).is_ok());
    assert!(node.requests().iter().all(|request| !request.body.complete));
}

/// Answers the first request on each connection, and ends it as soon as a second one comes.
fn node_that_closes_as_it_is_reused(reset: bool) -> TestNode {
    TestNode::scripted(move |connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        connection.read_request();
        if reset {
            connection.reset_on_drop();
        }
    })
}

#[test]
fn an_idempotent_request_survives_a_node_that_closes_as_it_is_reused() {
    for reset in [false, true] {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let node = node_that_closes_as_it_is_reused(reset);
            let gateway = gateway_before(&node);
            let mut client = gateway.client();
            assert_eq!(client.get("/t").text(), "fine");
            let request = format!("{method} /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
            let response = client.send(request).read_response();
            assert_eq!(response.status, 200, "{method}, reset: {reset}");
            let last = node.last_request();
            assert_eq!((last.connection, last.body.bytes.as_slice()), (2, b"hi".as_slice()), "{method}");
        }
    }
}

#[test]
fn a_body_that_is_no_longer_at_hand_is_not_sent_again_in_part() {
    let node = node_that_closes_as_it_is_reused(false);
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    assert_eq!(client.get("/t").text(), "fine");
    let body = "a".repeat(1_000_000);
    let request = format!("PUT /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n{body}");
    // Either the whole of it reaches the node twice, or the client is told.
    let status = client.send(request).read_response().status;
    assert!([200, 502].contains(&status), "{status}");
    let sent = node.requests().into_iter().filter(|request| request.method() == "PUT");
    assert!(
        sent.filter(|request| request.body.complete).all(|request| request.body.bytes.len() == 1_000_000)
    );
}

#[test]
fn a_request_that_may_not_be_repeated_is_502_when_the_node_closes_on_it() {
    for reset in [false, true] {
        let node = node_that_closes_as_it_is_reused(reset);
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        assert_eq!(client.get("/t").text(), "fine");
        assert_eq!(client.post("/t", "once").status, 502, "reset: {reset}");
        assert_eq!(node.hits(), 2, "it was sent once");
        assert_eq!(client.get("/t").text(), "fine", "the client's connection lives on");
    }
}

#[test]
fn a_connection_that_the_node_closed_while_it_was_idle_is_not_used() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    for count in 1..=5 {
        // Nothing of it was sent on the closed one, so even a POST goes to a fresh one.
        assert_eq!(client.post("/t", "once").text(), "fine");
        assert_eq!(node.hits(), count);
        wait_until("the node closed", || node.open_connections() == 0);
    }
}

#[test]
fn a_fresh_connection_that_ends_without_an_answer_is_502() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    assert_eq!(client.post("/t", "once").status, 502);
    assert_eq!(node.hits(), 1);
}

#[test]
fn a_client_that_is_slow_with_its_head_is_sent_away() {
    let node = TestNode::answering("fine");
    let text = "[gateway]\nworkers = 1\nlimits = { head_timeout = \"200ms\", idle_timeout = \"300ms\" }\n\
                [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let mut slow = gateway.client();
    assert_eq!(slow.send("GET /t HT").read_response().status, 408);
    slow.expect_close();
    let mut idle = gateway.client();
    assert_eq!(idle.get("/t").text(), "fine");
    idle.expect_close(); // without a word: the client may be about to send
}

#[test]
fn what_flows_is_not_held_back() {
    // A piece of the body must not wait for the next one, nor the head for the body.
    let go_on = Arc::new(AtomicBool::new(false));
    let told = go_on.clone();
    let node = TestNode::scripted(move |connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        connection.send("first");
        wait_until("the client has the first piece", || told.load(SeqCst));
        connection.send("after");
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("GET /t HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    assert_eq!(client.read_bytes(5), b"first");
    go_on.store(true, SeqCst);
    assert_eq!(client.read_bytes(5), b"after");
}

#[test]
fn a_client_that_stalls_within_its_body_is_told_and_the_node_not_blamed() {
    let node = TestNode::answering("fine");
    let text = "[route.all]\ntimeout = \"300ms\"\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let mut client = gateway.client();
    client.send("POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.read_response().status, 408);
    client.expect_close();
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "client_timeout")]), 1.0);
    assert_eq!(gateway.metric("bascule_node_failures_total", &[]), 0.0);
}

#[test]
fn http_1_0_keep_alive_ends_where_only_the_end_tells_a_bodys_length() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    let response = client.send("GET /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_response();
    assert_eq!(response.text(), "hello");
    assert_ne!(response.header("connection"), Some("keep-alive"));
    client.expect_close();
}

#[test]
fn a_client_that_has_sent_nothing_yet_is_idle_and_not_late_with_its_head() {
    let node = TestNode::answering("fine");
    let text = "[gateway]\nworkers = 1\nlimits = { head_timeout = \"200ms\" }\n[route.all]\npool = \"main\"\n\
                [pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let (mut silent, mut slow) = (gateway.client(), gateway.client());
    assert_eq!(slow.send("GET /t HT").read_response().status, 408);
    // It came before the other one, so that its time would be over as well.
    assert_eq!(silent.get("/t").text(), "fine");
}
