//! The configuration as the rest of the gateway meets it: complete, checked, and without anything that cannot be.
//!
//! Defaults are filled in, names refer to what exists, numbers are in range. What needs a socket, the plugin folder or a
//! name server is not known here. Each type's documentation names the keys; docs/configuration.md explains them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

mod acme;
mod discovery;
mod edge;
mod health;
mod limits;
mod listener;
mod plugins;
mod registry;
mod retry;
mod stores;

pub use acme::{Acme, AcmeChallenge};
pub use discovery::{
    ClientIdentity, ClientTls, ConsulDiscovery, Discovery, DnsDiscovery, DnsRecord, EtcdKeys, Login,
    Provider, ZookeeperDiscovery,
};
pub use edge::{EscapedSlashes, Strictness, Underscores};
pub use health::{CheckStart, HealthCheck, Outlier, Probe};
pub use limits::{AdaptiveRange, MinRate, PoolLimits};
pub use listener::{
    CertificateFiles, ClientCertificate, ClientCertificates, Listener, ListenerProtocol, ListenerTls,
    NodeTls, Redirect, TlsVersion, UnknownName,
};
pub use plugins::{Grant, OnFault, Plugins, Quarantine, Use, UseLimits};
pub use registry::{LeaseStore, Registry};
pub use retry::{HedgeAfter, Retry, RetryOn};
pub use stores::{FailMode, Redis, RedisMode, Sessions, SharedScope, Store};

use super::error::At;
use super::secret::Secret;
use super::text::{HeaderName, HeaderValue, HostPattern, Method, NodeAddress, PathPattern, Size};
use crate::cidr::Cidr;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;
use crate::transport::proxy_protocol::Version as ProxyVersion;

