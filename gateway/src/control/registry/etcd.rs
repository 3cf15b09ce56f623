//! Leases in the etcd that gateways share: a registration at one of them reaches all.
//!
//! A node is a key, PREFIX + POOL + "/" + ID, whose value is what it registered with; the key is bound to a lease of etcd's, so
//! that etcd itself ends it. Who follows a pool watches its keys, as the provider "etcd" does, and `seen` adds what an etcd
//! that was lost must not cost.

mod seen;

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_client::{GetOptions, KeyValue};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::leases::{Change, Lease};
use super::{Refusal, entry};
use crate::control::config::EtcdKeys;
use crate::control::discovery::{Entry as _, Provider, Sets, Trouble};
use crate::control::etcd::{Etcd, Failed, Follower, Servers};
use crate::name::Name;
use seen::Seen;

/// How long a node waits for what it asks at most; then it is told to come again.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before it is asked again, of the next endpoint. A member that lost its leader says so at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How many leases are asked for what is left of them at once.
const AT_ONCE: usize = 32;
/// Reasons of one outage that are told. A handshake that fails shows in three ways, by when the connection goes.
const MOST_REASONS: usize = 8;

/// The leases.
pub(super) struct InEtcd {
    settings: EtcdKeys,
    servers: Servers,
    most: u32,
    line: Mutex<Line>,
}

/// The connection that writes.
#[derive(Default)]
struct Line {
    etcd: Option<Etcd>,
    /// Which endpoint comes next.
    next: usize,
    /// What was logged of why there is no answer, since there was one.
    said: BTreeSet<String>,
}

impl InEtcd {
    pub(super) fn new(settings: &EtcdKeys, most: u32) -> Self {
        let (servers, line) = (Servers::of(settings), Mutex::default());
        Self { settings: settings.clone(), servers, most, line }
    }

    pub(super) async fn put(&self, pool: &Name, lease: &Lease) -> Result<Change, Refusal> {
        let (key, text) = (self.key(pool, &lease.node.id), entry::json(lease).to_string());
        let put = self.ask(|etcd| self.put_with(etcd, pool, &key, &text, lease).boxed());
        put.await?.ok_or(Refusal::Full)
    }

    /// None if there are as many nodes as there may be. Of those that come at the same moment to several gateways, each may be
    /// the last one.
    async fn put_with(
        &self,
        etcd: Etcd,
        pool: &Name,
        key: &str,
        text: &str,
        lease: &Lease,
    ) -> Result<Option<Change>, Failed> {
        let old = etcd.get(key, GetOptions::new()).await?.take_kvs().pop();
        if let Some(old) = &old
            && old.value() == text.as_bytes()
            && etcd.keep(old.lease()).await.is_ok()
        {
            return Ok(Some(Change::Renewed));
        }
        if old.is_none() && etcd.count(&self.prefix(pool)).await? >= i64::from(self.most) {
            return Ok(None);
        }
        etcd.put_leased(key, text, lease.ttl).await?;
        let Some(old) = old else { return Ok(Some(Change::New)) };
        if old.lease() != 0 {
            // No key is bound to it any more, and if this fails it ends by itself.
            let _ends_itself = etcd.revoke(old.lease()).await;
        }
        let is_same = Lease::read(&lease.node.id, old.value()).is_ok_and(|old| old.node == lease.node);
        Ok(Some(if is_same { Change::Renewed } else { Change::Different }))
    }

    pub(super) async fn take(&self, pool: &Name, node: &str) -> Result<bool, Refusal> {
        let key = self.key(pool, node);
        let key = &key;
        let taken = self.ask(|etcd| {
            async move {
                let old = etcd.delete(key).await?;
                if let Some(lease) = old.as_ref().map(KeyValue::lease).filter(|lease| *lease != 0) {
                    let _ends_itself = etcd.revoke(lease).await;
                }
                Ok(old.is_some())
            }
            .boxed()
        });
        taken.await
    }

