//! The registries, each behind the same few questions: announce a node, take it out, and what a gateway that follows it is told.

mod consul;
mod dns;
mod embedded;
mod etcd;
mod file;
mod jute;
mod name_server;
mod zookeeper;

use crate::bench::faults::ports::Ports;
use crate::bench::gateways::Place;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use embedded::Store;
use std::ops::Deref;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use test_servers::{Program, Server};

/// The server behind a registry.
pub(super) type Running = Rc<dyn Failing>;

/// What may happen to a server.
pub(super) trait Failing {
    /// It is gone, with its port.
    fn kill(&self);
    /// It is there again, and knows what it knew.
    fn restart(&self);
    /// It keeps its port, and answers nobody.
    fn freeze(&self);
    /// It goes on.
    fn thaw(&self);
    /// It is there again, and knows nothing.
    fn restart_empty(&self);
}

/// A real one.
impl<T: Deref<Target = Server>> Failing for T {
    fn kill(&self) {
        Server::kill(self);
    }

    fn restart(&self) {
        Server::restart(self);
    }

    fn freeze(&self) {
        Server::freeze(self);
    }

    fn thaw(&self) {
        Server::thaw(self);
    }

    fn restart_empty(&self) {
        Server::restart_empty(self);
    }
}

/// What announces nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// The gateway's own, in its memory
    Registry,
    /// The gateways' own, in the Redis that they share; nodes register at another gateway
    RegistryRedis,
    /// The gateways' own, in the etcd that they share; nodes register at another gateway
    RegistryEtcd,
    /// A file that changes
    File,
    /// SRV records that are asked for ten times a second
    Dns,
    /// Consul
    Consul,
    /// etcd
    Etcd,
    /// ZooKeeper
    Zookeeper,
}

/// A node as it is announced: on a port of this machine.
pub(super) struct Announced {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) weight: u32,
}

impl Announced {
    /// The schema that the registry, etcd, ZooKeeper and files have in common, with more fields if wanted.
    fn json(&self, further: &str) -> String {
        format!(r#"{{"address":"127.0.0.1:{}","weight":{}{further}}}"#, self.port, self.weight)
    }
}

/// A registry that runs. It ends when it is dropped.
pub(super) trait Registry {
    /// Its name in the tables.
    fn title(&self) -> &'static str;

    /// What a gateway that follows it is told: the pool's discovery, and the tables that this takes.
    fn tables(&self) -> String;

    /// The gateway runs, with these tables.
    ///
    /// # Errors
    /// When something else that this registry takes does not start.
    fn begin(&mut self, _place: &Place<'_>, _ports: &mut Ports, _tables: &str) -> Result<()> {
        Ok(())
    }

    /// Announces a node, or changes it; acknowledged when this returns.
    ///
    /// # Errors
    /// When it is refused.
    fn put(&mut self, node: &Announced) -> Result<()>;

    /// Announces a node for so long, as one that loses power right after.
    ///
    /// # Errors
    /// When it is refused, or has no leases.
    fn put_leased(&mut self, _node: &Announced, _ttl: Duration) -> Result<()> {
        bail!("{} has no leases", self.title())
    }

    /// Whether nodes may be announced for a time.
    fn has_leases(&self) -> bool {
        true
    }

    /// What a gateway knows a node by.
    fn shown(&self, node: &Announced) -> String {
        node.id.clone()
    }

    /// Takes a node out; acknowledged when this returns.
    ///
    /// # Errors
    /// When it is not known.
    fn remove(&mut self, id: &str) -> Result<()>;

    /// The server that can fail, if there is one.
    fn server(&self) -> Option<Running>;
}

impl Kind {
    /// Its name in the tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Kind::Registry => "registry, memory",
            Kind::RegistryRedis => "registry, Redis",
            Kind::RegistryEtcd => "registry, etcd",
            Kind::File => "file",
            Kind::Dns => "DNS",
            Kind::Consul => "Consul",
            Kind::Etcd => "etcd",
            Kind::Zookeeper => "ZooKeeper",
        }
    }

    /// The server that it takes.
    pub(super) fn program(self) -> Option<Program> {
        match self {
            Kind::Registry | Kind::File | Kind::Dns => None,
            Kind::RegistryRedis => Some(Program::Redis),
            Kind::RegistryEtcd | Kind::Etcd => Some(Program::Etcd),
            Kind::Consul => Some(Program::Consul),
            Kind::Zookeeper => Some(Program::ZooKeeper),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(self, folder: &Path, ports: &mut Ports) -> Result<Box<dyn Registry>> {
        let gone = "it was there a moment ago";
        Ok(match self {
            Kind::Registry => Box::new(embedded::Embedded::new(Store::Memory, ports)?),
            Kind::RegistryRedis => {
                let redis = test_servers::Redis::start().context(gone)?;
                Box::new(embedded::Embedded::new(Store::Redis(Rc::new(redis)), ports)?)
            }
            Kind::RegistryEtcd => {
                let etcd = test_servers::Etcd::start().context(gone)?;
                Box::new(embedded::Embedded::new(Store::Etcd(Rc::new(etcd)), ports)?)
            }
            Kind::File => Box::new(file::File::new(folder)?),
            Kind::Dns => Box::new(dns::Dns::new()?),
            Kind::Consul => Box::new(consul::Consul::new(test_servers::Consul::start().context(gone)?)),
            Kind::Etcd => Box::new(etcd::Etcd::new(test_servers::Etcd::start().context(gone)?)),
            Kind::Zookeeper => {
                Box::new(zookeeper::Zookeeper::new(test_servers::ZooKeeper::start().context(gone)?)?)
            }
        })
    }
}
