//! What this gateway knows of sessions that are kept elsewhere.
//!
//! A binding is believed for a short time (`near_cache`) and kept for the session's whole life: while the store cannot be asked it
//! is the best that is known, and a store that lost its memory gets it back. A gateway that believes a binding that another one
//! changed meanwhile does no harm: it cannot write it back, since a write names what it replaces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Key, KeyHash};

/// The bindings that are known.
#[derive(Debug)]
pub(super) struct Near {
    cache: Cache<Key, Known, KeyHash>,
    believed: Duration,
    counts: Counts,
}

/// A binding.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) node: Arc<str>,
    /// Until then it is believed without asking.
    pub(super) believed: Instant,
    /// When the session ends.
    pub(super) ends: Instant,
}

impl Known {
    /// Whether it is believed without asking.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.believed
    }
}

impl Near {
    /// Keeps up to so many bindings, each of which is believed for so long.
    pub(super) fn new(most: u64, believed: Duration) -> Near {
        let cache = Cache::builder()
            .max_capacity(most)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lives)
            .build_with_hasher(KeyHash::default());
        Near { cache, believed, counts: Counts::default() }
    }

    /// What is known of a token, fresh or not.
    pub(super) fn find(&self, key: Key, now: Instant) -> Option<Known> {
        self.cache.get(&key).filter(|known| now < known.ends)
    }

    /// Notes what the store said just now.
    pub(super) fn keep(&self, key: Key, node: &Arc<str>, life: Duration, now: Instant) {
        let known = Known { node: Arc::clone(node), believed: now + self.believed, ends: now + life };
        self.cache.insert(key, known);
    }

    /// Notes that there is no such session.
    pub(super) fn drop(&self, key: Key) {
        self.cache.invalidate(&key);
    }

    /// Whether a life that begins now would end so little later than the known one that it need not be written.
    pub(super) fn is_renewed(&self, known: &Known, life: Duration, now: Instant) -> bool {
        known.ends + self.believed >= now + life
    }

    /// About how many bindings there are.
    pub(super) fn count(&self) -> u64 {
        // What was done last is counted later else, with what is looked up; and that may be seldom.
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    pub(super) fn hit(&self) {
        self.counts.mine().hits.fetch_add(1, Relaxed);
    }

    pub(super) fn miss(&self) {
        self.counts.mine().misses.fetch_add(1, Relaxed);
    }

    pub(super) fn stale(&self) {
        self.counts.mine().stale.fetch_add(1, Relaxed);
    }

    /// Answers from here, questions to the store, and answers from here since the store did not answer.
    pub(super) fn counts(&self) -> [u64; 3] {
        let sum = |read: fn(&Count) -> &AtomicU64| {
            self.counts.0.iter().map(|count| read(count).load(Relaxed)).sum::<u64>()
        };
        [sum(|count| &count.hits), sum(|count| &count.misses), sum(|count| &count.stale)]
    }
}

/// Each session ends when the store ends it.
struct Lives;

impl Expiry<Key, Known> for Lives {
    fn expire_after_create(&self, _: &Key, known: &Known, now: Instant) -> Option<Duration> {
        Some(known.ends.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        known: &Known,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.ends.saturating_duration_since(now))
    }
}

/// Counts of which each thread has its own, as far as there are enough: a hit is counted on every request.
#[derive(Debug, Default)]
struct Counts([Count; 16]);

/// 128 bytes apart: two cache lines, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
}

impl Counts {
    fn mine(&self) -> &Count {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! { static MINE: usize = NEXT.fetch_add(1, Relaxed); }
        &self.0[MINE.with(|mine| *mine) % self.0.len()]
    }
}
