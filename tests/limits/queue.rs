//! Limits on requests in flight, and the queue before them.

use super::{asking, crowd, gateway_with, held_node, limits, retry_after, wait_for_waiting};
use crate::support::{TestNode, wait_until};
use std::time::Duration;

fn slow_node(delay: u64) -> TestNode {
    TestNode::answering("fine").with_delay(Duration::from_millis(delay))
}

#[test]
fn a_node_gets_as_many_as_it_takes() {
    let node = slow_node(5);
    let gateway = gateway_with("{ in_flight_per_node = 1, queue_timeout = \"1m\" }", &[&node]);
    assert!(crowd(&gateway, 6, 5).iter().all(|response| response.text() == "fine"));
    assert_eq!((node.hits(), node.peak_in_flight()), (30, 1));
}

#[test]
fn a_pool_gets_as_many_as_it_takes_from_all_workers_together() {
    let nodes = [slow_node(5), slow_node(5)];
    let gateway = gateway_with("{ in_flight = 2, queue_timeout = \"1m\" }", &[&nodes[0], &nodes[1]]);
    assert!(crowd(&gateway, 8, 5).iter().all(|response| response.status == 200));
    assert_eq!(nodes.iter().map(TestNode::hits).sum::<usize>(), 40);
    assert!(nodes.iter().all(|node| node.peak_in_flight() <= 2));
    crate::support::wait_until("every place came back", || limits(&gateway, "in_flight") == 0);
    assert!(gateway.metric("bascule_pool_queue_seconds_count", &[("pool", "main")]) > 0.0);
}

#[test]
fn the_queue_is_served_in_the_order_in_which_it_came() {
    let (node, go) = held_node();
    let gateway = gateway_with("{ in_flight = 1, queue_timeout = \"1m\" }", &[&node]);
    let mut clients = vec![asking(&gateway, "/0")];
    wait_until("the first is at the node", || node.hits() == 1);
    for waiting in 1..=4 {
        clients.push(asking(&gateway, &format!("/{waiting}")));
        wait_for_waiting(&gateway, waiting);
    }
    (0..5).for_each(|_| go.send(()).unwrap());
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
    let order: Vec<_> = node.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(order, ["/0", "/1", "/2", "/3", "/4"]);
}

#[test]
fn a_node_that_is_full_is_passed_over() {
    let ((held, go), free) = (held_node(), TestNode::answering("free"));
    let gateway = gateway_with("{ in_flight_per_node = 1 }", &[&held, &free]);
    let mut client = gateway.client();
    // The native round robin starts anywhere.
    let mut first = loop {
        let client = asking(&gateway, "/held");
        wait_until("a node was asked", || held.hits() + free.hits() > 0);
        if held.hits() > 0 {
            break client;
        }
        free.forget();
    };
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "free");
    }
    go.send(()).unwrap();
    assert_eq!(first.read_response().text(), "/held");
}

#[test]
fn who_finds_the_queue_full_is_told_at_once_when_to_come_back() {
    let (node, go) = held_node();
    let gateway = gateway_with("{ in_flight = 1, queue = 1, queue_timeout = \"1m\" }", &[&node]);
    let mut first = asking(&gateway, "/first");
    wait_until("the first is at the node", || node.hits() == 1);
    let mut second = asking(&gateway, "/second");
    wait_for_waiting(&gateway, 1);
    let refused = gateway.get("/third");
    assert_eq!(refused.status, 503);
    assert!(retry_after(&refused).is_some_and(|seconds| seconds >= 1), "{refused:?}");
    let reasons = [("pool", "main"), ("reason", "queue_full")];
    assert_eq!(gateway.metric("bascule_pool_refused_total", &reasons), 1.0);
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "queue_full")]), 1.0);
    (0..2).for_each(|_| go.send(()).unwrap());
    assert_eq!(
        (first.read_response().text(), second.read_response().text()),
        ("/first".into(), "/second".into())
    );
}

#[test]
fn nobody_waits_longer_than_the_queue_grants() {
    let (node, go) = held_node();
    let gateway = gateway_with("{ in_flight = 1, queue_timeout = \"50ms\" }", &[&node]);
    let mut first = asking(&gateway, "/first");
    wait_until("the first is at the node", || node.hits() == 1);
    let mut client = gateway.client();
    let late = client.get("/late");
    assert_eq!((late.status, retry_after(&late).is_some()), (503, true));
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "queue_timeout")]), 1.0);
    go.send(()).unwrap();
    assert_eq!(first.read_response().status, 200);
    go.send(()).unwrap();
    assert_eq!(client.get("/again").text(), "/again", "the connection is as good as before");
    assert_eq!(node.hits(), 2, "what was turned away never came to the node");
}

#[test]
fn a_client_that_leaves_makes_way() {
    let (node, go) = held_node();
    let gateway = gateway_with("{ in_flight = 1, queue = 1, queue_timeout = \"1m\" }", &[&node]);
    let mut first = asking(&gateway, "/first");
    wait_until("the first is at the node", || node.hits() == 1);
    let gone = asking(&gateway, "/gone");
    wait_for_waiting(&gateway, 1);
    drop(gone);
    wait_for_waiting(&gateway, 0);
    let mut second = asking(&gateway, "/second");
    wait_for_waiting(&gateway, 1);
    (0..2).for_each(|_| go.send(()).unwrap());
    assert_eq!((first.read_response().status, second.read_response().status), (200, 200));
    assert_eq!(node.hits(), 2);
}

#[test]
fn what_is_in_flight_counts_through_a_reload() {
    let (node, go) = held_node();
    let gateway = gateway_with("{ in_flight = 1 }", &[&node]);
    let mut first = asking(&gateway, "/first");
    wait_until("the first is at the node", || node.hits() == 1);
    let text = "[gateway]\nworkers = 2\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n\
                limits = { in_flight = 1, queue = 0 }";
    gateway.rewrite_configuration(text, &[&node]);
    wait_until("the new limits rule", || gateway.snapshot()["pools"][0]["limits"]["queue"] == 0);
    assert_eq!(gateway.get("/second").status, 503);
    go.send(()).unwrap();
    assert_eq!(first.read_response().status, 200);
    wait_until("the place came back", || limits(&gateway, "in_flight") == 0);
    go.send(()).unwrap();
    assert_eq!(gateway.get("/third").status, 200);
}

#[test]
fn an_adaptive_limit_stays_within_its_bounds() {
    let node = slow_node(2);
    let gateway =
        gateway_with("{ adaptive = { min = 2, max = 4 }, queue = 1000, queue_timeout = \"1m\" }", &[&node]);
    assert!(crowd(&gateway, 12, 40).iter().all(|response| response.status == 200));
    assert!(node.peak_in_flight() <= 4, "{}", node.peak_in_flight());
    assert!((2..=4).contains(&limits(&gateway, "limit")));
    let shown = gateway.metric("bascule_pool_limit", &[("pool", "main")]);
    assert!((2.0..=4.0).contains(&shown), "{shown}");
}
