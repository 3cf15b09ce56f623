//! Turns in proportion to weights: exact, since one worker serves and the requests come one after another.

use super::{gateway_with, hits, nodes};
use crate::support::{TestGateway, TestNode};

const WEIGHTED: &str =
    "nodes = [\"{node1}\", { address = \"{node2}\", weight = 2 }, { address = \"{node3}\", weight = 5 }]\n";

fn spread(pool: &str, requests: usize) -> Vec<usize> {
    let nodes = nodes(3);
    let gateway = gateway_with(pool, &nodes);
    let mut client = gateway.client();
    for _ in 0..requests {
        assert_eq!(client.get("/").status, 200);
    }
    hits(&nodes)
}

#[test]
fn round_robin_spreads_by_weight() {
    assert_eq!(spread(&format!("policy = \"round-robin\"\n{WEIGHTED}"), 160), [20, 40, 100]);
}

#[test]
fn the_native_round_robin_spreads_by_weight() {
    assert_eq!(spread(WEIGHTED, 160), [20, 40, 100]);
}

#[test]
fn round_robin_keeps_no_node_waiting() {
    let nodes = nodes(4);
    let all: Vec<_> = nodes.iter().collect();
    let gateway = TestGateway::balancing("round-robin", &all);
    let mut client = gateway.client();
    for turn in 1..=10 {
        for _ in 0..4 {
            client.get("/");
        }
        assert_eq!(hits(&nodes), [turn; 4]);
    }
}

#[test]
fn two_workers_share_out_all_the_same() {
    let nodes = nodes(2);
    let text = "[gateway]\nworkers = 2\n[route.all]\npool = \"main\"\n[pool.main]\npolicy = \"round-robin\"\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &nodes.iter().collect::<Vec<_>>());
    // Each connection belongs to one worker, whose turns are its own.
    for _ in 0..20 {
        let mut client = gateway.client();
        for _ in 0..10 {
            assert_eq!(client.get("/").status, 200);
        }
    }
    assert_eq!(hits(&nodes), [100, 100]);
}

#[test]
fn a_node_that_is_down_gives_its_turns_to_the_others() {
    let nodes = [TestNode::answering("n1"), TestNode::stopped(), TestNode::answering("n3")];
    let all: Vec<_> = nodes.iter().collect();
    let gateway = TestGateway::balancing("round-robin", &all);
    let mut client = gateway.client();
    for _ in 0..60 {
        assert_eq!(client.get("/").status, 200);
    }
    let hits = hits(&nodes);
    assert!(hits[0] >= 20 && hits[2] >= 20, "{hits:?}");
}
