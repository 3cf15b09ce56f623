//! Small values that all workers and the next version of the plugin see, and allowances that they share. They need the
//! grant "shared". Where the use has `shared = "cluster"`, all gateways see them, too, and a call may wait for an answer.

use std::time::Duration;

use crate::StoreError;
use crate::host::shared as host;
use crate::nodes::millis;

/// The value of a key, unless it expired.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(host::get(key)?)
}

/// Keeps a value for `ttl`; refused over the use's quota of bytes.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), StoreError> {
    Ok(host::set(key, value.as_ref(), millis(ttl))?)
}

/// Adds to a whole number (0 if there was none; its life starts with the first) and answers the sum.
pub fn add(key: &str, delta: i64, ttl: Duration) -> Result<i64, StoreError> {
    Ok(host::add(key, delta, millis(ttl))?)
}

/// Removes a value.
pub fn delete(key: &str) -> Result<(), StoreError> {
    Ok(host::delete(key)?)
}

/// How often something may happen: an allowance that refills steadily.
///
/// ```
/// # use std::time::Duration;
/// # use bascule_plugin::shared::Rate;
/// // 100 in a second: one each 10 ms, and up to 20 at once after a pause.
/// let rate = Rate::new(100, Duration::from_secs(1)).burst(20);
/// assert_eq!(rate.interval(), Duration::from_millis(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval_us: u64,
    burst: u32,
}

impl Rate {
    /// So many in each period, and up to as many at once. A count of 0 is taken for 1.
    #[must_use]
    pub fn new(count: u32, period: Duration) -> Self {
        let count = count.max(1);
        let interval = period.as_micros() / u128::from(count);
        Self { interval_us: u64::try_from(interval).unwrap_or(u64::MAX), burst: count }
    }

    /// Up to so many at once, after a pause. 0 is taken for 1.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self { burst: burst.max(1), ..self }
    }

    /// The time in which one more is allowed.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_micros(self.interval_us)
    }
}

/// What [`throttle`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// It may happen, and was taken from the allowance.
    Allowed,
    /// It may not, and nothing was taken; it may after this time, if nobody else takes it.
    Wait(Duration),
}

/// Whether something may happen that costs so much of the allowance with this key; most things cost 1. Refused if it costs more than
/// the rate's burst. Values of the same key are something else.
pub fn throttle(key: &str, rate: Rate, cost: u32) -> Result<Throttled, StoreError> {
    Ok(match host::throttle(key, rate.interval_us, rate.burst, cost)? {
        0 => Throttled::Allowed,
        wait => Throttled::Wait(Duration::from_micros(wait)),
    })
}
