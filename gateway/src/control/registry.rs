//! The gateway's own registry: nodes register themselves with a lease, and pools with `provider = "registry"` find them.
//!
//! `requests` is its API, on an address of its own. Where leases are kept is the store's matter: `memory` for a gateway that
//! stands alone, `shared` for those that share a Redis, `etcd` for those that share one. What a pool then sees comes from the same place, as a provider of discovery like any other.

mod counts;
mod entry;
mod etcd;
mod leases;
mod memory;
mod named;
mod requests;
mod shared;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::watch;
use tracing::info;

use super::StartError;
use super::admin::PhaseCell;
use super::api;
use super::config::{self, LeaseStore};
use super::discovery::{Provider, Sets, Trouble};
use crate::name::Name;
use crate::store::leases::Leases;
use crate::store::redis::Redis;
use crate::telemetry::Exposition;
use crate::transport::ports::{Owner, Ports};
use counts::Counts;
use etcd::InEtcd;
use leases::{Change, Full, Lease};
use memory::Memory;
use named::Named;
use shared::Shared;

/// Callers at once; more wait. While it is half full, no connection is kept after its answer.
const MOST_CONNECTIONS: usize = 1024;

/// The registry of this gateway.
pub(super) struct Registry {
    settings: config::Registry,
    /// Where it listens: with the port that the system chose for port 0.
    address: SocketAddr,
    store: Store,
    /// The pools that are followed, and how often.
    followed: Mutex<BTreeMap<Name, usize>>,
    counts: Counts,
    named: Named,
}

/// What /snapshot tells of it.
#[derive(Serialize)]
pub(super) struct RegistryRow {
    address: SocketAddr,
    store: &'static str,
    /// The pools that take their nodes from here.
    pools: Vec<Name>,
}

/// Where leases are kept.
enum Store {
    Memory(Arc<Memory>),
    Redis(Shared),
    Etcd(Box<InEtcd>),
}

/// Why nothing was done.
enum Refusal {
    /// The pool has as many nodes as it may.
    Full,
    /// The store cannot be asked, for this reason.
    Unavailable(&'static str),
}

/// The registry before it serves: its address is taken.
pub(super) struct Door {
    pub(super) registry: Arc<Registry>,
    socket: TcpListener,
    /// Whether another process serves it until this one takes its place.
    waits: bool,
}

impl Door {
    /// Takes the registry's address, if the configuration has a registry.
    ///
    /// # Errors
    /// The address is not to be had.
    pub(super) fn open(
        settings: Option<&config::Registry>,
        ports: &Ports,
        redis: Option<&Arc<Redis>>,
    ) -> Result<Option<Self>, StartError> {
        let Some(settings) = settings else { return Ok(None) };
        let address = settings.address.value;
        let opened = ports.open_own(Owner::Registry, address);
        let (socket, waits) = opened.map_err(|error| StartError::Registry { address, error })?;
        let address = socket.local_addr()?;
        Ok(Some(Self { registry: Arc::new(Registry::new(settings.clone(), address, redis)), socket, waits }))
    }

    /// Serves the API until `end` is dropped, and ends leases.
    pub(super) async fn serve(self, phase: &PhaseCell, end: watch::Receiver<()>) {
        // A node that registered here would be missing there, where requests go until then.
        if self.waits {
            phase.started().await;
        }
        let registry = Arc::clone(&self.registry);
        info!(address = %registry.address, store = registry.settings.store.word(), "nodes may register");
        let answer = move |request| {
            let registry = Arc::clone(&registry);
            async move { registry.answer(request).await }
        };
        tokio::select! {
            () = api::serve(self.socket, "the registry", MOST_CONNECTIONS, end, answer) => {}
            () = self.registry.store.keep(&self.registry.counts) => {}
        }
    }
}

impl Registry {
    fn new(settings: config::Registry, address: SocketAddr, redis: Option<&Arc<Redis>>) -> Self {
        let most = settings.max_nodes.get();
        let store = match &settings.store {
            LeaseStore::Memory => Store::Memory(Arc::new(Memory::new(most as usize))),
            LeaseStore::Redis => {
                let redis = Arc::clone(redis.expect("a configuration with this store has a table [redis]"));
                Store::Redis(Shared::new(Leases::new(redis), most))
            }
            LeaseStore::Etcd(etcd) => Store::Etcd(Box::new(InEtcd::new(etcd, most))),
        };
        let (followed, counts, named) = (Mutex::default(), Counts::default(), Named::default());
        Self { settings, address, store, followed, counts, named }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Follows a pool's nodes. From now on they may register, until this is dropped.
    pub(super) fn provider(self: &Arc<Self>, pool: &Name) -> Box<dyn Provider> {
        let inner: Box<dyn Provider> = match &self.store {
            Store::Memory(memory) => {
                Box::new(memory::Follower { memory: Arc::clone(memory), pool: pool.clone() })
            }
            Store::Redis(shared) => Box::new(shared.follower(pool)),
            Store::Etcd(etcd) => Box::new(etcd.follower(pool)),
        };
        *self.lock().entry(pool.clone()).or_default() += 1;
        Box::new(Followed { registry: Arc::clone(self), pool: pool.clone(), inner })
    }

    /// The pools that take their nodes from here.
    fn pools(&self) -> Vec<Name> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, usize>> {
        // Each change is whole before anything can panic.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn row(&self) -> RegistryRow {
        RegistryRow { address: self.address, store: self.settings.store.word(), pools: self.pools() }
    }

    pub(super) fn write_metrics(&self, text: &mut Exposition) {
        self.counts.write(text);
    }
}

impl Store {
    async fn put(&self, pool: &Name, lease: &Lease) -> Result<Change, Refusal> {
        match self {
            Self::Memory(memory) => {
                memory.put(pool, lease.clone(), Instant::now()).map_err(|Full| Refusal::Full)
            }
            Self::Redis(shared) => shared.put(pool, lease).await,
            Self::Etcd(etcd) => etcd.put(pool, lease).await,
        }
    }

    /// Takes a node out; whether it was there.
    async fn take(&self, pool: &Name, node: &str) -> Result<bool, Refusal> {
        match self {
            Self::Memory(memory) => Ok(memory.take(pool, node)),
            Self::Redis(shared) => shared.take(pool, node).await,
            Self::Etcd(etcd) => etcd.take(pool, node).await,
        }
    }

    /// The leases of a pool, each with what is left of it.
    async fn rows(&self, pool: &Name) -> Result<Vec<(Lease, Duration)>, Refusal> {
        match self {
            Self::Memory(memory) => Ok(memory.rows(pool, Instant::now())),
            Self::Redis(shared) => shared.rows(pool).await,
            Self::Etcd(etcd) => etcd.rows(pool).await,
        }
    }

    /// Ends leases where the store does not do so itself.
    async fn keep(&self, counts: &Counts) {
        match self {
            Self::Memory(memory) => memory.keep(|ended| counts.ended(ended)).await,
            Self::Redis(_) | Self::Etcd(_) => std::future::pending().await,
        }
    }
}

/// A provider whose pool's nodes may register while it is there.
struct Followed {
    registry: Arc<Registry>,
    pool: Name,
    inner: Box<dyn Provider>,
}

impl Provider for Followed {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        self.inner.follow(sets)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut followed = self.registry.lock();
        if let Some(times) = followed.get_mut(&self.pool) {
            *times -= 1;
            if *times == 0 {
                followed.remove(&self.pool);
            }
        }
    }
}
