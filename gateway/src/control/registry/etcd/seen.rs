//! What is seen of a pool's leases in etcd. Nodes cannot renew with an etcd that is gone: one that was frozen ends their leases as
//! soon as it goes on, and one that lost its memory knows none of them. So after each loss of the connection those that were known
//! have the length of their lease once more, in which they come back by themselves. A node has come back when it was put anew, or when
//! its key stood for longer than etcd takes to end what is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::control::discovery::{Entries, NodeSet};
use crate::control::etcd::Keys;
use crate::control::registry::leases::Lease;
use crate::name::Name;

/// Leases that were over while etcd was frozen are gone after so long. It ends a thousand a second, and a pool has ten thousand.
const SETTLED: Duration = Duration::from_secs(12);

/// The leases by key.
pub(super) struct Seen {
    pool: Name,
    there: Entries<Lease>,
    /// Those that were known when etcd was lost, each until its end.
    known: BTreeMap<String, (Lease, Instant)>,
    /// When those of them that are there have come back; none before the first loss.
    settled: Option<Instant>,
    /// Whether the keys are being read, so that what is put may be old.
    reading: bool,
}

impl Seen {
    pub(super) fn new(pool: Name) -> Self {
        Self { pool, there: Entries::default(), known: BTreeMap::new(), settled: None, reading: false }
    }

    fn lost(&mut self, now: Instant) {
        let there = std::mem::take(&mut self.there);
        for (key, lease) in there.into_good() {
            self.known.insert(key, (lease, now));
        }
        for (lease, end) in self.known.values_mut() {
            *end = now + lease.ttl;
        }
        (self.settled, self.reading) = (Some(now + SETTLED), true);
    }

    /// Those that are there, and those that may still come back.
    fn set_at(&mut self, now: Instant) -> NodeSet {
        self.reading = false;
        let settled = self.settled.take_if(|settled| *settled <= now).is_some();
        self.known.retain(|key, (lease, end)| {
            if settled && self.there.has(key) {
                return false;
            }
            let is_over = *end <= now;
            if is_over && !self.there.has(key) {
                warn!(pool = %self.pool, node = lease.node.id, "the node did not come back after etcd was lost: it is taken out");
            }
            !is_over
        });
        let mut set = self.there.to_set();
        let gone = self.known.iter().filter(|(key, _)| !self.there.has(key));
        set.nodes.extend(gone.map(|(_, (lease, _))| lease.node.clone()));
        set
    }
}

impl Keys for Seen {
    fn begin(&mut self) {
        self.lost(Instant::now());
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.there.put(key, value);
        if !self.reading
            && let Ok(key) = str::from_utf8(key)
        {
            self.known.remove(key);
        }
    }

    fn remove(&mut self, key: &[u8]) {
        self.there.remove(key);
    }

    fn overflowed(&self) -> bool {
        self.there.overflowed()
    }

    fn lacks_some(&self) -> bool {
        self.there.lacks_some()
    }

    fn set(&mut self) -> NodeSet {
        self.set_at(Instant::now())
    }

    fn due(&self) -> Option<Instant> {
        self.known.values().map(|(_, end)| *end).chain(self.settled).min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NODE: &[u8] = br#"{"address": "10.0.0.1:80", "ttl": "10s"}"#;

    fn seen(keys: &[&str]) -> Seen {
        let mut seen = Seen::new("api".parse().unwrap());
        keys.iter().for_each(|key| seen.put(key.as_bytes(), NODE));
        seen
    }

    fn ids(seen: &mut Seen, now: Instant) -> Vec<String> {
        seen.set_at(now).nodes.into_iter().map(|node| node.id).collect()
    }

    #[test]
    fn who_leaves_or_ends_while_etcd_is_there_is_gone() {
        let mut seen = seen(&["api/a", "api/b"]);
        seen.remove(b"api/a");
        assert_eq!((ids(&mut seen, Instant::now()), seen.due()), (vec!["b".to_owned()], None));
    }

    #[test]
    fn an_etcd_that_lost_its_memory_costs_no_node_that_comes_back() {
        let (mut seen, start) = (seen(&["api/a", "api/b"]), Instant::now());
        seen.lost(start);
        assert_eq!(ids(&mut seen, start), ["a", "b"]);
        seen.put(b"api/b", NODE);
        assert_eq!(ids(&mut seen, start + SECOND * 9), ["b", "a"]);
        assert_eq!(seen.due(), Some(start + SECOND * 10));
        assert_eq!(ids(&mut seen, start + SECOND * 10), ["b"], "a did not come back");
        seen.remove(b"api/b");
        assert!(ids(&mut seen, start + SECOND * 11).is_empty(), "b had come back, and left");
        assert_eq!(seen.due(), Some(start + SETTLED));
        assert!(ids(&mut seen, start + SETTLED).is_empty());
        assert_eq!(seen.due(), None);
    }

    #[test]
    fn leases_that_end_as_soon_as_a_frozen_etcd_goes_on_count_once_more() {
        let (mut seen, start) = (seen(&["api/a"]), Instant::now());
        seen.lost(start);
        seen.put(b"api/a", NODE);
        seen.remove(b"api/a");
        assert_eq!(ids(&mut seen, start + SECOND), ["a"]);
        seen.lost(start + SECOND * 5);
        assert_eq!(ids(&mut seen, start + SECOND * 14), ["a"], "it was lost once more");
        assert!(ids(&mut seen, start + SECOND * 15).is_empty());
    }

    #[test]
    fn a_node_whose_lease_went_on_all_the_time_may_leave_when_that_is_known() {
        let (mut seen, start) = (seen(&["api/a"]), Instant::now());
        let hour = br#"{"address": "10.0.0.1:80", "ttl": "1h"}"#;
        seen.put(b"api/a", hour);
        seen.lost(start);
        seen.put(b"api/a", hour);
        assert_eq!(ids(&mut seen, start), ["a"]);
        assert_eq!(ids(&mut seen, start + SETTLED), ["a"]);
        seen.remove(b"api/a");
        assert!(ids(&mut seen, start + SETTLED).is_empty());
    }

    #[test]
    fn what_is_no_lease_is_named() {
        let mut seen = seen(&["api/a"]);
        seen.put(b"api/html", b"<html>");
        let set = seen.set_at(Instant::now());
        assert_eq!((set.nodes.len(), set.bad.len()), (1, 1));
        assert_eq!(set.bad[0].key, "api/html");
    }
}
