//! Idle connections to nodes, kept by one worker for its own next requests.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::dial::Way;
use super::stream::Stream;

struct Idle {
    stream: Stream,
    until: Instant,
}

/// Idle connections of one worker, by the way that they take. The youngest is used first, so that spare ones grow old.
#[derive(Default)]
pub struct IdleConnections {
    by_way: RefCell<HashMap<Way, Vec<Idle>, RandomState>>,
}

impl IdleConnections {
    /// A connection that the node has not closed, as far as can be known without asking it.
    pub fn take(&self, way: Way) -> Option<Stream> {
        let mut by_way = self.by_way.borrow_mut();
        let idle = by_way.get_mut(&way)?;
        while let Some(Idle { stream, .. }) = idle.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection for `timeout`, unless there are `most` already.
    pub fn put(&self, way: Way, stream: Stream, most: usize, timeout: Duration, now: Instant) {
        let mut by_way = self.by_way.borrow_mut();
        let idle = by_way.entry(way).or_default();
        if idle.len() < most {
            idle.push(Idle { stream, until: now + timeout });
        }
    }

    /// Closes connections that were idle for too long or that the node closed.
    pub fn sweep(&self, now: Instant) {
        self.by_way.borrow_mut().retain(|_, idle| {
            idle.retain(|idle| idle.until > now && idle.stream.is_quiet());
            !idle.is_empty()
        });
    }

    /// Closes so many that at most `most` are left: those of some nodes, since whoever has to save cannot choose.
    pub fn shrink_to(&self, most: usize) {
        let mut over = self.len().saturating_sub(most);
        for idle in self.by_way.borrow_mut().values_mut() {
            let count = over.min(idle.len());
            idle.drain(..count);
            over -= count;
        }
    }

    /// Closes all.
    pub fn clear(&self) {
        self.by_way.borrow_mut().clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_way.borrow().values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
