//! Values in this process.
//!
//! Each use has its own space behind a lock of its own, which only calls that ask for shared values take. Quotas are
//! exact, and time is an argument.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pace::{Pace, Paces};
use super::{LONGEST_KEY, LONGEST_LIFE};
use crate::store::StoreError;

/// Bytes that a use may keep: keys, values, and `OVERHEAD` for each.
pub const QUOTA: usize = 1024 * 1024;
/// What an entry costs beside its bytes, about: without it, empty values would be free.
const OVERHEAD: usize = 64;

/// The values of one use.
#[derive(Debug, Default)]
pub struct Local(Mutex<Table>, Mutex<Paces>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Box<str>, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Instant,
}

impl Local {
    /// A value, unless it expired.
    pub fn get(&self, key: &str, now: Instant) -> Option<Vec<u8>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.live(key, now).map(|entry| entry.value.clone())
    }

    /// Keeps a value for a time.
    ///
    /// # Errors
    /// [`StoreError::Refused`]
    pub fn set(&self, key: &str, value: &[u8], life: Duration, now: Instant) -> Result<(), StoreError> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.put(key, value, end(now, life), now)
    }

    /// Adds to a whole number, which is kept as decimal text, and answers the sum. Its life starts with the first.
    ///
    /// # Errors
    /// [`StoreError::Refused`]
    pub fn add(&self, key: &str, delta: i64, life: Duration, now: Instant) -> Result<i64, StoreError> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, expires) = match table.live(key, now) {
            Some(entry) => (number(&entry.value).ok_or(StoreError::Refused)?, entry.expires),
            None => (0, end(now, life)),
        };
        let sum = old.checked_add(delta).ok_or(StoreError::Refused)?;
        table.put(key, sum.to_string().as_bytes(), expires, now)?;
        Ok(sum)
    }

    /// Forgets a value.
    pub fn delete(&self, key: &str) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(key);
    }

    /// See [`super::Space::throttle`].
    ///
    /// # Errors
    /// [`StoreError::Refused`]
    pub fn throttle(&self, key: &str, pace: Pace, cost: u32, now: Instant) -> Result<u64, StoreError> {
        let mut paces = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        paces.take(key, pace, cost, now)
    }
}

impl Table {
    fn live(&self, key: &str, now: Instant) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| now < entry.expires)
    }

    fn put(&mut self, key: &str, value: &[u8], expires: Instant, now: Instant) -> Result<(), StoreError> {
        if key.len() > LONGEST_KEY || cost(key, value) > QUOTA {
            return Err(StoreError::Refused);
        }
        let old = self.entries.get(key).map_or(0, |entry| cost(key, &entry.value));
        if self.bytes - old + cost(key, value) > QUOTA {
            self.drop_expired(now);
        }
        let old = self.entries.get(key).map_or(0, |entry| cost(key, &entry.value));
        let bytes = self.bytes - old + cost(key, value);
        if bytes > QUOTA {
            return Err(StoreError::Refused);
        }
        self.bytes = bytes;
        let value = value.to_vec();
        match self.entries.get_mut(key) {
            Some(entry) => *entry = Entry { value, expires },
            None => drop(self.entries.insert(key.into(), Entry { value, expires })),
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= cost(key, &entry.value);
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        self.entries.retain(|_, entry| now < entry.expires);
        self.bytes = self.entries.iter().map(|(key, entry)| cost(key, &entry.value)).sum();
    }
}

fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD
}

fn end(now: Instant, life: Duration) -> Instant {
    now + life.min(LONGEST_LIFE)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn values_live_as_long_as_they_were_given() {
        let (space, now) = (Local::default(), Instant::now());
        space.set("a", b"1", SECOND, now).unwrap();
        assert_eq!(space.get("a", now + SECOND / 2).as_deref(), Some(&b"1"[..]));
        assert_eq!(space.get("a", now + SECOND), None);
        space.set("a", b"2", Duration::MAX, now).unwrap();
        assert_eq!(space.get("a", now + 3600 * SECOND).as_deref(), Some(&b"2"[..]));
        space.delete("a");
        assert_eq!(space.get("a", now), None);
    }

    #[test]
    fn a_numbers_life_starts_with_the_first_addition() {
        let (space, now) = (Local::default(), Instant::now());
        assert_eq!(space.add("n", 2, SECOND, now), Ok(2));
        assert_eq!(space.add("n", -5, SECOND, now + SECOND / 2), Ok(-3));
        assert_eq!(space.get("n", now + SECOND / 2).as_deref(), Some(&b"-3"[..]));
        assert_eq!(space.add("n", 1, SECOND, now + SECOND), Ok(1));
        space.set("text", b"x", SECOND, now).unwrap();
        assert_eq!(space.add("text", 1, SECOND, now), Err(StoreError::Refused));
        space.set("big", i64::MAX.to_string().as_bytes(), SECOND, now).unwrap();
        assert_eq!(space.add("big", 1, SECOND, now), Err(StoreError::Refused));
    }

    #[test]
    fn the_quota_holds_and_expired_values_make_room() {
        let (space, now) = (Local::default(), Instant::now());
        let half = vec![0; QUOTA / 2 - OVERHEAD - 1];
        space.set("a", &half, SECOND, now).unwrap();
        space.set("b", &half, 2 * SECOND, now).unwrap();
        assert_eq!(space.set("c", &half, SECOND, now), Err(StoreError::Refused));
        // Replacing does not count twice.
        space.set("b", &half, 2 * SECOND, now).unwrap();
        space.set("c", &half, SECOND, now + SECOND).unwrap();
        assert_eq!(space.get("b", now + SECOND).map(|value| value.len()), Some(half.len()));
        assert_eq!(
            space.set("k".repeat(LONGEST_KEY + 1).as_str(), b"", SECOND, now),
            Err(StoreError::Refused)
        );
    }
}
