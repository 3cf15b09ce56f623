//! consistent-hash: the same key, the same node.

use super::nodes;
use crate::support::{TestGateway, TestNode};
use std::time::Duration;

/// A pool whose nodes have ids of their own, so that the ring is the same in each run.
fn gateway_hashing(config: &str, nodes: &[TestNode]) -> TestGateway {
    let list: Vec<_> = (1..=nodes.len())
        .map(|number| format!("{{ id = \"n{number}\", address = \"{{node{number}}}\" }}"))
        .collect();
    let text = format!(
        "[plugin.by-user]\nfile = \"consistent_hash.wasm\"\nconfig = {{ {config} }}\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"by-user\"\nnodes = [{}]",
        list.join(", ")
    );
    TestGateway::with(&text, &nodes.iter().collect::<Vec<_>>())
}

const BY_USER: &str = "key = { header = \"x-user\" }, bound = 0";
const KEYS: usize = 400;

/// The node of each key.
fn owners(gateway: &TestGateway) -> Vec<String> {
    let mut client = gateway.client();
    (0..KEYS).map(|key| client.get_with("/", &format!("X-User: user-{key}\r\n")).text()).collect()
}

#[test]
fn a_key_keeps_its_node_and_only_those_of_a_lost_node_move() {
    let nodes = nodes(5);
    let before = owners(&gateway_hashing(BY_USER, &nodes));
    let again = owners(&gateway_hashing(BY_USER, &nodes));
    assert_eq!(before, again, "another gateway agrees");
    for number in 1..=5 {
        let share =
            before.iter().filter(|owner| **owner == format!("n{number}")).count() as f64 / KEYS as f64;
        assert!((0.08..0.36).contains(&share), "n{number} owns {share} of the keys, a fair share is 0.2");
    }
    let after = owners(&gateway_hashing(BY_USER, &nodes[..4]));
    let moved: Vec<_> = (0..KEYS).filter(|key| before[*key] != after[*key]).collect();
    assert!(moved.iter().all(|key| before[*key] == "n5"), "a key of a node that stayed moved");
    assert_eq!(moved.len(), before.iter().filter(|owner| *owner == "n5").count());
}

#[test]
fn the_order_of_the_nodes_does_not_matter() {
    let nodes = nodes(3);
    let text = |order: [usize; 3]| {
        let list = order
            .map(|number| format!("{{ id = \"n{number}\", address = \"{{node{number}}}\" }}"))
            .join(", ");
        format!(
            "[plugin.by-user]\nfile = \"consistent_hash.wasm\"\nconfig = {{ {BY_USER} }}\n[route.all]\npool = \"main\"\n\
             [pool.main]\npolicy = \"by-user\"\nnodes = [{list}]"
        )
    };
    let all: Vec<_> = nodes.iter().collect();
    let straight = owners(&TestGateway::with(&text([1, 2, 3]), &all));
    let turned = owners(&TestGateway::with(&text([3, 1, 2]), &all));
    assert_eq!(straight, turned);
}

#[test]
fn the_path_or_a_cookie_may_be_the_key() {
    let nodes = nodes(4);
    for (config, request) in [
        ("key = \"path\", bound = 0", "GET /{key}?q={other} HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "key = { cookie = \"u\" }, bound = 0",
            "GET /{other} HTTP/1.1\r\nHost: a\r\nCookie: x={other}; u={key}\r\n\r\n",
        ),
    ] {
        let gateway = gateway_hashing(config, &nodes);
        let mut client = gateway.client();
        let mut all = std::collections::BTreeSet::new();
        for key in 0..40 {
            let mut ask = |other: &str| {
                let request = request.replace("{key}", &format!("k{key}")).replace("{other}", other);
                client.send(request).read_response().text()
            };
            let (first, second) = (ask("a"), ask("b"));
            assert_eq!(first, second, "{config}");
            all.insert(first);
        }
        assert_eq!(all.len(), 4, "{config}: forty keys meet all four nodes");
    }
}

#[test]
fn a_hot_key_goes_on_to_the_next_node_at_its_bound() {
    for (config, bounded) in [("key = \"path\", bound = 125", true), ("key = \"path\", bound = 0", false)] {
        let nodes: Vec<_> =
            (0..4).map(|_| TestNode::answering("n").with_delay(Duration::from_millis(300))).collect();
        let gateway = gateway_hashing(config, &nodes);
        super::in_parallel(&gateway, 8, 1, |response| assert_eq!(response.status, 200));
        let peak = nodes.iter().map(TestNode::peak_in_flight).max();
        // 125 % of the fair share of eight requests on four nodes is 2.5.
        assert_eq!(peak <= Some(3), bounded, "{config}: {peak:?} at once on one node");
    }
}
