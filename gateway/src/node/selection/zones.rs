//! The candidates of one pick by where they stand, beside the gateway's own zone.

use std::sync::Arc;

use super::Selection;

/// How the candidates' weights are spread over zones; as the record of the plugin contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneWeights {
    /// Of the candidates in the gateway's own zone, in thousandths.
    pub here: u64,
    /// Of all candidates.
    pub all: u64,
    /// In how many zones the pool's eligible nodes stand; those without one are in one more.
    pub zones: u32,
}

impl Selection {
    /// Says where the gateway stands.
    pub fn stand_in(&mut self, zone: Option<&Arc<str>>) {
        // Nearly always it stands where it stood: a pointer is compared at no cost, and counted at some.
        let is_same = |own: &Arc<str>| zone.is_some_and(|zone| Arc::ptr_eq(own, zone));
        if !self.zone.as_ref().is_some_and(is_same) {
            self.zone = zone.cloned();
        }
    }

    /// How the candidates are spread; none if nobody said where the gateway stands.
    pub fn own_zone(&self) -> Option<ZoneWeights> {
        let (list, zone) = (self.list()?, self.zone.as_deref()?);
        let zones = list.zones();
        let own = zones.named(zone);
        if self.is_whole() {
            let here = own.map_or(0, |(_, zone)| zone.weight);
            let all = list.sums().last().copied().unwrap_or(0);
            return Some(ZoneWeights { here, all, zones: zones.count() });
        }
        let mut weights = ZoneWeights { zones: zones.count(), ..ZoneWeights::default() };
        for raw in (0..self.count()).filter_map(|index| self.raw(index)) {
            let weight = list.get(raw).map_or(0, |candidate| u64::from(candidate.weight));
            weights.all += weight;
            weights.here += if zones.of(raw) == own.map(|(place, _)| place) { weight } else { 0 };
        }
        Some(weights)
    }

    /// Wishes to keep the candidates in the gateway's own zone, or else those outside of it, as [`Selection::keep`]
    /// does.
    pub fn keep_zone(&mut self, here: bool) {
        let mut wish = std::mem::take(&mut self.wish);
        wish.clear();
        if let (Some(list), Some(zone)) = (self.list(), self.zone.as_deref()) {
            let named = list.zones().named(zone);
            match named {
                // The usual case: a copy of what was worked out before.
                Some((_, zone)) if here && self.is_whole() => wish.extend_from_slice(&zone.members),
                _ => {
                    let place = named.map(|(place, _)| place);
                    let left = (0..self.count()).filter_map(|index| self.raw(index));
                    wish.extend(left.filter(|&raw| (list.zones().of(raw) == place) == here));
                }
            }
        }
        self.wish = wish;
    }

    /// Whether nothing was tried and nothing left out.
    fn is_whole(&self) -> bool {
        self.kept.is_empty() && self.tried.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::*;
    use crate::node::candidates::{Candidate, Candidates};
    use crate::node::testing::node;
    use crate::node::{Node, NodeSpec};

    /// Nodes "n0", "n1" and so on of weight 1, in these zones; "" is none. The gateway stands in "a".
    fn in_zones(zones: &[&str]) -> Selection {
        pick_from(Candidates::new(candidates(zones), Vec::new()))
    }

    fn candidates(zones: &[&str]) -> Vec<Candidate> {
        let candidate = |(number, zone): (usize, &&str)| {
            let spec = node(&format!("n{number}")).spec.clone();
            let zone = (!zone.is_empty()).then(|| (*zone).into());
            Candidate { node: Node::new(NodeSpec { zone, weight: NonZeroU32::MIN, ..spec }), weight: 1000 }
        };
        zones.iter().enumerate().map(candidate).collect()
    }

    fn pick_from(list: Candidates) -> Selection {
        let mut selection = Selection::default();
        selection.begin(Arc::new(Arc::new(list)));
        selection.stand_in(Some(&"a".into()));
        selection
    }

    fn ids(selection: &Selection) -> Vec<&str> {
        let all = (0..selection.count()).map(|index| selection.candidate(index).unwrap());
        all.map(|candidate| &*candidate.node.spec.id).collect()
    }

    #[test]
    fn weights_are_told_of_what_is_left() {
        let mut selection = in_zones(&["a", "b", "a", "c", ""]);
        assert_eq!(selection.own_zone(), Some(ZoneWeights { here: 2000, all: 5000, zones: 4 }));
        selection.next_attempt(0);
        assert_eq!(selection.own_zone(), Some(ZoneWeights { here: 1000, all: 4000, zones: 4 }));
        selection.keep(&[0, 2]);
        selection.settle();
        assert_eq!(selection.own_zone(), Some(ZoneWeights { here: 0, all: 2000, zones: 4 }));
        selection.stand_in(None);
        assert_eq!(selection.own_zone(), None);
        let elsewhere = in_zones(&["b", ""]);
        assert_eq!(
            elsewhere.own_zone(),
            Some(ZoneWeights { here: 0, all: 2000, zones: 2 }),
            "none is not `a`"
        );
    }

    #[test]
    fn later_tiers_are_beside_the_same_zone() {
        let mut selection =
            pick_from(Candidates::with_reserve(candidates(&["b"]), Vec::new(), candidates(&["a", "b"])));
        selection.next_attempt(0);
        assert_eq!(selection.own_zone(), Some(ZoneWeights { here: 1000, all: 2000, zones: 2 }));
    }

    #[test]
    fn a_zone_is_kept_or_left() {
        let mut selection = in_zones(&["a", "b", "a", "c", ""]);
        selection.keep_zone(true);
        selection.settle();
        assert_eq!(ids(&selection), ["n0", "n2"]);
        selection.next_attempt(0);
        selection.keep_zone(true);
        selection.settle();
        assert_eq!(ids(&selection), ["n2"], "what was tried is not kept");
        let mut selection = in_zones(&["a", "b", "a", "c", ""]);
        selection.keep_zone(false);
        selection.settle();
        assert_eq!(ids(&selection), ["n1", "n3", "n4"]);
        let mut selection = in_zones(&["b", "b"]);
        selection.keep_zone(true);
        selection.settle();
        assert_eq!(ids(&selection), ["n0", "n1"], "nothing is not kept");
    }
}
