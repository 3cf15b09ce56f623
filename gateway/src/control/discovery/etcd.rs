//! Nodes in etcd: every key under a prefix is one.

use futures_util::future::BoxFuture;

use super::entries::Entries;
use super::provider::{Provider, Sets, Trouble};
use super::schema::{Announced, NodeSet};
use crate::control::config::EtcdKeys;
use crate::control::etcd::{Follower, Keys};

/// The provider.
pub(in crate::control) struct EtcdProvider {
    follower: Follower,
    entries: Entries<Announced>,
}

impl EtcdProvider {
    /// One that was not connected yet.
    pub(in crate::control) fn new(settings: &EtcdKeys) -> Self {
        Self { follower: Follower::new(settings), entries: Entries::default() }
    }
}

impl Provider for EtcdProvider {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(self.follower.follow(&mut self.entries, sets))
    }
}

impl Keys for Entries<Announced> {
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.put(key, value);
    }

    fn remove(&mut self, key: &[u8]) {
        self.remove(key);
    }

    fn overflowed(&self) -> bool {
        self.overflowed()
    }

    fn lacks_some(&self) -> bool {
        self.lacks_some()
    }

    fn set(&mut self) -> NodeSet {
        self.to_set()
    }
}
