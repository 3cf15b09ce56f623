//! Idle connections to nodes, kept by one worker for its own next requests.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::stream::Stream;

struct Idle {
    stream: Stream,
    until: Instant,
}

/// Idle connections of one worker, by node address. The youngest is used first, so that spare ones grow old.
#[derive(Default)]
pub struct IdleConnections {
    by_address: RefCell<HashMap<SocketAddr, Vec<Idle>, RandomState>>,
}

impl IdleConnections {
    /// A connection that the node has not closed, as far as can be known without asking it.
    pub fn take(&self, address: SocketAddr) -> Option<Stream> {
        let mut by_address = self.by_address.borrow_mut();
        let idle = by_address.get_mut(&address)?;
        while let Some(Idle { stream, .. }) = idle.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection for `timeout`, unless there are `most` already.
    pub fn put(&self, address: SocketAddr, stream: Stream, most: usize, timeout: Duration, now: Instant) {
        let mut by_address = self.by_address.borrow_mut();
        let idle = by_address.entry(address).or_default();
        if idle.len() < most {
            idle.push(Idle { stream, until: now + timeout });
        }
    }

    /// Closes connections that were idle for too long or that the node closed.
    pub fn sweep(&self, now: Instant) {
        self.by_address.borrow_mut().retain(|_, idle| {
            idle.retain(|idle| idle.until > now && idle.stream.is_quiet());
            !idle.is_empty()
        });
    }

    /// Closes so many that at most `most` are left: those of some nodes, since whoever has to save cannot choose.
    pub fn shrink_to(&self, most: usize) {
        let mut over = self.len().saturating_sub(most);
        for idle in self.by_address.borrow_mut().values_mut() {
            let count = over.min(idle.len());
            idle.drain(..count);
            over -= count;
        }
    }

    /// Closes all.
    pub fn clear(&self) {
        self.by_address.borrow_mut().clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_address.borrow().values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
