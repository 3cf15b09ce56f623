//! Who tells a pool's nodes, and how that one is reached.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use crate::control::config::secret::Secret;
use crate::control::config::text::{NodeAddress, Origin};

/// `[pool.NAME.discovery]`
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// Who tells the nodes.
    pub provider: Provider,
    /// How long an answer without any node has to stand until it is believed; zero believes it at once.
    pub empty: Duration,
}

/// Who tells the nodes of a pool.
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    /// The nodes themselves, at the gateway's own registry.
    Registry,
    /// A file.
    File {
        /// TOML, or JSON if it ends so.
        path: PathBuf,
    },
    /// A name server.
    Dns(DnsDiscovery),
    /// Consul.
    Consul(ConsulDiscovery),
    /// etcd, version 3.
    Etcd(EtcdKeys),
    /// ZooKeeper.
    Zookeeper(ZookeeperDiscovery),
}

impl Provider {
    /// The word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::File { .. } => "file",
            Self::Dns(_) => "dns",
            Self::Consul(_) => "consul",
            Self::Etcd(_) => "etcd",
            Self::Zookeeper(_) => "zookeeper",
        }
    }
}

/// A name that is asked for again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsDiscovery {
    /// In lowercase.
    pub name: String,
    /// What it is asked for.
    pub record: DnsRecord,
    /// Who is asked; the system's name servers if there is none.
    pub servers: Vec<SocketAddr>,
    /// An answer is believed for as long as it says itself, but not shorter,
    pub min_ttl: Duration,
    /// and not longer; never below `min_ttl`.
    pub max_ttl: Duration,
}

/// What a name server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsRecord {
    /// Addresses (A and AAAA).
    Address {
        /// Where all nodes listen.
        port: NonZeroU16,
    },
    /// Services (SRV, RFC 2782), which tell ports, priorities and weights.
    Srv,
}

/// A service in Consul.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsulDiscovery {
    /// The agent or server.
    pub address: Origin,
    /// The service's name.
    pub service: String,
    /// What its instances have to be tagged with, all of it.
    pub tags: Vec<String>,
    /// Where it is; the agent's own datacenter if it is not said.
    pub datacenter: Option<String>,
    /// What the agent has to be told.
    pub token: Option<Secret>,
    /// For an address with https://.
    pub tls: Option<ClientTls>,
}

/// Keys in etcd.
#[derive(Debug, Clone, PartialEq)]
pub struct EtcdKeys {
    /// Members of the cluster; at least one, all with or all without TLS.
    pub endpoints: Vec<Origin>,
    /// What the keys begin with.
    pub prefix: String,
    /// Who the gateway is there.
    pub login: Option<Login>,
    /// For endpoints with https://.
    pub tls: Option<ClientTls>,
}

/// Znodes in ZooKeeper.
#[derive(Debug, Clone, PartialEq)]
pub struct ZookeeperDiscovery {
    /// Members of the ensemble; at least one.
    pub servers: Vec<NodeAddress>,
    /// The znode whose children the pool's nodes are.
    pub path: String,
    /// Who the gateway is there (scheme "digest").
    pub login: Option<Login>,
    /// Whether it is spoken to over TLS.
    pub tls: Option<ClientTls>,
}

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// What proves it.
    pub password: Secret,
}

/// How a server that is spoken to over TLS is known, and how the gateway shows itself to it. Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTls {
    /// Who may have signed its certificate; the system's authorities if it is not said.
    pub ca: Option<PathBuf>,
    /// What the gateway shows, if anything.
    pub identity: Option<ClientIdentity>,
}

/// What the gateway shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Its certificate, and those that lead to an authority.
    pub certificate: PathBuf,
    /// The key of its certificate.
    pub key: PathBuf,
}