/// A whole configuration. Two are equal if they mean the same, wherever it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[redis]`, if there is one.
    pub redis: Option<Redis>,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[admin]`
    pub admin: Admin,
    /// `[registry]`, if nodes register here.
    pub registry: Option<Registry>,
    /// `[plugins]`
    pub plugins: Plugins,
    /// `[plugin.NAME]`, and a use for each name that a route or pool mentions without such a table.
    pub uses: BTreeMap<Name, Use>,
    /// `[listener.NAME]`; at least one.
    pub listeners: BTreeMap<Name, Listener>,
    /// `[route.NAME]`, in the order in which they are written; included files stand where they are included: behind.
    pub routes: Vec<Route>,
    /// `[pool.NAME]`
    pub pools: BTreeMap<Name, Pool>,
}

/// What concerns the whole gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// How many threads serve requests.
    pub workers: Workers,
    /// How long requests in flight may take to end when the gateway stops.
    pub drain_timeout: Duration,
    /// How long it says that it stops before it does, if at all.
    pub shutdown_delay: Option<Duration>,
    /// How long another process may take until it can take over.
    pub upgrade_timeout: Duration,
    /// Where the number of its process stands.
    pub pid_file: Option<PathBuf>,
    /// Peers whose X-Forwarded-* and Forwarded fields are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Whether responses say which pool, node, policy and attempt served them (`x-bascule-*`).
    pub debug_headers: bool,
    /// Where the gateway stands, for policies that look at zones.
    pub zone: Option<String>,
    /// How strict requests are read.
    pub strictness: Strictness,
    /// What a client may take.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
}

/// How many threads serve requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    Auto,
    /// This many.
    Count(NonZeroUsize),
}

/// What a client may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of a request's head.
    pub max_head: Size,
    /// Header fields of a request.
    pub max_headers: NonZeroU32,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Between two requests on a connection.
    pub idle_timeout: Duration,
    /// Resident bytes of the process from which on requests are turned away, if any.
    pub memory: Option<Size>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The word, as written in the configuration and taken by log filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The admin API.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Where it listens; not on a loopback address only if there is a token.
    pub address: At<SocketAddr>,
    /// What a caller has to know to change something.
    pub token: Option<Secret>,
}

/// What leads a request to a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name.
    pub name: At<Name>,
    /// The listeners that it belongs to; never empty.
    pub listeners: BTreeSet<Name>,
    /// Whether these pass connections on as they are; then `host` alone tells something.
    pub passes: bool,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; any if empty.
    pub methods: BTreeSet<Method>,
    /// Fields that must be there with exactly this value.
    pub headers: BTreeMap<HeaderName, HeaderValue>,
    /// What sees and edits its requests and responses, in this order.
    pub filters: Vec<At<Name>>,
    /// Where its requests go.
    pub pool: At<Name>,
    /// From a request's last head byte to the response's, over all attempts.
    pub timeout: Duration,
    /// From a request's last head byte to its response's last byte.
    pub total_timeout: Option<Duration>,
    /// The most that a request's body may have, if there is a limit.
    pub max_body: Option<Size>,
    /// The pace of a client that is not too slow, if that is looked at.
    pub min_rate: Option<MinRate>,
}

/// Nodes that serve the same thing, and how one of them is picked.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: At<Name>,
    /// Who picks, in this order; the native round robin stands behind them all.
    pub policy: Vec<At<Name>>,
    /// The nodes that are written down; at least one if no others are found. Each has another address and id.
    pub nodes: Vec<Node>,
    /// Who tells further nodes.
    pub discovery: Option<Discovery>,
    /// What nodes are sent as Host.
    pub host: HostHeader,
    /// What is spoken with them.
    pub protocol: NodeProtocol,
    /// The PROXY header with which a connection to a node begins, if it does.
    pub proxy_protocol: Option<ProxyVersion>,
    /// How they are met, if that is not in the clear.
    pub tls: Option<At<NodeTls>>,
    /// How long a connection to a node may take to be made.
    pub connect_timeout: Duration,
    /// From a request's last byte to the response's first.
    pub first_byte_timeout: Option<Duration>,
    /// From the pick of a node to the end of its response's head.
    pub attempt_timeout: Option<Duration>,
    /// How long a response's body may stand still.
    pub between_bytes_timeout: Duration,
    /// How long nothing may move in a tunnel.
    pub tunnel_timeout: Duration,
    /// Idle connections that each worker keeps to each node.
    pub idle_connections: u32,
    /// How long they are kept.
    pub idle_timeout: Duration,
    /// On how many nodes a request is tried at most.
    pub attempts: NonZeroU32,
    /// After what it is tried again, and how often that may be.
    pub retry: Retry,
    /// How nodes are asked whether they are well, if they are.
    pub health: Option<HealthCheck>,
    /// What traffic has to show of a node to take it out, unless it is "off".
    pub outlier: Option<Outlier>,
    /// If fewer percent of the nodes are healthy, all of them are used.
    pub panic: u32,
    /// How long a node that is new or comes back takes to get its whole share.
    pub slow_start: Option<Duration>,
    /// How many of its requests may be in flight and wait; none if that is not limited.
    pub limits: Option<PoolLimits>,
    /// How long what its nodes report of their load counts, if that is looked at.
    pub load_report_ttl: Option<Duration>,
}

/// What nodes are sent as Host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Keep,
    /// This.
    Name(String),
}

/// One server that answers requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What knows it again when its address changes; by default its address.
    pub id: String,
    /// Where it listens.
    pub address: At<NodeAddress>,
    /// Its share, beside the other nodes' weights; at most [`Node::MAX_WEIGHT`].
    pub weight: NonZeroU32,
    /// Where it stands.
    pub zone: Option<String>,
    /// Later tiers are used as far as earlier ones lack healthy nodes.
    pub tier: u8,
    /// Whether it takes nothing new.
    pub drain: bool,
    /// What policies may know of it.
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// Weights are counted in thousandths, in 32 bits, and added up.
    pub const MAX_WEIGHT: u32 = 100_000;
}
