//! Where the candidates of a pool stand: worked out once for each publication, and only where a policy asks.

use std::sync::Arc;

use super::candidates::Candidate;

/// The zones of a pool's eligible nodes; nodes without one stand in a zone of their own, which has no name.
#[derive(Debug)]
pub(super) struct Zones {
    zones: Vec<Zone>,
    /// For each node, by its raw index, the place of its zone.
    places: Vec<u32>,
}

/// One zone.
#[derive(Debug)]
pub(super) struct Zone {
    name: Option<Arc<str>>,
    /// Its nodes: raw indices, ascending.
    pub(super) members: Vec<u32>,
    /// The sum of their weights.
    pub(super) weight: u64,
}

impl Zones {
    pub(super) fn new(eligible: &[Candidate]) -> Zones {
        let mut zones: Vec<Zone> = Vec::new();
        let mut places = Vec::with_capacity(eligible.len());
        for (raw, candidate) in (0..).zip(eligible) {
            let name = &candidate.node.spec.zone;
            let place = zones.iter().position(|zone| zone.name == *name).unwrap_or_else(|| {
                zones.push(Zone { name: name.clone(), members: Vec::new(), weight: 0 });
                zones.len() - 1
            });
            zones[place].members.push(raw);
            zones[place].weight += u64::from(candidate.weight);
            places.push(place as u32);
        }
        Zones { zones, places }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.zones.len() as u32
    }

    /// The zone of this name, and its place.
    pub(super) fn named(&self, name: &str) -> Option<(u32, &Zone)> {
        (0..).zip(&self.zones).find(|(_, zone)| zone.name.as_deref() == Some(name))
    }

    /// The place of the zone that a node stands in.
    pub(super) fn of(&self, raw: u32) -> Option<u32> {
        self.places.get(raw as usize).copied()
    }
}
