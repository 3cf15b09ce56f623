//! Bindings of clients to nodes, in memory: bounded, and each with a life of its own.
//!
//! A token is 128 random bits as base64url, so nobody guesses another client's. Anything else is a token that the
//! store does not know, at no cost. Each use has its own tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Binding, LONGEST_LIFE, fits};
use crate::store::StoreError;

/// So many sessions are kept unless the configuration says otherwise. Chosen: about 100 MB when full.
const MOST_SESSIONS: u64 = 500_000;
/// A use and one of its tokens.
type Key = (u32, u128);

/// The sessions of all uses.
#[derive(Debug)]
pub(super) struct Memory(Cache<Key, Bound>);

#[derive(Clone, Debug)]
struct Bound {
    node: Arc<str>,
    life: Duration,
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
            .build();
        Memory(cache)
    }

    /// The id of the node that a token of this use is bound to.
    pub(super) fn get(&self, key: u32, token: &str) -> Option<Arc<str>> {
        Some(self.0.get(&(key, parse(token)?))?.node)
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
        let wanted = Bound { node: node.into(), life: life.min(LONGEST_LIFE) };
        if let Some(token) = old
            && let Some(bits) = parse(token)
            && let Some(won) = self.rebind((key, bits), &wanted, replaces)
        {
            return Ok(Binding { token: token.to_owned(), node: won });
        }
        let bits = random_bits().ok_or(StoreError::Unavailable)?;
        let node = Arc::clone(&wanted.node);
        self.0.insert((key, bits), wanted);
        Ok(Binding { token: URL_SAFE_NO_PAD.encode(bits.to_be_bytes()), node })
    }

    /// Forgets a token of this use.
    pub(super) fn forget(&self, key: u32, token: &str) {
        if let Some(bits) = parse(token) {
            self.0.invalidate(&(key, bits));
        }
    }

    /// About how many sessions there are.
    pub(super) fn count(&self) -> u64 {
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

fn random_bits() -> Option<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(u128::from_be_bytes(bytes))
}

/// The bits of a token; none if it can not be one of ours.
fn parse(token: &str) -> Option<u128> {
    let mut bytes = [0; 16];
    // 128 bits are 22 digits; the check keeps the decoder from working on what is no token.
    if token.len() != 22 || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()? != bytes.len() {
        return None;
    }
    Some(u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::LONGEST_ID;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_known_token_keeps_its_node_unless_that_is_replaced() {
        let sessions = Memory::default();
        let first = sessions.bind(1, None, "a", HOUR, None).unwrap();
        assert_eq!(sessions.get(1, &first.token).as_deref(), Some("a"));
        let kept = sessions.bind(1, Some(&first.token), "b", HOUR, None).unwrap();
        assert_eq!(kept, first);
        let kept = sessions.bind(1, Some(&first.token), "b", HOUR, Some("c")).unwrap();
        assert_eq!(kept, first);
        let moved = sessions.bind(1, Some(&first.token), "b", HOUR, Some("a")).unwrap();
        assert_eq!((moved.token, &*moved.node), (first.token.clone(), "b"));
        assert_eq!(sessions.get(1, &first.token).as_deref(), Some("b"));
    }

    #[test]
    fn an_unknown_token_is_never_taken_over() {
        let sessions = Memory::default();
        for token in ["", "mine", "AAAAAAAAAAAAAAAAAAAAAA", "a token that is far too long to be one"] {
            let binding = sessions.bind(1, Some(token), "a", HOUR, None).unwrap();
            assert_ne!(binding.token, token);
            assert_eq!(binding.token.len(), 22);
        }
    }

    #[test]
    fn a_use_sees_its_own_sessions_only() {
        let sessions = Memory::default();
        let binding = sessions.bind(1, None, "a", HOUR, None).unwrap();
        assert_eq!(sessions.get(2, &binding.token), None);
        sessions.forget(2, &binding.token);
        assert!(sessions.get(1, &binding.token).is_some());
        sessions.forget(1, &binding.token);
        assert_eq!(sessions.get(1, &binding.token), None);
    }

    #[test]
    fn a_life_ends() {
        let sessions = Memory::default();
        let binding = sessions.bind(1, None, "a", Duration::ZERO, None).unwrap();
        assert_eq!(sessions.get(1, &binding.token), None);
    }

    #[test]
    fn ids_without_bounds_are_refused() {
        let sessions = Memory::default();
        assert_eq!(sessions.bind(1, None, &"x".repeat(LONGEST_ID + 1), HOUR, None), Err(StoreError::Refused));
        assert_eq!(sessions.bind(1, None, "", HOUR, None), Err(StoreError::Refused));
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
