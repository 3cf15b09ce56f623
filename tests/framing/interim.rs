//! Informational responses (RFC 9110, 15.2) and `Expect: 100-continue` (10.1.1).

use super::gateway_before;
use crate::support::{TestGateway, TestNode, wait_until};

#[test]
fn early_hints_pass_on_before_the_answer() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send("GET /t HTTP/1.1\r\nHost: a.test\r\n\r\n");
    for link in ["</a.css>", "</b.css>"] {
        let hint = client.read_head();
        assert_eq!((hint.status(), hint.header("link")), (103, Some(link)));
    }
    assert_eq!(client.read_response().text(), "hello");
}

#[test]
fn a_client_of_http_1_0_gets_no_informational_response() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    });
    let gateway = gateway_before(&node);
    let response = gateway.client().send("GET /t HTTP/1.0\r\nHost: a.test\r\n\r\n").read_response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[test]
fn informational_responses_are_no_answer() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        while connection.send("HTTP/1.1 103 Early Hints\r\n\r\n") {}
    });
    let text = "[route.all]\ntimeout = \"300ms\"\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let mut client = gateway.client();
    client.send("GET /t HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let last = std::iter::repeat_with(|| client.read_head().status()).find(|status| *status != 103);
    assert!(matches!(last, Some(502 | 504)), "{last:?}");
}

const EXPECTS: &str = "POST /t HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[test]
fn a_client_that_waits_for_100_gets_it_and_its_body_reaches_the_node() {
    let node = TestNode::scripted(|connection| {
        let head = connection.read_head().expect("a request");
        assert_eq!(head.header("expect"), Some("100-continue"), "the node decides");
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(connection.read_bytes(5), b"hello");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    assert_eq!(client.send(EXPECTS).read_head().status(), 100);
    assert_eq!(client.send("hello").read_response().text(), "fine");
}

#[test]
fn a_node_that_refuses_an_expected_body_answers_at_once() {
    let node = TestNode::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        connection.read_to_end();
    });
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    let response = client.send(EXPECTS).read_response();
    assert_eq!((response.status, response.text().as_str()), (413, "no"));
    // Nobody can know whether the body still comes, so nothing behind it can be a request.
    assert_eq!(response.header("connection"), Some("close"));
}

#[test]
fn a_request_that_has_no_route_is_refused_before_its_body_is_sent() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let response = gateway.client().send(EXPECTS.replace("/t", "/nowhere")).read_response();
    assert_eq!(response.status, 404);
}

#[test]
fn a_client_that_expects_100_but_does_not_wait_is_served() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let mut client = gateway.client();
    client.send(format!("{EXPECTS}hello"));
    let mut head = client.read_head();
    if head.status() == 100 {
        head = client.read_head();
    }
    assert_eq!((head.status(), client.read_bytes(4).as_slice()), (200, b"fine".as_slice()));
    wait_until("the node has the request", || node.hits() == 1);
    assert_eq!(node.last_request().body.bytes, b"hello");
}
