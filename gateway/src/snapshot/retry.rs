//! After what a pool's requests are sent again, and how often that may be.

use std::ops::RangeInclusive;

use crate::telemetry::RetryReason;

/// A pool's rules for retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// Failures that are tried again; statuses stand apart.
    pub on: Box<[RetryReason]>,
    /// Statuses that are tried again; none below 400.
    pub statuses: Box<[RangeInclusive<u16>]>,
    /// How many in a hundred requests.
    pub budget: u32,
    /// How many a second beside that, on the whole gateway.
    pub floor: u32,
    /// Bytes of a request's body that are kept to be sent again.
    pub buffer: u64,
}

impl RetryRules {
    /// Whether a failure for this reason is tried again.
    pub fn covers(&self, reason: RetryReason) -> bool {
        self.on.contains(&reason)
    }

    /// Whether an answer with this status is.
    pub fn covers_status(&self, status: u16) -> bool {
        status >= 400 && self.statuses.iter().any(|range| range.contains(&status))
    }

    /// Whether there are retries at all.
    pub fn is_empty(&self) -> bool {
        self.on.is_empty() && self.statuses.is_empty()
    }
}
