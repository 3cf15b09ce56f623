//! The gateways' own registry. Where it has a store, nodes register at one gateway and another one is looked at.

use super::{Announced, Registry, Running};
use crate::bench::faults::ports::Ports;
use crate::bench::gateways::{Gateway, Place};
use crate::client::Connection;
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::rc::Rc;
use std::time::Duration;
use test_servers::{Etcd, Redis};

/// Longer than any bench.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// How long a store may be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where leases are kept.
pub(super) enum Store {
    Memory,
    Redis(Rc<Redis>),
    Etcd(Rc<Etcd>),
}

pub(super) struct Embedded {
    store: Store,
    /// Where the gateway that is looked at takes registrations.
    looked_at: u16,
    /// Where nodes register.
    registry: u16,
    /// The gateway that takes registrations, if it is another one.
    _other: Option<Gateway>,
}

impl Embedded {
    pub(super) fn new(store: Store, ports: &mut Ports) -> Result<Embedded> {
        let looked_at = ports.free()?;
        let registry = if matches!(store, Store::Memory) { looked_at } else { ports.free()? };
        Ok(Embedded { store, looked_at, registry, _other: None })
    }

    fn send(&self, method: &str, id: &str, body: &str) -> Result<()> {
        let target = format!("/pools/bench/nodes/{id}");
        let once = || Connection::open(self.registry)?.send(method, &target, &[], body);
        // A gateway whose store is gone says so, and nodes try again.
        let taken =
            || Some(once()).filter(|answer| !answer.as_ref().is_ok_and(|answer| answer.status == 503));
        let answer = tools::poll(PATIENCE, taken).context("the gateway's store stays away")??;
        let done = (200..300).contains(&answer.status);
        ensure!(done, "{method} {target} was answered with {}: {}", answer.status, answer.body);
        Ok(())
    }

    fn announce(&self, node: &Announced, ttl: Duration) -> Result<()> {
        let ttl = format!(r#","ttl":"{}s""#, ttl.as_secs());
        self.send("PUT", &node.id, &node.json(&ttl))
    }
}

impl Registry for Embedded {
    fn title(&self) -> &'static str {
        match self.store {
            Store::Memory => "registry, memory",
            Store::Redis(_) => "registry, Redis",
            Store::Etcd(_) => "registry, etcd",
        }
    }

    fn tables(&self) -> String {
        let store = match &self.store {
            Store::Memory => "store = \"memory\"\n".to_owned(),
            Store::Redis(redis) => {
                format!("store = \"redis\"\n[redis]\nservers = [\"{}\"]\n", redis.url())
            }
            Store::Etcd(etcd) => {
                format!("store = \"etcd\"\netcd = {{ endpoints = [\"{}\"] }}\n", etcd.url())
            }
        };
        format!(
            "[pool.bench.discovery]\nprovider = \"registry\"\n[registry]\naddress = \"127.0.0.1:{}\"\n{store}",
            self.looked_at
        )
    }

    fn begin(&mut self, place: &Place<'_>, ports: &mut Ports, tables: &str) -> Result<()> {
        if self.registry != self.looked_at {
            let [own, other] = [self.looked_at, self.registry].map(|port| format!("127.0.0.1:{port}"));
            self._other = Some(place.start("other", ports, &tables.replace(&own, &other))?);
        }
        Ok(())
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        self.announce(node, FOR_EVER)
    }

    fn put_leased(&mut self, node: &Announced, ttl: Duration) -> Result<()> {
        self.announce(node, ttl)
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        self.send("DELETE", id, "")
    }

    fn server(&self) -> Option<Running> {
        match &self.store {
            Store::Memory => None,
            Store::Redis(redis) => Some(redis.clone()),
            Store::Etcd(etcd) => Some(etcd.clone()),
        }
    }
}
