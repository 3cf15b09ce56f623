//! How many of a pool's requests may be in flight, and how many may wait.

use std::time::Duration;

use crate::node::gate::Gate;
use crate::node::gradient::LimitRange;

/// What a pool takes at once; where nothing is limited there is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Requests in flight, of the whole pool; the greatest number if that is not limited.
    pub in_flight: u32,
    /// On each node.
    pub per_node: Option<u32>,
    /// Bounds of a limit on requests in flight that latencies tell.
    pub adaptive: Option<LimitRange>,
    /// How many may wait at once.
    pub queue: u32,
    /// How long each may wait.
    pub queue_timeout: Duration,
}

/// The pace of a client that is not too slow: what moves at all has to move so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes of a body.
    pub bytes: u64,
    /// In so long.
    pub per: Duration,
}

impl PoolLimits {
    /// How many may be in flight now.
    pub fn most(&self, gate: &Gate) -> u32 {
        self.adaptive.map_or(self.in_flight, |range| gate.adapted(range).min(self.in_flight))
    }
}
