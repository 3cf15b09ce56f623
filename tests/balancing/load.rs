//! Policies that look at the nodes' load: a slow node gets less, and one that fails fast attracts nothing.

use super::{hits, in_parallel};
use crate::support::{TestGateway, TestNode};
use std::time::Duration;

const POLICIES: [&str; 3] = ["least-connections", "power-of-two", "prequal"];
const CLIENTS: usize = 9;
const REQUESTS: usize = 60;

/// Two nodes that take 5 ms and one special, under load; the share of the requests that each one got.
fn shares(policy: &str, special: TestNode) -> Vec<f64> {
    let usual = || TestNode::answering("usual").with_delay(Duration::from_millis(5));
    let nodes = [usual(), usual(), special];
    let all: Vec<_> = nodes.iter().collect();
    let gateway = TestGateway::balancing(policy, &all);
    in_parallel(&gateway, CLIENTS, REQUESTS, |response| assert!([200, 500].contains(&response.status)));
    let hits = hits(&nodes);
    // One that fails is asked before another one: a request may reach two.
    assert!(hits.iter().sum::<usize>() >= CLIENTS * REQUESTS, "each request reaches a node");
    hits.iter().map(|hits| *hits as f64 / (CLIENTS * REQUESTS) as f64).collect()
}

#[test]
fn a_slow_node_gets_little() {
    for policy in POLICIES {
        let shares = shares(policy, TestNode::answering("slow").with_delay(Duration::from_millis(100)));
        // Turns would give it a third. In proportion to its speed it is 1/41, on a machine with nothing else to do.
        assert!(shares[2] < 0.20, "{policy}: {shares:?}");
        assert!(shares[0].min(shares[1]) > 0.25, "{policy}: {shares:?}");
    }
}

#[test]
fn a_node_that_fails_fast_attracts_nothing() {
    for policy in POLICIES {
        let shares = shares(policy, TestNode::answering("fails").with_status(500));
        // By load alone it would look idle and get nearly all.
        assert!(shares[2] < 0.15, "{policy}: {shares:?}");
    }
}

#[test]
fn a_node_that_refuses_connections_costs_no_request() {
    for policy in POLICIES {
        let nodes = [TestNode::answering("up"), TestNode::stopped()];
        let gateway = TestGateway::balancing(policy, &[&nodes[0], &nodes[1]]);
        in_parallel(&gateway, 4, 25, |response| assert_eq!(response.status, 200));
        assert_eq!(hits(&nodes), [100, 0]);
    }
}

#[test]
fn equal_nodes_share_equally() {
    for policy in POLICIES {
        let nodes = [(); 4].map(|()| TestNode::answering("n").with_delay(Duration::from_millis(20)));
        let all: Vec<_> = nodes.iter().collect();
        let gateway = TestGateway::balancing(policy, &all);
        in_parallel(&gateway, 8, 40, |response| assert_eq!(response.status, 200));
        let hits = hits(&nodes);
        assert!(hits.iter().all(|hits| (30..=160).contains(hits)), "{policy}: {hits:?}");
    }
}

#[test]
fn least_connections_fills_the_nodes_by_their_weights() {
    let nodes = [(); 2].map(|()| TestNode::answering("n").with_delay(Duration::from_millis(300)));
    let pool = "policy = \"least-connections\"\nnodes = [\"{node1}\", { address = \"{node2}\", weight = 3 }]";
    let gateway = super::gateway_with(pool, &nodes);
    in_parallel(&gateway, 8, 1, |response| assert_eq!(response.status, 200));
    assert_eq!(nodes.each_ref().map(TestNode::peak_in_flight), [2, 6]);
}
