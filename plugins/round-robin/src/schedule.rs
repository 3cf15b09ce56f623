//! The turns of one pool's candidates, by index. It knows no ids: when a node leaves and another comes, the new
//! one takes over an index and its turn, which spreads as evenly.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bascule_plugin::prelude::*;

/// The stride of a node of weight 1. Many numbers divide it, so that whole weights have exact strides; a weight of
/// 1,000 still has three digits, and virtual time lasts for 10^13 picks.
const STRIDE: u64 = 720_720;

/// When a node's next turn is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    due: u64,
    /// Orders turns that are due at once; it starts anywhere, so that instances do not agree on who is first.
    order: u32,
    node: u32,
}

/// The turns of all candidates of a pool.
#[derive(Debug)]
pub(crate) struct Schedule(BinaryHeap<Reverse<Turn>>);

impl Schedule {
    /// Gives each candidate its first turn, as if the schedule had run for a random time.
    pub(crate) fn new(nodes: &Nodes) -> Self {
        let candidates = nodes.all();
        let count = candidates.len() as u32;
        let mut alike = BTreeMap::<u64, Alike>::new();
        for node in candidates.iter() {
            alike.entry(stride(node)).or_default().nodes += 1;
        }
        let longest = alike.keys().next_back().map_or(0, |stride| *stride as u32);
        let now = u64::from(random::below(longest));
        let first = random::below(count);
        let turn = |node: Node| {
            let stride = stride(node);
            let phase = alike.entry(stride).or_default().next_phase(stride);
            let passed = now.saturating_sub(phase).div_ceil(stride);
            let order = (node.index() + first) % count;
            Reverse(Turn { due: phase + passed * stride, order, node: node.index() })
        };
        Self(candidates.iter().map(turn).collect())
    }

    /// How many candidates it is for.
    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// The node whose turn it is; its next turn comes one stride of its present weight later.
    pub(crate) fn next(&mut self) -> Option<Node> {
        let mut turn = self.0.peek_mut()?;
        let node = Node::at(turn.0.node);
        turn.0.due += stride(node);
        Some(node)
    }
}

/// The nodes of one stride: each has a part of it to itself, so that they are as far from each other as can be.
#[derive(Debug, Default)]
struct Alike {
    nodes: u64,
    placed: u64,
}

impl Alike {
    /// Where the next one's turns stand in their strides: in the middle of its part, since at the ends those of all weights would
    /// meet.
    fn next_phase(&mut self, stride: u64) -> u64 {
        let halves = 2 * self.placed + 1;
        self.placed += 1;
        stride * halves / (2 * self.nodes).max(1)
    }
}

fn stride(node: Node) -> u64 {
    (STRIDE * 1000 / u64::from(node.weight())).max(1)
}