    pub(super) async fn rows(&self, pool: &Name) -> Result<Vec<(Lease, Duration)>, Refusal> {
        let prefix = self.prefix(pool);
        let prefix = &prefix;
        let rows = self.ask(|etcd| {
            async move {
                let mut leases = Vec::new();
                let read = etcd.read(prefix, |pair| {
                    let id =
                        pair.key().strip_prefix(prefix.as_bytes()).and_then(|id| str::from_utf8(id).ok());
                    let lease = id.and_then(|id| Lease::read(id, pair.value()).ok());
                    leases.extend(lease.map(|lease| (lease, pair.lease())));
                    true
                });
                read.await?;
                let left = leases.into_iter().map(|(lease, id)| {
                    let etcd = etcd.clone();
                    async move { etcd.left(id).await.map(|left| (lease, left)) }
                });
                let rows: Vec<Result<_, Failed>> = stream::iter(left).buffered(AT_ONCE).collect().await;
                rows.into_iter().collect()
            }
            .boxed()
        });
        rows.await
    }

    pub(super) fn follower(&self, pool: &Name) -> PoolFollower {
        let settings = EtcdKeys { prefix: self.prefix(pool), ..self.settings.clone() };
        PoolFollower { follower: Follower::new(&settings), seen: Seen::new(pool.clone()) }
    }

    fn prefix(&self, pool: &Name) -> String {
        format!("{}{pool}/", self.settings.prefix)
    }

    fn key(&self, pool: &Name, node: &str) -> String {
        self.prefix(pool) + node
    }

    /// Asks, and once more if there is no answer: what is asked for may be done twice. Boxed: etcd's futures have kilobytes.
    async fn ask<'a, T>(&self, ask: impl Fn(Etcd) -> BoxFuture<'a, Result<T, Failed>>) -> Result<T, Refusal> {
        let tried = async {
            match self.once(&ask).await {
                Ok(answer) => Ok(answer),
                Err(_) => {
                    sleep(PAUSE).await;
                    self.once(&ask).await
                }
            }
        };
        match timeout(PATIENCE, tried).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(_)) => {}
            Err(_) => self.lose(&format!("no answer in {} s", PATIENCE.as_secs())).await,
        }
        Err(Refusal::Unavailable("the etcd that keeps the leases does not answer"))
    }

    async fn once<'a, T>(
        &self,
        ask: &impl Fn(Etcd) -> BoxFuture<'a, Result<T, Failed>>,
    ) -> Result<T, Failed> {
        let asked = match self.connection().await {
            Ok(etcd) => ask(etcd).await,
            Err(failed) => Err(failed),
        };
        match &asked {
            Ok(_) => self.line.lock().await.said.clear(),
            Err(failed) => self.lose(&failed.to_string()).await,
        }
        asked
    }

    async fn connection(&self) -> Result<Etcd, Failed> {
        let mut line = self.line.lock().await;
        if let Some(etcd) = &line.etcd {
            return Ok(etcd.clone());
        }
        let etcd = Etcd::connect(self.servers.endpoint(line.next), &self.servers).await?;
        line.etcd = Some(etcd.clone());
        Ok(etcd)
    }

    /// The next connection is to the next endpoint; each thing that is wrong is logged once.
    async fn lose(&self, why: &str) {
        let mut line = self.line.lock().await;
        if line.said.len() < MOST_REASONS && line.said.insert(why.to_owned()) {
            let endpoint = self.servers.endpoint(line.next);
            warn!(%endpoint, why, "nodes cannot register: the etcd that keeps the leases does not do what it is asked");
        }
        line.next = line.next.wrapping_add(1);
        line.etcd = None;
    }
}

/// Hands a pool's leases to discovery.
pub(super) struct PoolFollower {
    follower: Follower,
    seen: Seen,
}

impl Provider for PoolFollower {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        Box::pin(self.follower.follow(&mut self.seen, sets))
    }
}
