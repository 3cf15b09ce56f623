//! Leases in the Redis that gateways share: a registration at one of them reaches all.
//!
//! Who follows a pool asks ten times a second whether its leases changed, which is one small question; all of them are read
//! when they did, when a lease should have ended, and every five seconds. So a change is seen within a tenth of a second
//! without a second kind of connection: Sentinel, Cluster and a Redis that hangs are the matter of `store` alone.
//!
//! `Seen` is what is believed. It is pure: a Redis that was gone, or lost its memory, must not cost nodes that are well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::Refusal;
use super::leases::{Change, Lease};
use crate::control::discovery::{Announced, NodeSet, Provider, Sets, Trouble};
use crate::name::Name;
use crate::store::StoreError;
use crate::store::leases::{Leases, Mark, Put, Row};

/// How often it is asked whether something changed.
const ASK: Duration = Duration::from_millis(100);
/// How often all leases are read in any case.
const LOOK: Duration = Duration::from_secs(5);
/// How much later than its deadline a lease is looked for: the two clocks differ by a round trip.
const MARGIN: Duration = Duration::from_millis(50);
/// A Redis that did not answer for so long is lost; a single answer that is late is nothing.
const LOST: Duration = Duration::from_secs(1);
/// How often a question of a node is asked before it is told to come again, and the pause in between.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The leases, and who is told at once of what this gateway changed.
pub(super) struct Shared {
    leases: Leases,
    most: u32,
    changed: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(leases: Leases, most: u32) -> Self {
        Self { leases, most, changed: Arc::default() }
    }

    pub(super) async fn put(&self, pool: &Name, lease: &Lease) -> Result<Change, Refusal> {
        let (node, text) = (&lease.node, lease.node.to_json());
        let put = persist(|| self.leases.put(pool.as_str(), &node.id, &text, lease.ttl, self.most)).await?;
        let change = match put {
            Put::New => Change::New,
            Put::Different => Change::Different,
            Put::Renewed => return Ok(Change::Renewed),
            Put::Full => return Err(Refusal::Full),
        };
        self.changed.notify_waiters();
        Ok(change)
    }

    pub(super) async fn take(&self, pool: &Name, node: &str) -> Result<bool, Refusal> {
        let was_there = persist(|| self.leases.take(pool.as_str(), node)).await?;
        self.changed.notify_waiters();
        Ok(was_there)
    }

    pub(super) async fn rows(&self, pool: &Name) -> Result<Vec<(Lease, Duration)>, Refusal> {
        let (_, rows) = persist(|| self.leases.look(pool.as_str())).await?;
        let lease = |row: Row| Some((Lease { node: read(&row).ok()?, ttl: row.ttl }, row.left));
        Ok(rows.into_iter().filter_map(lease).collect())
    }

    pub(super) fn follower(&self, pool: &Name) -> Follower {
        Follower {
            leases: self.leases.clone(),
            changed: Arc::clone(&self.changed),
            pool: pool.clone(),
            seen: Seen::default(),
        }
    }
}

/// Asks, and again if there is no answer: what is asked for may be done twice.
async fn persist<T, F: Future<Output = Result<T, StoreError>>>(ask: impl Fn() -> F) -> Result<T, Refusal> {
    for _ in 1..TRIES {
        if let Ok(answer) = ask().await {
            return Ok(answer);
        }
        sleep(PAUSE).await;
    }
    ask().await.map_err(|_| Refusal::Unavailable("the Redis that keeps the leases does not answer"))
}

fn read(row: &Row) -> Result<Announced, String> {
    Announced::from_json(&row.node, row.text.as_bytes())
}

/// Hands a pool's leases to discovery.
pub(super) struct Follower {
    leases: Leases,
    changed: Arc<Notify>,
    pool: Name,
    seen: Seen,
}

impl Provider for Follower {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(async move {
            let changed = Arc::clone(&self.changed);
            let mut heard = Instant::now();
            let mut looked: Option<Instant> = None;
            loop {
                let notified = changed.notified();
                match self.ask(looked, sets).await {
                    Ok(true) => (heard, looked) = (Instant::now(), Some(Instant::now())),
                    Ok(false) => heard = Instant::now(),
                    Err(_) if heard.elapsed() < LOST => {}
                    Err(_) => {
                        self.seen.lost();
                        return Trouble::new("Redis does not answer");
                    }
                }
                tokio::select! { () = notified => {}, () = sleep(ASK) => {} }
            }
        })
    }
}

impl Follower {
    /// Asks what is new; whether all leases were read.
    async fn ask(&mut self, looked: Option<Instant>, sets: &Sets) -> Result<bool, StoreError> {
        let pool = self.pool.as_str();
        let is_due = looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if !is_due && !self.seen.is_over(Instant::now()) && self.leases.mark(pool).await? == self.seen.mark {
            sets.heard();
            return Ok(false);
        }
        let (mark, rows) = self.leases.look(pool).await?;
        let forgotten = self.seen.forgotten();
        let over = self.seen.take(mark, rows, Instant::now());
        for node in over {
            warn!(pool, node, "the node did not renew its lease: it is taken out");
        }
        if self.seen.forgotten() > forgotten {
            let nodes = self.seen.forgotten();
            warn!(
                pool,
                nodes, "Redis knows fewer nodes than before it was lost: they have their lease to come back"
            );
        }
        sets.publish(self.seen.set());
        Ok(true)
    }
}

/// What was seen of a pool's leases.
#[derive(Debug, Default)]
struct Seen {
    mark: Mark,
    leases: BTreeMap<String, Known>,
    /// Whether Redis was lost since it answered last.
    lost: bool,
}

