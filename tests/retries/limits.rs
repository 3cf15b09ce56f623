//! Where trying again ends: at the first byte that the client has, with the nodes, the attempts and the budget.

use super::{gateway, refused, retries};
use crate::support::TestNode;

#[test]
fn nothing_is_tried_again_once_the_client_has_a_byte_of_the_answer() {
    let bad = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.reset_on_drop();
    });
    let good = TestNode::answering("good");
    let gateway = gateway(&bad, &good, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    let came = client.read_to_end();
    assert!(b"half".starts_with(&came), "{came:?}");
    assert_eq!(good.hits(), 0);
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "reset")]), 1.0);
}

#[test]
fn nothing_is_tried_again_after_an_informational_answer() {
    let bad = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    });
    let good = TestNode::answering("good");
    let gateway = gateway(&bad, &good, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 103);
    assert_eq!(client.read_response().status, 502);
    assert_eq!((good.hits(), refused(&gateway, "begun")), (0, 1.0));
}

#[test]
fn the_last_nodes_answer_is_passed_on_if_all_fail() {
    let (bad, good) =
        (TestNode::answering("first").with_status(503), TestNode::answering("second").with_status(500));
    let gateway = gateway(&bad, &good, "");
    let response = gateway.get("/");
    assert_eq!((response.status, response.text().as_str()), (500, "second"));
    assert_eq!(response.header("x-bascule-attempt"), Some("2"));
    assert_eq!(refused(&gateway, "no_node"), 1.0);
}

#[test]
fn attempts_are_counted() {
    let (bad, good) = (TestNode::answering("first").with_status(503), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "attempts = 1");
    let response = gateway.get("/");
    assert_eq!((response.status, response.text().as_str()), (503, "first"));
    assert_eq!((good.hits(), refused(&gateway, "attempts")), (0, 1.0));
}

#[test]
fn an_empty_budget_passes_on_what_there_is() {
    let (bad, good) = (TestNode::answering("no").with_status(503), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "retry = { budget = 0, floor = 0 }");
    let response = gateway.get("/");
    assert_eq!((response.status, response.text().as_str()), (503, "no"));
    assert_eq!(response.header("x-bascule-node"), Some("bad"));
    assert_eq!(refused(&gateway, "budget"), 1.0);
}

#[test]
fn the_budget_is_a_share_of_the_requests() {
    let (bad, good) = (TestNode::answering("no").with_status(503), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "retry = { budget = 25, floor = 0 }");
    let mut client = gateway.client();
    let mut made_good = 0;
    for _ in 0..40 {
        made_good += usize::from(client.get("/").status == 200);
    }
    // Ten seconds of them are remembered: on a slow machine the first ones are forgotten.
    assert!((1..=10).contains(&made_good), "{made_good} of 40");
    assert_eq!(good.hits(), made_good);
    assert_eq!(retries(&gateway, "status"), made_good as f64);
    assert_eq!(refused(&gateway, "budget"), (40 - made_good) as f64);
}
