//! Leases in this process: who is registered, and until when. Pure: time is an argument.
//!
//! A lease that is not renewed ends at its deadline. Nothing here waits for that: whoever keeps the leases asks when the
//! next one ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::control::discovery::Announced;
use crate::name::Name;

/// A node, for a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lease {
    /// What it says of itself.
    pub(super) node: Announced,
    /// How long it lasts, from each time that it is renewed.
    pub(super) ttl: Duration,
}

/// What a registration changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The node was not there.
    New,
    /// It says something else of itself.
    Different,
    /// Nothing but its deadline.
    Renewed,
}

/// Why a registration is refused: the pool has as many nodes as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The leases of all pools.
#[derive(Debug)]
pub(super) struct Leases {
    pools: BTreeMap<Name, Pool>,
    /// Each lease once, by its deadline.
    ends: BTreeSet<(Instant, Name, String)>,
    /// How many nodes a pool may have.
    most: usize,
}

#[derive(Debug, Default)]
struct Pool {
    leases: BTreeMap<String, (Lease, Instant)>,
    /// Counts changes of the set, not renewals.
    version: u64,
}

impl Leases {
    pub(super) fn new(most: usize) -> Self {
        Self { pools: BTreeMap::new(), ends: BTreeSet::new(), most }
    }

    /// Takes a node in, or renews its lease.
    pub(super) fn put(&mut self, pool: &Name, lease: Lease, now: Instant) -> Result<Change, Full> {
        let of_pool = self.pools.entry(pool.clone()).or_default();
        let id = lease.node.id.clone();
        let end = now + lease.ttl;
        let change = match of_pool.leases.get(&id) {
            None if of_pool.leases.len() >= self.most => return Err(Full),
            None => Change::New,
            Some((known, _)) if known.node == lease.node => Change::Renewed,
            Some(_) => Change::Different,
        };
        if change != Change::Renewed {
            of_pool.version += 1;
        }
        if let Some((_, earlier)) = of_pool.leases.insert(id.clone(), (lease, end)) {
            self.ends.remove(&(earlier, pool.clone(), id.clone()));
        }
        self.ends.insert((end, pool.clone(), id));
        Ok(change)
    }

    /// Takes a node out; whether it was there.
    pub(super) fn take(&mut self, pool: &Name, id: &str) -> bool {
        let Some(of_pool) = self.pools.get_mut(pool) else { return false };
        let Some((_, end)) = of_pool.leases.remove(id) else { return false };
        of_pool.version += 1;
        self.ends.remove(&(end, pool.clone(), id.to_owned()))
    }

