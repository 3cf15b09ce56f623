//! What is taken at once, and how slow clients may be, as the configuration says it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::control::config::text::Size;

/// How many of a pool's requests may be in flight, and how many may wait for that. At least one of the three limits is
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLimits {
    /// In flight at once.
    pub in_flight: Option<NonZeroU32>,
    /// On each node.
    pub in_flight_per_node: Option<NonZeroU32>,
    /// Found from latencies, between these bounds.
    pub adaptive: Option<AdaptiveRange>,
    /// Waiting at once; 0 if nobody may.
    pub queue: u32,
    /// For so long each.
    pub queue_timeout: Duration,
}

/// The pace of a client that is not too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinRate {
    /// Of a body, in `per`.
    pub bytes: Size,
    /// The span that is looked at.
    pub per: Duration,
}

/// The bounds of a limit that adapts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveRange {
    /// The least.
    pub min: NonZeroU32,
    /// The most; not below `min`, and not above [`PoolLimits::in_flight`].
    pub max: NonZeroU32,
}
