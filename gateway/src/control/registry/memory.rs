//! Leases in this process: what a gateway that stands alone needs, and nothing more.
//!
//! The lock is held for a look at a map, on control's thread alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;
use tracing::warn;

use super::leases::{Change, Full, Lease, Leases};
use crate::control::discovery::{NodeSet, Provider, Sets, Trouble};
use crate::name::Name;

/// How often it says that it is there. It always is, so this only keeps a number fresh.
const HEARD: Duration = Duration::from_secs(1);
/// A gateway that was restarted knows its nodes from before, and none of their leases. So long it waits for them to be
/// renewed: `bascule register` does so every five seconds at least.
const SETTLED: Duration = Duration::from_secs(6);

/// The leases, and who waits for what becomes of them.
pub(super) struct Memory {
    leases: Mutex<Leases>,
    changed: watch::Sender<()>,
    started: Instant,
    /// Rung when the next lease may end sooner than it was said to.
    sooner: Notify,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        let leases = Mutex::new(Leases::new(most));
        Self { leases, changed: watch::Sender::new(()), started: Instant::now(), sooner: Notify::new() }
    }

    pub(super) fn put(&self, pool: &Name, lease: Lease, now: Instant) -> Result<Change, Full> {
        let (before, change, after) = {
            let mut leases = self.leases();
            (leases.next_end(), leases.put(pool, lease, now)?, leases.next_end())
        };
        if before != after {
            self.sooner.notify_one();
        }
        if change != Change::Renewed {
            self.changed.send_replace(());
        }
        Ok(change)
    }

    pub(super) fn take(&self, pool: &Name, id: &str) -> bool {
        let was_there = self.leases().take(pool, id);
        if was_there {
            self.changed.send_replace(());
        }
        was_there
    }

    pub(super) fn rows(&self, pool: &Name, now: Instant) -> Vec<(Lease, Duration)> {
        self.leases().rows(pool, now)
    }

    /// Ends leases at their deadlines, for ever; tells how many.
    pub(super) async fn keep(&self, ended: impl Fn(usize)) {
        loop {
            let next = self.leases().next_end();
            tokio::select! {
                () = until(next) => {}
                () = self.sooner.notified() => continue,
            }
            let over = self.leases().expire(Instant::now());
            for (pool, node) in &over {
                warn!(%pool, node, "the node did not renew its lease: it is taken out");
            }
            if !over.is_empty() {
                ended(over.len());
                self.changed.send_replace(());
            }
        }
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        // Each change is whole before anything can panic.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end.into()).await,
        None => std::future::pending().await,
    }
}

/// Hands a pool's leases to discovery.
pub(super) struct Follower {
    pub(super) memory: Arc<Memory>,
    pub(super) pool: Name,
}

impl Provider for Follower {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(async move {
            let mut changed = self.memory.changed.subscribe();
            if sets.knows_nodes() {
                sleep_until((self.memory.started + SETTLED).into()).await;
            }
            let mut hearing = tokio::time::interval(HEARD);
            let mut handed_on = None;
            loop {
                let version = self.memory.leases().version(&self.pool);
                if handed_on != Some(version) {
                    let (version, nodes) = self.memory.leases().nodes(&self.pool);
                    handed_on = Some(version);
                    sets.publish(NodeSet { nodes, bad: Vec::new() });
                }
                tokio::select! {
                    // The sender is in `memory`.
                    _there = changed.changed() => {}
                    _ = hearing.tick() => sets.heard(),
                }
            }
        })
    }
}
