//! When a request is sent again.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::control::config::text::Size;

/// `[pool.NAME.retry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// After what.
    pub on: BTreeSet<RetryOn>,
    /// How many in a hundred requests.
    pub budget: u32,
    /// How many a second beside that, on the whole gateway.
    pub floor: u32,
    /// Bytes of a request's body that are kept for it.
    pub buffer: Size,
    /// When a second attempt begins beside a first one that was not answered yet.
    pub hedge: Option<HedgeAfter>,
}

/// The time of a first attempt after which a second one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// This time.
    Time(Duration),
    /// The one in which so many thousandths of the pool's attempts are answered.
    Percentile(u32),
}

/// What may come of an attempt so that another one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryOn {
    /// No connection could be made.
    Connect,
    /// The node closed or reset the connection before it answered.
    Reset,
    /// The node did not answer within the limits of one attempt.
    Timeout,
    /// The answer breaks HTTP.
    Malformed,
    /// The answer has a status from the first to the second.
    Status(u16, u16),
}

impl RetryOn {
    /// The statuses that it stands for, if it stands for some.
    pub fn statuses(self) -> Option<RangeInclusive<u16>> {
        if let Self::Status(first, last) = self { Some(first..=last) } else { None }
    }
}

impl Default for Retry {
    /// 500 is there beside the three that say "not me, not now": a node that answers errors is to be hidden.
    fn default() -> Self {
        let status = |status| RetryOn::Status(status, status);
        let failures = [RetryOn::Connect, RetryOn::Reset, RetryOn::Timeout, RetryOn::Malformed];
        let statuses = [500, 502, 503, 504].map(status);
        Self {
            on: failures.into_iter().chain(statuses).collect(),
            budget: 20,
            floor: 10,
            buffer: Size::bytes(64 << 10),
            hedge: None,
        }
    }
}
