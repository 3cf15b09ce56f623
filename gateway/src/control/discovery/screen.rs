//! What of a set can be used: each id and each address once, and not too many. Pure.
//!
//! Sets are put in the order of their ids first, so that the same entries win whatever order a registry tells them in.

use std::collections::HashMap;

use super::schema::{Announced, BadEntry, NodeSet};

/// The most nodes that a pool may find: more is a mistake, and each costs memory on every worker.
pub(super) const MOST_NODES: usize = 10_000;

/// The nodes that can be used, in the order of their ids, and all that cannot.
pub(super) fn screen(set: &NodeSet) -> NodeSet {
    let mut sorted: Vec<&Announced> = set.nodes.iter().collect();
    sorted.sort_by(|one, other| (&one.id, &one.address).cmp(&(&other.id, &other.address)));
    let mut good = NodeSet { nodes: Vec::new(), bad: set.bad.clone() };
    let mut ids: HashMap<&str, &Announced> = HashMap::new();
    let mut addresses: HashMap<&str, &Announced> = HashMap::new();
    let mut beyond = 0;
    for node in sorted {
        let address = node.address.as_str();
        if let Some(first) = ids.get(node.id.as_str()) {
            let why = format!("{address} has the same id as {}, which is used", first.address);
            good.bad.push(BadEntry { key: node.id.clone(), why });
        } else if let Some(first) = addresses.get(address) {
            let why = format!("it has the same address as \"{}\", which is used: {address}", first.id);
            good.bad.push(BadEntry { key: node.id.clone(), why });
        } else if good.nodes.len() == MOST_NODES {
            beyond += 1;
        } else {
            ids.insert(&node.id, node);
            addresses.insert(address, node);
            good.nodes.push(node.clone());
        }
    }
    if beyond > 0 {
        let why = format!("{beyond} nodes are left out: a pool has {MOST_NODES} at most");
        good.bad.push(BadEntry { key: "…".to_owned(), why });
    }
    good
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(nodes: &[(&str, &str)]) -> NodeSet {
        let nodes = nodes.iter().map(|(id, address)| Announced::at(id, address.parse().unwrap()));
        NodeSet { nodes: nodes.collect(), bad: Vec::new() }
    }

    #[test]
    fn the_first_by_id_and_address_wins() {
        let one = set(&[("b", "h:2"), ("a", "h:9"), ("a", "h:1"), ("c", "h:2")]);
        let mut other = one.clone();
        other.nodes.reverse();
        assert_eq!(screen(&one), screen(&other), "whatever their order");
        let good = screen(&one);
        let ids: Vec<_> = good.nodes.iter().map(|node| (node.id.as_str(), node.address.as_str())).collect();
        assert_eq!(ids, [("a", "h:1"), ("b", "h:2")]);
        let bad: Vec<_> = good.bad.iter().map(|bad| bad.key.as_str()).collect();
        assert_eq!(bad, ["a", "c"]);
    }

    #[test]
    fn too_many_are_named_once() {
        let nodes: Vec<_> = (0..MOST_NODES + 5).map(|n| (format!("n{n:06}"), format!("h{n}:1"))).collect();
        let nodes: Vec<_> = nodes.iter().map(|(id, address)| (id.as_str(), address.as_str())).collect();
        let good = screen(&set(&nodes));
        assert_eq!((good.nodes.len(), good.bad.len()), (MOST_NODES, 1));
        assert!(good.bad[0].why.starts_with("5 nodes"), "{}", good.bad[0].why);
    }
}
