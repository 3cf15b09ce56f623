//! How long a pool's attempts may take and when another one is made, for /snapshot: as configured, times in milliseconds.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use crate::snapshot::Pool;

#[derive(Serialize)]
pub(super) struct AttemptsRow {
    attempts: u32,
    connect_timeout_ms: u128,
    first_byte_timeout_ms: Option<u128>,
    attempt_timeout_ms: Option<u128>,
    between_bytes_timeout_ms: u128,
    tunnel_timeout_ms: u128,
    retry: RetryRow,
}

#[derive(Serialize)]
struct RetryRow {
    on: Vec<String>,
    budget: u32,
    floor: u32,
    /// In bytes.
    buffer: u64,
    /// A percentile or a time, as configured.
    hedge: Option<String>,
}

impl AttemptsRow {
    pub(super) fn of(pool: &Pool) -> AttemptsRow {
        let rules = &pool.retry;
        let words = rules.on.iter().map(|reason| reason.as_str().to_owned());
        let millis = |limit: Duration| limit.as_millis();
        AttemptsRow {
            attempts: pool.attempts,
            connect_timeout_ms: millis(pool.connect_timeout),
            first_byte_timeout_ms: pool.first_byte_timeout.map(millis),
            attempt_timeout_ms: pool.attempt_timeout.map(millis),
            between_bytes_timeout_ms: millis(pool.between_bytes_timeout),
            tunnel_timeout_ms: millis(pool.tunnel_timeout),
            retry: RetryRow {
                on: words.chain(rules.statuses.iter().map(statuses)).collect(),
                budget: rules.budget,
                floor: rules.floor,
                buffer: rules.buffer,
                hedge: rules.hedge.map(|hedge| hedge.to_string()),
            },
        }
    }
}

fn statuses(range: &RangeInclusive<u16>) -> String {
    let (first, last) = (range.start(), range.end());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
