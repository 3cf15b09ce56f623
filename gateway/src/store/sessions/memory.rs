//! Sessions in this process: bounded, and each with a life of its own. What is no token is not known, at no cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Binding, Held, Key, KeyHash, LONGEST_LIFE, fits, token};
use crate::store::StoreError;

/// So many sessions are kept unless the configuration says otherwise. Chosen: about 100 MB when full.
const MOST_SESSIONS: u64 = 500_000;

/// The sessions of all uses.
#[derive(Debug)]
pub(super) struct Memory(Cache<Key, Bound, KeyHash>);

#[derive(Clone, Debug)]
struct Bound {
    node: Arc<str>,
    life: Duration,
    ends: Instant,
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new(MOST_SESSIONS)
    }
}

impl Memory {
    /// A store that keeps up to `most` sessions; the least recently used make room.
    pub(super) fn new(most: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(most)
            // A frequency-based policy turns newcomers away when full; a new client's binding has to hold.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lives)
            .build_with_hasher(KeyHash::default());
        Memory(cache)
    }

    /// The node that a token of this use is bound to, until its session ends.
    pub(super) fn get(&self, key: u32, token: &[u8]) -> Option<Held> {
        let bound = self.0.get(&(key, token::parse(token)?))?;
        Some(Held { node: bound.node, until: bound.ends })
    }

    /// See [`super::Sessions::bind`].
    pub(super) fn bind(
        &self,
        key: u32,
        old: Option<&str>,
        node: &str,
        life: Duration,
        replaces: Option<&str>,
    ) -> Result<Binding, StoreError> {
        if !fits(node) {
            return Err(StoreError::Refused);
        }
        let life = life.min(LONGEST_LIFE);
        let wanted = Bound { node: node.into(), life, ends: Instant::now() + life };
        if let Some(token) = old
            && let Some(bits) = token::parse(token.as_bytes())
            && let Some(won) = self.rebind((key, bits), &wanted, replaces)
        {
            return Ok(Binding { token: token.to_owned(), node: won });
        }
        let bits = token::mint()?;
        let node = Arc::clone(&wanted.node);
        self.0.insert((key, bits), wanted);
        Ok(Binding { token: token::text(bits), node })
    }

    /// Forgets a token of this use.
    pub(super) fn forget(&self, key: u32, token: &str) {
        if let Some(bits) = token::parse(token.as_bytes()) {
            self.0.invalidate(&(key, bits));
        }
    }

    /// About how many sessions there are.
    pub(super) fn count(&self) -> u64 {
        // What was done last is counted later else, with what is looked up; and that may be seldom.
        self.0.run_pending_tasks();
        self.0.entry_count()
    }

    /// The node that wins for a known token. Two requests may ask at once; the store lets one after the other.
    fn rebind(&self, key: Key, wanted: &Bound, replaces: Option<&str>) -> Option<Arc<str>> {
        let result = self.0.entry(key).and_compute_with(|entry| match entry {
            Some(entry) => {
                let node = &*entry.value().node;
                let moves = *node == *wanted.node || replaces == Some(node);
                if moves { Op::Put(wanted.clone()) } else { Op::Nop }
            }
            None => Op::Nop,
        });
        result.into_entry().map(|entry| entry.into_value().node)
    }
}

/// A session lives as long as it says.
struct Lives;

impl Expiry<Key, Bound> for Lives {
    fn expire_after_create(&self, _: &Key, bound: &Bound, _: Instant) -> Option<Duration> {
        Some(bound.life)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        bound: &Bound,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(bound.life)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_life_ends() {
        let sessions = Memory::default();
        let binding = sessions.bind(1, None, "a", Duration::ZERO, None).unwrap();
        assert_eq!(sessions.get(1, binding.token.as_bytes()), None);
    }

    #[test]
    fn the_first_of_many_writers_wins() {
        let sessions = Memory::default();
        let token = sessions.bind(1, None, "start", HOUR, None).unwrap().token;
        let winners: Vec<Arc<str>> = std::thread::scope(|scope| {
            let write = |node: String| {
                let (sessions, token) = (&sessions, &token);
                scope.spawn(move || sessions.bind(1, Some(token), &node, HOUR, Some("start")).unwrap().node)
            };
            let threads: Vec<_> = (0..4).map(|index| write(format!("node-{index}"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(winners.iter().all(|winner| *winner == winners[0]), "{winners:?}");
    }
}
