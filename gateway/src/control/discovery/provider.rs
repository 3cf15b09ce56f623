//! Who tells a pool's nodes: one trait, and a module for each kind behind it.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::board::Row;
use super::consul::Consul;
use super::dns::Dns;
use super::etcd::EtcdProvider;
use super::file::File;
use super::schema::NodeSet;
use super::zookeeper::ZookeeperProvider;
use crate::control::config;
use crate::control::registry::Registry;
use crate::name::Name;

/// A registry, or what stands for one.
pub(in crate::control) trait Provider: Send {
    /// Follows it until it is lost: publishes each full set, and returns only with why it ended. It is called again
    /// after a pause, and begins anew then.
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble>;
}

/// The provider that the configuration says, for a pool.
pub(super) fn of(
    provider: &config::Provider,
    pool: &Name,
    registry: Option<&Arc<Registry>>,
) -> Result<Box<dyn Provider>, Trouble> {
    match provider {
        config::Provider::Registry => match registry {
            Some(registry) => Ok(registry.provider(pool)),
            None => Err(Trouble::new(
                "there was no [registry] at the gateway's start: it is opened at the next one",
            )),
        },
        config::Provider::File { path } => Ok(Box::new(File::new(path.clone()))),
        config::Provider::Consul(consul) => Ok(Box::new(Consul::new(consul.clone()))),
        config::Provider::Dns(wanted) => Ok(Box::new(Dns::new(wanted.clone()))),
        config::Provider::Etcd(etcd) => Ok(Box::new(EtcdProvider::new(etcd))),
        config::Provider::Zookeeper(zookeeper) => Ok(Box::new(ZookeeperProvider::new(zookeeper))),
    }
}

/// Why a registry was lost, on one line and without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Trouble(String);

impl Trouble {
    /// For this reason.
    pub(in crate::control) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a provider puts what its registry says. Only the newest set counts, so it need not be sparing.
#[derive(Debug)]
pub(in crate::control) struct Sets {
    newest: watch::Sender<Newest>,
    row: Arc<Row>,
}

/// What was said last.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    /// The set, and in which connection it came.
    pub(in crate::control) set: Option<(u64, Arc<NodeSet>)>,
    /// The connection of now: they are counted. None while the registry is lost.
    pub(in crate::control) connection: Option<u64>,
    connections: u64,
}

impl Newest {
    /// Whether the registry still stands by the set.
    pub(in crate::control) fn is_fresh(&self) -> bool {
        self.set.as_ref().map(|(connection, _)| *connection) == self.connection
    }
}

impl Sets {
    pub(super) fn new(row: Arc<Row>) -> Self {
        Self { newest: watch::Sender::default(), row }
    }

    /// What the registry says now, all of it.
    pub(in crate::control) fn publish(&self, set: NodeSet) {
        self.heard();
        self.newest.send_modify(|newest| {
            newest.set = newest.connection.map(|connection| (connection, Arc::new(set)));
        });
    }

    /// Notes that the registry answered, though nothing changed.
    pub(in crate::control) fn heard(&self) {
        self.row.heard();
    }

    /// Whether nodes of the pool are known, from this connection or from before.
    pub(in crate::control) fn knows_nodes(&self) -> bool {
        self.row.knows_nodes()
    }

    /// A connection is tried.
    pub(super) fn begin(&self) {
        self.newest.send_modify(|newest| {
            newest.connections += 1;
            newest.connection = Some(newest.connections);
        });
    }

    /// It ended.
    pub(super) fn lost(&self) {
        self.newest.send_modify(|newest| newest.connection = None);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Newest> {
        self.newest.subscribe()
    }
}
