//! How often something may happen: the generic cell rate algorithm.
//!
//! An allowance of `burst` refills by one each `interval`. Of it all that is kept is one moment: when it will be full again.
//! So it counts exactly, needs no timer, and one that is full again need not be kept at all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{LONGEST_KEY, LONGEST_LIFE};
use crate::store::StoreError;

/// The most keys that are kept for a use. Chosen: some megabytes, for more clients than a gateway serves within the
/// time in which an allowance fills.
const MOST: usize = 50_000;
/// How often those that are full are looked for, while there is no room: the look takes about a millisecond.
const LOOK: Duration = Duration::from_millis(100);

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Microseconds until one more is allowed; 0 allows everything.
    pub interval: u64,
    /// So many are allowed at once after a pause.
    pub burst: u32,
}

impl Pace {
    /// Microseconds until what this costs has refilled, and until an empty allowance is full.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it costs more than there ever is, or refills in more than a year.
    pub(super) fn costs(self, cost: u32) -> Result<(u64, u64), StoreError> {
        let full = self.interval.checked_mul(self.burst.into()).ok_or(StoreError::Refused)?;
        // Shorter than a year is exact in the doubles that Redis computes with, too.
        if cost > self.burst || u128::from(full) > LONGEST_LIFE.as_micros() {
            return Err(StoreError::Refused);
        }
        Ok((self.interval * u64::from(cost), full))
    }
}

/// When each key's allowance is full again.
#[derive(Debug, Default)]
pub(super) struct Paces {
    full_at: HashMap<Box<str>, Instant>,
    looked: Option<Instant>,
}

impl Paces {
    /// Takes from a key's allowance; 0, or in how many microseconds there is enough.
    pub(super) fn take(&mut self, key: &str, pace: Pace, cost: u32, now: Instant) -> Result<u64, StoreError> {
        let (costs, full) = pace.costs(cost)?;
        let known = self.full_at.get_mut(key);
        let from = known.as_deref().map_or(now, |full_at| now.max(*full_at));
        let after = from + Duration::from_micros(costs);
        // Rounded up: whoever waits so long shall not be told to wait again.
        let missing = (after - now).saturating_sub(Duration::from_micros(full));
        if !missing.is_zero() {
            return Ok(u64::try_from(missing.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX));
        }
        match known {
            Some(full_at) => *full_at = after,
            None if after > now => self.keep(key, after, now)?,
            None => {}
        }
        Ok(0)
    }

    fn keep(&mut self, key: &str, full_at: Instant, now: Instant) -> Result<(), StoreError> {
        if key.len() > LONGEST_KEY {
            return Err(StoreError::Refused);
        }
        if self.full_at.len() >= MOST && self.looked.is_none_or(|looked| now > looked + LOOK) {
            self.looked = Some(now);
            self.full_at.retain(|_, full_at| now < *full_at);
        }
        if self.full_at.len() >= MOST {
            return Err(StoreError::Refused);
        }
        self.full_at.insert(key.into(), full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEN_A_SECOND: Pace = Pace { interval: 100_000, burst: 3 };
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn keys_that_are_full_again_make_room() {
        let (mut paces, now) = (Paces::default(), Instant::now());
        for key in 0..MOST {
            paces.take(&key.to_string(), TEN_A_SECOND, 1, now).unwrap();
        }
        assert_eq!(paces.take("one more", TEN_A_SECOND, 1, now), Err(StoreError::Refused));
        // The ones that are known go on.
        assert_eq!(paces.take("0", TEN_A_SECOND, 3, now), Ok(100_000));
        assert_eq!(paces.take("one more", TEN_A_SECOND, 1, now + 101 * MILLI), Ok(0));
        assert_eq!(paces.full_at.len(), 1);
    }

    #[test]
    fn an_allowance_is_exact_over_time() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let asked = (0..10_000).map(|milli| paces.take("a", TEN_A_SECOND, 1, start + milli * MILLI).unwrap());
        assert_eq!(
            asked.filter(|wait| *wait == 0).count(),
            3 + 99,
            "ten seconds at ten a second, and the burst"
        );
    }
}