#[derive(Debug)]
struct Known {
    node: Result<Announced, String>,
    ttl: Duration,
    end: Instant,
    /// Whether Redis does not know it, and it stays until its end all the same.
    forgotten: bool,
}

impl Seen {
    /// There was no answer for some time.
    fn lost(&mut self) {
        self.lost = true;
    }

    /// Whether a lease should have ended, so that it is time to look.
    fn is_over(&self, now: Instant) -> bool {
        self.leases.values().any(|known| known.end + MARGIN <= now)
    }

    /// Takes in what Redis says; answers the nodes whose leases ended.
    ///
    /// Nodes cannot renew with a Redis that is gone, and one that lost its memory knows none of them. So in both cases those
    /// that were known get the length of their lease once more, in which they come back by themselves.
    fn take(&mut self, mark: Mark, rows: Vec<Row>, now: Instant) -> Vec<String> {
        let forgot = !self.mark.epoch.is_empty() && mark.epoch != self.mark.epoch;
        let mut earlier = std::mem::take(&mut self.leases);
        for row in rows {
            let node = match earlier.remove(&row.node) {
                Some(known) if known.node.as_ref().is_ok_and(|node| node.to_json() == row.text) => known.node,
                _ => read(&row),
            };
            let known = Known { node, ttl: row.ttl, end: now + row.left, forgotten: false };
            self.leases.insert(row.node, known);
        }
        let mut over = Vec::new();
        for (id, known) in earlier {
            let is_over = known.end <= now;
            if self.lost || forgot && !is_over {
                self.leases.insert(id, Known { end: now + known.ttl, forgotten: true, ..known });
            } else if is_over {
                over.push(id);
            } else if known.forgotten {
                self.leases.insert(id, known);
            }
        }
        (self.mark, self.lost) = (mark, false);
        over
    }

    /// How many nodes Redis does not know any more.
    fn forgotten(&self) -> usize {
        self.leases.values().filter(|known| known.forgotten).count()
    }

    fn set(&self) -> NodeSet {
        let mut set = NodeSet::default();
        for (id, known) in &self.leases {
            set.add(id, known.node.clone());
        }
        set
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn mark(epoch: &str, version: i64) -> Mark {
        Mark { epoch: epoch.to_owned(), version }
    }

    fn rows(nodes: &[(&str, u64)]) -> Vec<Row> {
        let row = |(node, left): &(&str, u64)| Row {
            node: (*node).to_owned(),
            text: format!("{{\"address\": \"{node}.test:80\"}}"),
            ttl: TEN,
            left: Duration::from_secs(*left),
        };
        nodes.iter().map(row).collect()
    }

    fn ids(seen: &Seen) -> Vec<&str> {
        seen.leases.keys().map(String::as_str).collect()
    }

    #[test]
    fn who_leaves_or_ends_is_gone() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert!(seen.take(mark("e", 3), rows(&[("a", 10), ("b", 4), ("c", 10)]), start).is_empty());
        assert!(
            !seen.is_over(start + Duration::from_secs(4)) && seen.is_over(start + Duration::from_secs(5))
        );
        let later = start + Duration::from_secs(5);
        assert_eq!(seen.take(mark("e", 4), rows(&[("a", 9)]), later), ["b"], "c left of its own accord");
        assert_eq!(ids(&seen), ["a"]);
    }

    #[test]
    fn a_redis_that_lost_its_memory_costs_no_node_that_comes_back() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.take(mark("e", 2), rows(&[("a", 8), ("b", 8)]), start);
        assert!(seen.take(mark("", 0), Vec::new(), start).is_empty());
        assert_eq!((ids(&seen), seen.forgotten()), (vec!["a", "b"], 2));
        let later = start + Duration::from_secs(3);
        assert!(seen.take(mark("f", 1), rows(&[("a", 10)]), later).is_empty());
        assert_eq!((ids(&seen), seen.forgotten()), (vec!["a", "b"], 1));
        assert_eq!(seen.take(mark("f", 1), rows(&[("a", 3)]), start + TEN), ["b"], "it never came back");
        assert_eq!(ids(&seen), ["a"]);
    }

    #[test]
    fn leases_that_could_not_be_renewed_count_once_more() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.take(mark("e", 2), rows(&[("a", 8), ("b", 8)]), start);
        seen.lost();
        let later = start + TEN * 6;
        assert!(seen.take(mark("e", 2), rows(&[("b", 10)]), later).is_empty());
        assert_eq!(ids(&seen), ["a", "b"]);
        assert_eq!(seen.take(mark("e", 2), rows(&[("b", 2)]), later + TEN), ["a"]);
    }

    #[test]
    fn a_pool_whose_last_lease_ended_is_empty() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.take(mark("e", 1), rows(&[("a", 10)]), start);
        assert_eq!(
            seen.take(mark("", 0), Vec::new(), start + TEN),
            ["a"],
            "Redis took the hash away with it"
        );
        assert!(ids(&seen).is_empty());
    }

    #[test]
    fn an_entry_that_is_none_is_told() {
        let mut seen = Seen::default();
        let mut wrong = rows(&[("a", 10), ("b", 10)]);
        wrong[0].text = "nonsense".to_owned();
        seen.take(mark("e", 1), wrong, Instant::now());
        let set = seen.set();
        assert_eq!((set.nodes.len(), set.bad.len(), set.bad[0].key.as_str()), (1, 1, "a"));
    }
}
