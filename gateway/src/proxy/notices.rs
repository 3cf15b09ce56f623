//! Log lines that could be many: at most one a second for each node, pool or listener that they are about.
//!
//! Attempts that failed and were made good on another node: clients do not notice such a node, so its owner has to. And
//! requests and connections for which there was no room, and clients that flood. Any other failure that a client sees is logged with its answer, in `finish`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::name::Name;
use crate::node::Node;
use crate::telemetry::{NoRoom, Refusal, Refused};

/// Each has at most one line in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// So many of each kind are remembered. Beyond it all are forgotten, and a line may come early.
const MOST: usize = 1024;

/// What was logged last of each node and pool.
#[derive(Debug, Default)]
pub(super) struct Notices {
    nodes: Last<SocketAddr>,
    pools: Last<Arc<str>>,
    listeners: Last<(Name, NoRoom)>,
    floods: Last<Refused>,
    headers: Last<Name>,
}

/// When each had its last line, and how many were not worth one since.
#[derive(Debug)]
struct Last<K>(RefCell<HashMap<K, (Instant, u64), RandomState>>);

impl Notices {
    /// Another node is tried in place of this one.
    #[cold]
    pub(super) fn another_is_tried(&self, node: &Node, pool: &str, why: &dyn fmt::Display, now: Instant) {
        if let Some(not_logged) = self.nodes.count(node.spec.address, now) {
            tracing::warn!(pool, node = &*node.spec.id, not_logged, "another node is tried: {why}");
        }
    }

    /// A pool has no room for a request.
    #[cold]
    pub(super) fn turned_away(&self, pool: &Arc<str>, refusal: Refusal, now: Instant) {
        if let Some(not_logged) = self.pools.count(Arc::clone(pool), now) {
            tracing::warn!(pool = &**pool, not_logged, "requests are turned away: {refusal}");
        }
    }

    /// A listener has no room for a connection.
    #[cold]
    pub(super) fn no_room(&self, listener: &Name, why: NoRoom, now: Instant) {
        if let Some(not_logged) = self.listeners.count((listener.clone(), why), now) {
            let why = why.as_str();
            tracing::warn!(%listener, why, not_logged, "connections are turned away: there is no room for them");
        }
    }

    /// A client's connection of HTTP/2 is ended for what it did.
    #[cold]
    pub(super) fn flood(&self, client: SocketAddr, what: Refused, now: Instant) {
        if let Some(not_logged) = self.floods.count(what, now) {
            let kind = what.as_str();
            tracing::warn!(%client, kind, not_logged, "a client's connection of HTTP/2 is ended");
        }
    }

    /// A peer that has to send a PROXY header sent none.
    #[cold]
    pub(super) fn no_header(&self, listener: &Name, peer: SocketAddr, why: &dyn fmt::Display, now: Instant) {
        if let Some(not_logged) = self.headers.count(listener.clone(), now) {
            tracing::warn!(%listener, %peer, not_logged, "a connection is closed: {why}");
        }
    }
}

impl<K> Default for Last<K> {
    fn default() -> Self {
        Last(RefCell::default())
    }
}

impl<K: Hash + Eq> Last<K> {
    /// How many were not logged since the last line; none if that was just now.
    fn count(&self, of: K, now: Instant) -> Option<u64> {
        let mut last = self.0.borrow_mut();
        if last.len() >= MOST {
            last.clear();
        }
        match last.get_mut(&of) {
            Some((at, silent)) if now.saturating_duration_since(*at) < PAUSE => {
                *silent += 1;
                None
            }
            _ => Some(last.insert(of, (now, 0)).map_or(0, |(_, silent)| silent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_line_a_second_that_tells_of_the_others() {
        let notices = Last::default();
        let start = Instant::now();
        let count = |port: u16, millis| notices.count(port, start + Duration::from_millis(millis));
        assert_eq!((count(1, 0), count(1, 1), count(1, 999)), (Some(0), None, None));
        assert_eq!(count(2, 999), Some(0), "each node for itself");
        assert_eq!((count(1, 1000), count(1, 1001)), (Some(2), None));
    }
}
