//! Picks by the pool's consistent-hash ring, past the nodes that are not candidates of this pick.

use super::Selection;

/// A bounded walk along the ring gives up after so many points: with half of the nodes above their bound, one walk in
/// 2^512 would need more.
const MOST_STEPS: usize = 512;

/// The load of a pool is estimated from at most so many of its nodes.
const MOST_LOOKED_AT: u32 = 64;

impl Selection {
    /// The candidate that owns this key on the pool's consistent-hash ring.
    pub fn by_hash(&self, key: &[u8]) -> Option<u32> {
        if self.count() == 0 {
            return None;
        }
        self.list()?.ring().walk(key).find_map(|raw| self.index_of(raw))
    }

    /// The same with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): goes on along the ring past nodes that would
    /// have more than `percent` hundredths of their fair share of the requests in flight.
    ///
    /// A second request on a node is always let through, so that an idle pool keeps its affinity. Where all nodes are
    /// above their bound (it is below 100 %, or nodes are left out), the least loaded that was met is the answer.
    pub fn by_hash_bounded(&self, key: &[u8], percent: u32) -> Option<u32> {
        let owner = self.by_hash(key)?;
        if self.candidate(owner)?.node.live.in_flight() <= 1 {
            return Some(owner);
        }
        let share = self.share_of_weight() * f64::from(percent) / 100.0;
        let mut least = (f64::INFINITY, owner);
        let steps = self.list()?.ring().walk(key).filter_map(|raw| self.index_of(raw));
        for index in steps.take(MOST_STEPS) {
            let candidate = self.candidate(index)?;
            let in_flight = candidate.node.live.in_flight();
            let weight = f64::from(candidate.weight);
            if in_flight <= 1 || f64::from(in_flight + 1) <= (share * weight).ceil() {
                return Some(index);
            }
            if f64::from(in_flight) / weight < least.0 {
                least = (f64::from(in_flight) / weight, index);
            }
        }
        Some(least.1)
    }

    /// Requests in flight for each thousandth of weight, with the one that is being placed. In large pools it is
    /// estimated from 64 candidates, spread over the list: reading 1,000 nodes' counters would cost more than the
    /// rest of the pick.
    fn share_of_weight(&self) -> f64 {
        let count = self.count();
        let looked_at = count.min(MOST_LOOKED_AT);
        let (first, step) = (fastrand::u32(..count.max(1)), count / looked_at.max(1));
        let (mut in_flight, mut weight) = (0_u64, 0_u64);
        for number in 0..looked_at {
            let index = (u64::from(first) + u64::from(number * step)) % u64::from(count);
            if let Some(candidate) = self.candidate(index as u32) {
                in_flight += u64::from(candidate.node.live.in_flight());
                weight += u64::from(candidate.weight);
            }
        }
        let own = f64::from(looked_at) / f64::from(count.max(1));
        (in_flight as f64 + own) / weight.max(1) as f64
    }
}
