//! Where sessions and shared values are kept.

use std::num::NonZeroU64;
use std::time::Duration;

use super::super::secret::Secret;
use super::super::text::NodeAddress;
use super::ClientTls;

/// Where clients' bindings to nodes are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// What keeps them.
    pub store: Store,
    /// The most that this process keeps or knows; beyond, the least used go.
    pub capacity: NonZeroU64,
}

/// What keeps sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// This process: they end with it.
    Memory,
    /// The Redis of `[redis]`.
    Redis {
        /// How long what it said is believed.
        near_cache: Duration,
        /// What a bound client meets while it cannot be asked.
        fail_mode: FailMode,
    },
    /// The clients' cookies, which are signed.
    Cookie {
        /// The first signs, all verify; at least one, each long enough.
        keys: Vec<Secret>,
    },
}

/// What a bound client meets while nobody can say where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailMode {
    /// Another node may serve it.
    Move,
    /// It is turned away.
    Refuse,
}

/// Who sees a use's shared values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedScope {
    /// All workers of this gateway.
    Gateway,
    /// All gateways that share the Redis.
    Cluster,
}

/// The Redis that gateways share.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// Servers, Sentinels or members of the cluster; at least one, and just one if it stands alone.
    pub servers: Vec<NodeAddress>,
    /// What they are.
    pub mode: RedisMode,
    /// How they are met under TLS, if they are.
    pub tls: Option<ClientTls>,
    /// Who the gateway is there.
    pub user: Option<String>,
    /// What proves it.
    pub password: Option<Secret>,
    /// What all keys begin with.
    pub prefix: String,
    /// How long one question may take.
    pub timeout: Duration,
}

/// What the servers of Redis are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisMode {
    /// One Redis.
    Standalone,
    /// Sentinels, which know the master of this name.
    Sentinel(String),
    /// Members of a Redis Cluster.
    Cluster,
}
