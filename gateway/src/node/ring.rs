//! The consistent-hash ring: which candidate owns a key, and who is next.
//!
//! Points depend on nothing but a node's id and its weight, so every gateway, after every restart and with the nodes
//! in any order, gives a key to the same node; and a node that comes or goes moves only its own share of the keys.

use twox_hash::XxHash64;

use super::candidates::Candidate;

/// Points of a node of weight 1: with 160 (ketama's figure) the shares of equal nodes differ by about 8 %.
const POINTS: u64 = 160;
/// A ring has about this many points at most: 3 MB. Above it every node's points are halved until they fit.
const MOST_POINTS: u64 = 1 << 18;
/// Keys are hashed with a seed that no point uses.
const KEY_SEED: u64 = u64::MAX;

/// Points in the order of their hashes. Index and hash stand apart, so that a search touches few cache lines.
#[derive(Debug, Default)]
pub(super) struct Ring {
    hashes: Box<[u64]>,
    owners: Box<[u32]>,
    /// For each value of a hash's top bits, where its points begin: a search looks at a point or two.
    starts: Box<[u32]>,
    shift: u32,
}

impl Ring {
    pub(super) fn new(candidates: &[Candidate]) -> Ring {
        let wanted = |weight: u32| u64::from(weight) * POINTS / 1000;
        let sum: u64 = candidates.iter().map(|candidate| wanted(candidate.weight)).sum();
        let halvings = (sum / MOST_POINTS).checked_ilog2().map_or(0, |log| log + 1);
        let mut points: Vec<(u64, u32)> = Vec::new();
        for (owner, candidate) in candidates.iter().enumerate() {
            let id = candidate.node.spec.id.as_bytes();
            let count = (wanted(candidate.weight) >> halvings).max(1);
            points.extend((0..count).map(|number| (XxHash64::oneshot(number, id), owner as u32)));
        }
        // Two equal points would be told apart by the order of the nodes: a chance of one in 10^8 for the largest ring.
        points.sort_unstable();
        let bits = points.len().max(2).next_power_of_two().ilog2();
        let shift = u64::BITS - bits;
        let starts = (0..=1_u64 << bits)
            .scan(0, |at, top| {
                while points.get(*at).is_some_and(|point| point.0 >> shift < top) {
                    *at += 1;
                }
                Some(*at as u32)
            })
            .collect();
        let (hashes, owners): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        Ring { hashes: hashes.into(), owners: owners.into(), starts, shift }
    }

    /// The owners of the points from this key on, once around the ring; a node comes up again and again.
    pub(super) fn walk(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        let hash = XxHash64::oneshot(KEY_SEED, key);
        let mut first = self.starts[(hash >> self.shift) as usize] as usize;
        while self.hashes.get(first).is_some_and(|&point| point < hash) {
            first += 1;
        }
        let (before, after) = self.owners.split_at(first);
        after.iter().chain(before).copied()
    }
}

#[cfg(test)]
mod tests;
