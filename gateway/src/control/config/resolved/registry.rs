//! Where nodes register themselves.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use crate::control::config::error::At;
use crate::control::config::secret::Secret;

use super::discovery::EtcdKeys;

/// `[registry]`
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Where it listens; not on a loopback address only if there is a token.
    pub address: At<SocketAddr>,
    /// What a node has to know.
    pub token: Option<Secret>,
    /// What keeps the leases.
    pub store: LeaseStore,
    /// The most nodes that a pool may have in it.
    pub max_nodes: NonZeroU32,
}

/// What keeps the leases of nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseStore {
    /// This process: nodes register with each gateway.
    Memory,
    /// The Redis that gateways share: a registration with one of them reaches all.
    Redis,
    /// An etcd that they share, likewise.
    Etcd(EtcdKeys),
}

impl LeaseStore {
    /// The word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Etcd(_) => "etcd",
        }
    }
}