    /// When the next lease ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, ..)| *end)
    }

    /// Takes out all whose time is over: pool and id.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Name, String)> {
        let mut over = Vec::new();
        while let Some((end, pool, id)) = self.ends.pop_first() {
            if end > now {
                self.ends.insert((end, pool, id));
                break;
            }
            if let Some(of_pool) = self.pools.get_mut(&pool) {
                of_pool.leases.remove(&id);
                of_pool.version += 1;
            }
            over.push((pool, id));
        }
        over
    }

    /// The nodes of a pool by id, and a number that changes with them.
    pub(super) fn nodes(&self, pool: &Name) -> (u64, Vec<Announced>) {
        self.pools.get(pool).map_or((0, Vec::new()), |pool| {
            (pool.version, pool.leases.values().map(|(lease, _)| lease.node.clone()).collect())
        })
    }

    /// The number alone.
    pub(super) fn version(&self, pool: &Name) -> u64 {
        self.pools.get(pool).map_or(0, |pool| pool.version)
    }

    /// The leases of a pool by id, each with what is left of it.
    pub(super) fn rows(&self, pool: &Name, now: Instant) -> Vec<(Lease, Duration)> {
        let leases = self.pools.get(pool).into_iter().flat_map(|pool| pool.leases.values());
        leases.map(|(lease, end)| (lease.clone(), end.saturating_duration_since(now))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pool(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn lease(id: &str, port: u16, ttl: u64) -> Lease {
        let text = format!("{{\"address\": \"10.0.0.1:{port}\"}}");
        let node = Announced::from_json(id, text.as_bytes()).unwrap();
        Lease { node, ttl: Duration::from_secs(ttl) }
    }

    fn ids(leases: &Leases, of: &str) -> Vec<String> {
        leases.nodes(&pool(of)).1.into_iter().map(|node| node.id).collect()
    }

    #[test]
    fn a_lease_that_is_not_renewed_ends_at_its_deadline() {
        let (start, api) = (Instant::now(), pool("api"));
        let mut leases = Leases::new(10);
        assert_eq!(leases.put(&api, lease("a", 1, 10), start), Ok(Change::New));
        assert_eq!(leases.put(&api, lease("b", 2, 10), start), Ok(Change::New));
        assert_eq!(leases.put(&api, lease("a", 1, 10), start + SECOND * 4), Ok(Change::Renewed));
        assert_eq!(leases.next_end(), Some(start + SECOND * 10));
        assert_eq!(leases.expire(start + SECOND * 10 - Duration::from_nanos(1)), []);
        assert_eq!(leases.expire(start + SECOND * 10), [(api.clone(), "b".to_owned())]);
        assert_eq!(ids(&leases, "api"), ["a"]);
        assert_eq!(leases.next_end(), Some(start + SECOND * 14));
    }

    #[test]
    fn only_what_changes_the_set_counts_as_a_change() {
        let (start, api) = (Instant::now(), pool("api"));
        let mut leases = Leases::new(10);
        let mut seen = Vec::new();
        for next in [lease("a", 1, 10), lease("a", 1, 20), lease("a", 2, 20), lease("b", 3, 10)] {
            let change = leases.put(&api, next, start).unwrap();
            seen.push((change, leases.version(&api)));
        }
        let (new, different) = (Change::New, Change::Different);
        assert_eq!(seen, [(new, 1), (Change::Renewed, 1), (different, 2), (new, 3)]);
        assert!(leases.take(&api, "a") && !leases.take(&api, "a"));
        assert_eq!((leases.version(&api), ids(&leases, "api")), (4, vec!["b".to_owned()]));
        assert_eq!(leases.next_end(), Some(start + SECOND * 10), "no deadline is left behind");
    }

    #[test]
    fn a_shorter_lease_counts_from_when_it_is_asked_for() {
        let (start, api) = (Instant::now(), pool("api"));
        let mut leases = Leases::new(10);
        leases.put(&api, lease("a", 1, 3600), start).unwrap();
        leases.put(&api, lease("a", 1, 1), start).unwrap();
        assert_eq!(leases.rows(&api, start), [(lease("a", 1, 1), SECOND)]);
        assert_eq!(leases.expire(start + SECOND).len(), 1);
    }

    #[test]
    fn a_pool_has_so_many_nodes_and_those_that_are_there_may_renew() {
        let (start, api) = (Instant::now(), pool("api"));
        let mut leases = Leases::new(2);
        leases.put(&api, lease("a", 1, 10), start).unwrap();
        leases.put(&api, lease("b", 2, 10), start).unwrap();
        assert_eq!(leases.put(&api, lease("c", 3, 10), start), Err(Full));
        assert_eq!(leases.put(&api, lease("b", 4, 10), start), Ok(Change::Different));
        assert_eq!(leases.put(&pool("other"), lease("c", 3, 10), start), Ok(Change::New));
        leases.take(&api, "a");
        assert_eq!(leases.put(&api, lease("c", 3, 10), start), Ok(Change::New));
    }

    proptest! {
        /// Whatever happens, a node is there exactly if its last registration is younger than its lease.
        #[test]
        fn leases_agree_with_a_plain_list(steps in prop::collection::vec((0..4u8, 0..4u16, 1..9u64, 0..5u64), 1..80)) {
            let (mut now, api) = (Instant::now(), pool("api"));
            let mut leases = Leases::new(100);
            let mut list: BTreeMap<String, Instant> = BTreeMap::new();
            for (act, node, ttl, pause) in steps {
                now += SECOND * pause as u32;
                let id = format!("n{node}");
                let ended = leases.expire(now).len();
                let before = list.len();
                list.retain(|_, end| *end > now);
                prop_assert_eq!(ended, before - list.len());
                if act == 0 {
                    prop_assert_eq!(leases.take(&api, &id), list.remove(&id).is_some());
                } else {
                    leases.put(&api, lease(&id, node + 1, ttl), now).unwrap();
                    list.insert(id, now + SECOND * ttl as u32);
                }
                prop_assert_eq!(ids(&leases, "api"), list.keys().cloned().collect::<Vec<_>>());
                prop_assert_eq!(leases.next_end(), list.values().min().copied());
            }
        }
    }
}
