//! The gateway's own answers: the right status, in a form that the client accepts, and nothing about the inside.

use crate::support::{Response, TestGateway, TestNode};
use std::collections::BTreeSet;
use std::time::Duration;

/// A gateway that answers with each of its own errors: /502 (the node is down), /504 (late), elsewhere 404.
struct Failing {
    gateway: TestGateway,
    _nodes: [TestNode; 2],
}

fn failing() -> Failing {
    let nodes = [TestNode::stopped(), TestNode::answering("late").with_delay(Duration::from_secs(2))];
    let text = "[route.down]\npath = \"/502\"\npool = \"secret-down\"\n[pool.secret-down]\nnodes = [\"{node1}\"]\n\
                [route.late]\npath = \"/504\"\npool = \"secret-late\"\ntimeout = \"100ms\"\n[pool.secret-late]\nnodes = [\"{node2}\"]\n";
    Failing { gateway: TestGateway::with(text, &[&nodes[0], &nodes[1]]), _nodes: nodes }
}

const STATUSES: [u16; 3] = [404, 502, 504];

fn media_type(response: &Response) -> &str {
    let value = response.header("content-type").unwrap_or_default();
    value.split(';').next().unwrap_or_default()
}

#[test]
fn each_error_has_its_status_and_a_short_body_in_the_accepted_type() {
    let failing = failing();
    let mut client = failing.gateway.client();
    for status in STATUSES {
        for (accept, expected) in [
            ("", "text/plain"),
            ("Accept: */*\r\n", "text/plain"),
            ("Accept: text/plain\r\n", "text/plain"),
            ("Accept: application/json\r\n", "application/json"),
            ("Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n", "text/html"),
        ] {
            let response = client.get_with(&format!("/{status}"), accept);
            assert_eq!(response.status, status, "{accept}");
            assert_eq!(media_type(&response), expected, "{status}: {accept}");
            let length = response.body.bytes.len();
            assert!((1..1000).contains(&length), "{status}: {length} bytes");
        }
    }
}

#[test]
fn each_error_names_its_request() {
    let failing = failing();
    let mut client = failing.gateway.client();
    let mut ids = BTreeSet::new();
    for status in STATUSES {
        let response = client.get_with(&format!("/{status}"), "Accept: application/json\r\n");
        let id = response.header("x-request-id").expect("an id").to_owned();
        let body: serde_json::Value = serde_json::from_str(&response.text()).expect("JSON");
        assert!(body.to_string().contains(&id), "{body} does not name {id}");
        assert!(ids.insert(id), "an id names one request");
        let plain = client.get(&format!("/{status}"));
        assert!(plain.text().contains(plain.header("x-request-id").expect("an id")));
    }
}

#[test]
fn no_error_tells_about_the_inside() {
    let failing = failing();
    let mut client = failing.gateway.client();
    for status in STATUSES {
        for accept in ["text/plain", "application/json", "text/html"] {
            let response = client.get_with(&format!("/{status}"), &format!("Accept: {accept}\r\n"));
            let everything = format!("{:?} {}", response.head, response.text()).to_lowercase();
            for inside in
                ["127.0.0.1", "secret", "refused", "os error", "bascule", "round", "wasm", "panicked"]
            {
                assert!(!everything.contains(inside), "{status}, {accept}: {inside:?} in {everything}");
            }
        }
    }
}

#[test]
fn head_gets_the_head_of_the_error() {
    let failing = failing();
    let mut client = failing.gateway.client();
    for status in STATUSES {
        let head = client.send(format!("HEAD /{status} HTTP/1.1\r\nHost: a\r\n\r\n")).read_head();
        assert_eq!(head.status(), status);
    }
    assert_eq!(client.get("/404").status, 404, "no body stood in the way");
}

#[test]
fn an_error_ends_the_connection_only_if_a_body_is_left() {
    let failing = failing();
    let mut client = failing.gateway.client();
    assert_eq!(client.post("/404", "short").status, 404);
    assert_eq!(client.get("/404").status, 404);
    client.send("POST /404 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nGET /404 HTTP/1.1\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.header("connection")), (404, Some("close")));
    client.expect_close();
}

#[test]
fn a_node_that_refuses_is_passed_over() {
    let (down, up) = (TestNode::stopped(), TestNode::answering("up"));
    let gateway = TestGateway::before(&[&down, &up]);
    let mut client = gateway.client();
    for _ in 0..20 {
        assert_eq!(client.post("/", "nothing of it was sent to the first").text(), "up");
    }
}

#[test]
fn a_node_that_comes_back_is_used_again() {
    let node = TestNode::answering("up");
    let gateway = TestGateway::before(&[&node]);
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    node.stop();
    let status = client.get("/").status;
    assert!([502, 503].contains(&status), "{status}");
    node.restart();
    crate::support::wait_until("the node serves again", || client.get("/").status == 200);
}

#[test]
fn a_node_that_is_late_costs_no_more_than_the_time_that_the_route_grants() {
    let failing = failing();
    let start = std::time::Instant::now();
    assert_eq!(failing.gateway.get("/504").status, 504);
    let took = start.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(1)).contains(&took), "{took:?}");
}

#[test]
fn errors_are_counted_by_kind() {
    let failing = failing();
    let mut client = failing.gateway.client();
    for status in [404, 404, 502, 504] {
        client.get(&format!("/{status}"));
    }
    let count = |kind| failing.gateway.metric("bascule_errors_total", &[("kind", kind)]);
    assert_eq!(["no_route", "connect", "timeout", "reset"].map(count), [2.0, 1.0, 1.0, 0.0]);
}
