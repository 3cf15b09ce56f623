//! zone-first: requests stay in the gateway's zone as far as it can serve them.

use super::{hits, nodes};
use crate::support::{TestGateway, TestNode};

/// A gateway in zone "a" with nodes that each have this zone and weight.
fn gateway(nodes: &[TestNode], zones: &[(&str, u32)]) -> TestGateway {
    let node = |(number, (zone, weight)): (usize, &(&str, u32))| {
        format!("{{ address = \"{{node{}}}\", zone = \"{zone}\", weight = {weight} }}", number + 1)
    };
    let list: Vec<_> = zones.iter().enumerate().map(node).collect();
    let text = format!(
        "[gateway]\nworkers = 1\nzone = \"a\"\n[route.all]\npool = \"main\"\n[pool.main]\n\
         policy = [\"zone-first\", \"least-connections\"]\nnodes = [{}]",
        list.join(", ")
    );
    TestGateway::with(&text, &nodes.iter().collect::<Vec<_>>())
}

#[test]
fn the_own_zone_serves_all_that_it_can() {
    let nodes = nodes(4);
    let gateway = gateway(&nodes, &[("a", 1), ("b", 1), ("a", 1), ("c", 1)]);
    let mut client = gateway.client();
    (0..200).for_each(|_| assert_eq!(client.get("/").status, 200));
    let hits = hits(&nodes);
    assert_eq!((hits[1], hits[3]), (0, 0), "{hits:?}");
    assert!(hits[0].min(hits[2]) > 50, "the policy behind it spreads what it kept: {hits:?}");
}

#[test]
fn what_the_own_zone_lacks_spills_over() {
    let nodes = nodes(2);
    let gateway = gateway(&nodes, &[("a", 1), ("b", 3)]);
    let mut client = gateway.client();
    (0..400).for_each(|_| assert_eq!(client.get("/").status, 200));
    // A quarter of the weight where half is needed: half stays. The bounds are seven standard deviations wide.
    assert!((130..=270).contains(&nodes[0].hits()), "{:?}", hits(&nodes));
}

#[test]
fn a_node_that_is_gone_is_tried_elsewhere() {
    let nodes = [TestNode::stopped(), TestNode::answering("b")];
    let gateway = gateway(&nodes, &[("a", 1), ("b", 1)]);
    let mut client = gateway.client();
    (0..20).for_each(|_| assert_eq!(client.get("/").text(), "b"));
}
