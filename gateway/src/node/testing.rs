//! Pools for the tests of this module, in a line.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::candidates::{Candidate, Candidates};
use super::{Node, NodeSpec};

/// A node with this id.
pub(super) fn node(id: &str) -> Arc<Node> {
    Node::new(NodeSpec {
        id: id.into(),
        address: ([127, 0, 0, 1], 80).into(),
        weight: NonZeroU32::MIN,
        zone: None,
        tier: 0,
        drain: false,
        labels: BTreeMap::new(),
    })
}

/// A new node that can be picked.
pub(super) fn candidate(id: &str, weight: u32) -> Candidate {
    let node = node(id);
    Candidate { node, weight }
}

/// Nodes "n0", "n1" and so on, of these weights in thousandths.
pub(super) fn pool(weights: &[u32]) -> Candidates {
    let number = weights.iter().enumerate();
    let eligible = number.map(|(index, &weight)| candidate(&format!("n{index}"), weight));
    Candidates::new(eligible.collect(), Vec::new())
}
