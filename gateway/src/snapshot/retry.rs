//! After what a pool's requests are sent again, and how often that may be.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

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
    /// When an attempt that was not answered yet gets a second one beside it, if ever.
    pub hedge: Option<Hedge>,
}

/// After which time a second attempt begins beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedge {
    /// Always this.
    After(Duration),
    /// The time in which so many thousandths of the pool's attempts are answered.
    Percentile(u32),
}

impl fmt::Display for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hedge::After(after) => write!(f, "{}ms", after.as_secs_f64() * 1e3),
            Hedge::Percentile(thousandths) => write!(f, "p{}", f64::from(*thousandths) / 10.0),
        }
    }
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
