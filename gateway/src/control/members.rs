//! All nodes of a pool: those that the configuration writes down, and those that were found. Pure.
//!
//! The configuration's stand first, and have the last word: a node that was found is left out if one that is written
//! down has its id or its address.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::addresses::Addresses;
use super::config;
use super::discovery::BadEntry;
use crate::node::NodeSpec;

/// All of them, each id and each address once.
pub(super) fn all(pool: &config::Pool, addresses: &Addresses, found: &[NodeSpec]) -> Vec<NodeSpec> {
    let mut all: Vec<NodeSpec> = pool.nodes.iter().map(|node| spec(node, addresses)).collect();
    let written = Written::of(&all);
    let visible = found.iter().filter(|node| written.hides(node).is_none()).cloned();
    let visible: Vec<NodeSpec> = visible.collect();
    all.extend(visible);
    all
}

/// Those that were found and are left out, and why.
pub(super) fn hidden(pool: &config::Pool, addresses: &Addresses, found: &[NodeSpec]) -> Vec<BadEntry> {
    let nodes: Vec<NodeSpec> = pool.nodes.iter().map(|node| spec(node, addresses)).collect();
    let written = Written::of(&nodes);
    let hidden = found
        .iter()
        .filter_map(|node| Some(BadEntry { key: node.id.to_string(), why: written.hides(node)?.to_owned() }));
    hidden.collect()
}

/// What the configuration has taken.
struct Written<'a> {
    ids: HashSet<&'a str>,
    addresses: HashSet<SocketAddr>,
}

impl<'a> Written<'a> {
    fn of(nodes: &'a [NodeSpec]) -> Self {
        Self {
            ids: nodes.iter().map(|node| &*node.id).collect(),
            addresses: nodes.iter().map(|node| node.address).collect(),
        }
    }

    fn hides(&self, found: &NodeSpec) -> Option<&'static str> {
        if self.ids.contains(&*found.id) {
            Some("the configuration has a node with this id")
        } else if self.addresses.contains(&found.address) {
            Some("the configuration has a node with this address")
        } else {
            None
        }
    }
}

/// A node that is written down.
pub(super) fn spec(node: &config::Node, addresses: &Addresses) -> NodeSpec {
    let labels = node.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
    NodeSpec {
        id: node.id.as_str().into(),
        address: addresses[node.address.as_str()],
        weight: node.weight,
        zone: node.zone.as_deref().map(Into::into),
        tier: node.tier,
        drain: node.drain,
        labels: labels.collect(),
    }
}
