//! Log lines about attempts that failed and were made good on another node: at most one a second for each node.
//!
//! Clients do not notice such a node, so its owner has to. A failure that a client sees is logged with its answer, in
//! `finish`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::node::Node;

/// A node has at most one line in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// Nodes that are remembered. Beyond it all are forgotten, and a line may come early.
const MOST: usize = 1024;

/// When each node had its last line, and the attempts that were not worth one since.
#[derive(Debug, Default)]
pub(super) struct Notices {
    last: RefCell<HashMap<SocketAddr, (Instant, u64), RandomState>>,
}

impl Notices {
    /// Another node is tried in place of this one.
    #[cold]
    pub(super) fn another_is_tried(&self, node: &Node, pool: &str, why: &dyn fmt::Display, now: Instant) {
        if let Some(not_logged) = self.count(node.spec.address, now) {
            tracing::warn!(pool, node = &*node.spec.id, not_logged, "another node is tried: {why}");
        }
    }

    /// How many were not logged since the last line; none if that was just now.
    fn count(&self, node: SocketAddr, now: Instant) -> Option<u64> {
        let mut last = self.last.borrow_mut();
        if last.len() >= MOST {
            last.clear();
        }
        match last.get_mut(&node) {
            Some((at, silent)) if now.saturating_duration_since(*at) < PAUSE => {
                *silent += 1;
                None
            }
            _ => Some(last.insert(node, (now, 0)).map_or(0, |(_, silent)| silent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_line_a_second_that_tells_of_the_others() {
        let notices = Notices::default();
        let start = Instant::now();
        let count = |port, millis| {
            notices.count(([127, 0, 0, 1], port).into(), start + Duration::from_millis(millis))
        };
        assert_eq!((count(1, 0), count(1, 1), count(1, 999)), (Some(0), None, None));
        assert_eq!(count(2, 999), Some(0), "each node for itself");
        assert_eq!((count(1, 1000), count(1, 1001)), (Some(2), None));
    }
}
