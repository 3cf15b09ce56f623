//! The nodes of a pool that picks choose from: published by control, immutable, shared by all workers.
//!
//! Whatever makes a pick cheap in a large pool is worked out here, once for each publication. What one request has
//! tried is not known here; see [`super::selection`].

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;

use super::Node;
use super::ring::Ring;
use super::zones::Zones;

/// The longest turn order that is worked out; longer ones are rounded to about this length.
const LONGEST_ORDER: u64 = 4096;

/// A node that can be picked.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: Arc<Node>,
    /// Its effective weight in thousandths, above 0: 1000 is a weight of 1.
    pub weight: u32,
}

/// Eligible nodes, known by index, and draining ones behind them, which only [`Candidates::find`] tells.
#[derive(Debug, Default)]
pub struct Candidates {
    nodes: Vec<Candidate>,
    count: usize,
    indices: HashMap<Arc<str>, u32, FixedState>,
    /// For each eligible node the sum of the weights up to and with its own.
    sums: Vec<u64>,
    /// Whether all weights are equal: then order and draws need no table.
    equal: bool,
    order: Vec<u32>,
    ring: OnceLock<Ring>,
    zones: OnceLock<Zones>,
    /// Healthy nodes that are not needed now, for a request that tried all others.
    reserve: Option<Arc<Candidates>>,
}

impl Candidates {
    /// Publishes these nodes. A node that is draining stands in `draining` only.
    pub fn new(eligible: Vec<Candidate>, draining: Vec<Candidate>) -> Candidates {
        let count = eligible.len();
        let equal = eligible.windows(2).all(|pair| pair[0].weight == pair[1].weight);
        let sums = running_sums(eligible.iter().map(|candidate| candidate.weight)).collect();
        let order = if equal { Vec::new() } else { turn_order(&eligible) };
        let mut nodes = eligible;
        nodes.extend(draining);
        let ids = nodes.iter().enumerate();
        let indices =
            ids.map(|(index, candidate)| (Arc::clone(&candidate.node.spec.id), index as u32)).collect();
        let (ring, zones) = (OnceLock::new(), OnceLock::new());
        Candidates { nodes, count, indices, sums, equal, order, ring, zones, reserve: None }
    }

    /// The same with nodes of later tiers that are not needed: they are picked only by a request that has tried all
    /// eligible ones.
    pub fn with_reserve(
        eligible: Vec<Candidate>,
        draining: Vec<Candidate>,
        reserve: Vec<Candidate>,
    ) -> Candidates {
        let reserve = (!reserve.is_empty()).then(|| Arc::new(Candidates::new(reserve, Vec::new())));
        Candidates { reserve, ..Candidates::new(eligible, draining) }
    }

    /// What is left for a request that has tried all eligible nodes.
    pub(super) fn reserve(&self) -> Option<&Arc<Candidates>> {
        self.reserve.as_ref()
    }

    /// The number of eligible nodes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The node of this index: below [`Candidates::count`] an eligible one, above it a draining one.
    pub fn get(&self, index: u32) -> Option<&Candidate> {
        self.nodes.get(index as usize)
    }

    /// The index of the node with this id, eligible or draining.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.indices.get(id).copied()
    }

    /// All nodes, eligible ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.nodes.iter()
    }

    /// Builds now what was needed of `earlier`, the candidates that these replace. Control calls it before it
    /// publishes, so that a worker seldom has to build a ring (some milliseconds for 1,000 nodes).
    pub fn prepare_like(&self, earlier: &Candidates) {
        if earlier.ring.get().is_some() {
            self.ring();
        }
        if earlier.zones.get().is_some() {
            self.zones();
        }
    }

    /// The node whose turn this is in a smooth weighted round robin.
    pub(super) fn turn(&self, turn: u32) -> Option<u32> {
        if self.equal {
            return turn.checked_rem(self.count as u32);
        }
        self.order.get(turn as usize % self.order.len().max(1)).copied()
    }

    /// How many turns give every node its share.
    pub(super) fn turns(&self) -> u32 {
        if self.equal { self.count as u32 } else { self.order.len() as u32 }
    }

    pub(super) fn sums(&self) -> &[u64] {
        &self.sums
    }

    pub(super) fn is_equal(&self) -> bool {
        self.equal
    }

    pub(super) fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| Ring::new(&self.nodes[..self.count]))
    }

    pub(super) fn zones(&self) -> &Zones {
        self.zones.get_or_init(|| Zones::new(&self.nodes[..self.count]))
    }
}

/// The sum of the weights up to and with each.
pub(super) fn running_sums(weights: impl Iterator<Item = u32>) -> impl Iterator<Item = u64> {
    weights.scan(0, |sum, weight| {
        *sum += u64::from(weight);
        Some(*sum)
    })
}

/// nginx's smooth weighted round robin, played through once: each turn everyone gains their weight, the richest is
/// picked and pays the sum of all. A node's turns are spread evenly, not served in a row. Empty for pools so large
/// that the order would be too long; their turns are drawn by weight.
fn turn_order(eligible: &[Candidate]) -> Vec<u32> {
    let weights: Vec<u64> = eligible.iter().map(|candidate| u64::from(candidate.weight)).collect();
    if weights.len() as u64 > LONGEST_ORDER {
        return Vec::new();
    }
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let sum: u64 = weights.iter().sum::<u64>() / divisor;
    let shrink = |weight: u64| match weight / divisor {
        weight if sum <= LONGEST_ORDER => weight as i64,
        weight => (weight * LONGEST_ORDER / sum).max(1) as i64,
    };
    let weights: Vec<i64> = weights.into_iter().map(shrink).collect();
    let sum: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    let turn = |_| {
        let mut richest = 0;
        for index in 0..weights.len() {
            credit[index] += weights[index];
            if credit[index] > credit[richest] {
                richest = index;
            }
        }
        credit[richest] -= sum;
        richest as u32
    };
    (0..sum).map(turn).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::node::testing::{candidate, pool};

    #[test]
    fn nodes_are_found_by_id_and_draining_ones_stand_behind() {
        let candidates = Candidates::new(vec![candidate("a", 1), candidate("b", 2)], vec![candidate("c", 3)]);
        assert_eq!(candidates.count(), 2);
        assert_eq!(
            (candidates.find("b"), candidates.find("c"), candidates.find("d")),
            (Some(1), Some(2), None)
        );
        assert_eq!((candidates.get(2).unwrap().weight, candidates.get(3).is_none()), (3, true));
    }

    #[test]
    fn every_node_has_its_turn_however_long_the_order_would_be() {
        let weights: Vec<u32> = (0..1000).map(|index| 1000 + index * 7).collect();
        let candidates = pool(&weights);
        assert!((3000..=5000).contains(&candidates.turns()), "{}", candidates.turns());
        let mut seen = vec![false; weights.len()];
        (0..candidates.turns()).for_each(|turn| seen[candidates.turn(turn).unwrap() as usize] = true);
        assert!(seen.iter().all(|&seen| seen));
        assert_eq!(pool(&vec![1; 10_000]).turns(), 10_000);
        assert_eq!(pool(&(1..=10_000).collect::<Vec<_>>()).turn(5), None, "drawn by weight");
    }

    #[test]
    fn a_ring_is_built_ahead_only_where_one_was_used() {
        let (unused, used) = (pool(&[1000; 3]), pool(&[1000; 3]));
        used.ring();
        let next = pool(&[1000; 2]);
        next.prepare_like(&unused);
        assert!(next.ring.get().is_none());
        next.prepare_like(&used);
        assert!(next.ring.get().is_some());
    }
}
