//! The immutable tables that a request reads: routes, pools, uses of plugins and settings.
//!
//! Control builds a snapshot and publishes it whole; a worker keeps its own copy and takes the next one between
//! requests, so a request sees one state of the world from its head to its last byte. Nothing here does I/O, waits, or
//! changes: what changes while requests run hangs on the nodes. Tables that change at different times are separate
//! `Arc`s, so that publishing one does not copy the others.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::cidr::Cidr;
use crate::http::h1::Edge;
use crate::name::Name;
use crate::node::Node;
use crate::node::candidates::Candidates;
use crate::node::gate::Gate;
use crate::plugin::{Samples, Use};
use crate::transport::dial::NodeProtocol;
use crate::transport::ports::PortId;
use crate::transport::proxy_protocol;
use crate::transport::room::{Door, DoorLimits, Room};
use crate::transport::tls::{Challenges, ClientTls, ServerTls};

mod limits;
pub mod retry;
pub mod routes;

pub use limits::{MinRate, PoolLimits};
use retry::RetryRules;
use routes::RouteTable;

/// Where control puts the newest snapshot and where workers look for it. A worker reads it through
/// `arc_swap::Cache`, which costs one load while nothing changed.
pub type Published = Arc<ArcSwap<Snapshot>>;

/// Everything that a request reads. A clone shares the tables.
#[derive(Clone)]
pub struct Snapshot {
    /// Counts from 1 with each swap of tables; /snapshot and logs name it. Candidates come and go without being counted.
    pub number: u64,
    /// Which route a request takes.
    pub routes: Arc<RouteTable<Route>>,
    /// Every pool, sorted by name; a route knows its pool by its place here.
    pub pools: Arc<[Arc<Pool>]>,
    /// Every use of a plugin, sorted by name; routes and pools know theirs by their places here.
    pub uses: Arc<[Arc<Use>]>,
    /// What concerns the whole gateway.
    pub settings: Arc<Settings>,
    /// Where workers leave heads of requests, to try new versions of plugins on.
    pub samples: Arc<Samples>,
    /// How many clients' connections there are, and whether there is memory for more.
    pub room: Arc<Room>,
    /// Where the gateway accepts, sorted by name; a route knows its listeners by their places here.
    pub listeners: Arc<[ListenerSpec]>,
    /// What proves names to ACME servers; the same in every snapshot.
    pub challenges: Arc<Challenges>,
}

impl Snapshot {
    /// The place of a pool in [`Snapshot::pools`], for a plugin that names one.
    pub fn pool_named(&self, name: &str) -> Option<u32> {
        let found = self.pools.binary_search_by(|pool| pool.name.as_str().cmp(name));
        found.ok().map(|index| index as u32)
    }

    /// The same snapshot with other candidates in some pools; it keeps its number, since no table changed.
    pub fn with_candidates(&self, elected: &[(Name, Arc<Candidates>)]) -> Snapshot {
        let mut pools: Vec<Arc<Pool>> = self.pools.to_vec();
        for (name, candidates) in elected {
            let Some(place) = self.pool_named(name.as_str()) else { continue };
            let pool = &mut pools[place as usize];
            candidates.prepare_like(&pool.candidates);
            *pool = Arc::new(Pool { candidates: Arc::clone(candidates), ..Pool::clone(pool) });
        }
        Snapshot { pools: pools.into(), ..self.clone() }
    }

    /// The snapshot that follows if one pool has other nodes.
    pub fn with_pool(&self, place: u32, pool: Pool) -> Snapshot {
        let mut pools: Vec<Arc<Pool>> = self.pools.to_vec();
        pools[place as usize] = Arc::new(pool);
        Snapshot { number: self.number + 1, pools: pools.into(), ..self.clone() }
    }

    /// A listener, by its sockets.
    pub fn listener(&self, id: PortId) -> Option<&ListenerSpec> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// The place of a listener in [`Snapshot::listeners`], by its sockets.
    pub fn listener_of(&self, id: PortId) -> Option<u16> {
        // There are a few.
        self.listeners.iter().position(|listener| listener.id == id).map(|place| place as u16)
    }
}

/// Where a request that matched goes, and what it passes on its way.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the configuration.
    pub name: Name,
    /// Its place in the configuration's order, from 0: what a worker's metrics are indexed by.
    pub index: u32,
    /// Places in [`Snapshot::uses`], in the order in which a request passes them.
    pub filters: Vec<u32>,
    /// A filter of its that cannot be loaded and whose fault is the request's: it is answered as if that had failed.
    pub broken: Option<Name>,
    /// Place in [`Snapshot::pools`].
    pub pool: u32,
    /// From a request's last head byte to its response's, over all attempts.
    pub timeout: Duration,
    /// From a request's last head byte to its response's last byte.
    pub total_timeout: Option<Duration>,
    /// The most bytes that a request's body may have.
    pub max_body: Option<u64>,
    /// The pace of a client that is not too slow, if that is looked at.
    pub min_rate: Option<MinRate>,
}

/// Nodes that serve the same thing, and who picks one of them.
#[derive(Clone)]
pub struct Pool {
    /// Its name in the configuration.
    pub name: Name,
    /// Places in [`Snapshot::uses`], in the order in which they are asked; the native round robin stands behind them.
    pub policies: Vec<u32>,
    /// What nodes are sent as Host.
    pub host: HostPolicy,
    /// What is spoken with its nodes.
    pub protocol: NodeProtocol,
    /// The PROXY header with which a connection to a node begins. Such a connection is one client's.
    pub proxy_protocol: Option<proxy_protocol::Version>,
    /// How they are met, if that is not in the clear.
    pub tls: Option<Arc<ClientTls>>,
    /// How long a connection to a node may take to be made, its handshake included.
    pub connect_timeout: Duration,
    /// From a request's last byte to its response's first.
    pub first_byte_timeout: Option<Duration>,
    /// From the pick of a node to the last byte of its response's head.
    pub attempt_timeout: Option<Duration>,
    /// How long a response's body may stand still.
    pub between_bytes_timeout: Duration,
    /// How long nothing may move in a tunnel.
    pub tunnel_timeout: Duration,
    /// Idle connections that each worker keeps to each node.
    pub idle_connections: usize,
    /// How long they are kept.
    pub idle_timeout: Duration,
    /// On how many nodes a request is tried at most; at least 1.
    pub attempts: u32,
    /// After what it is tried again.
    pub retry: RetryRules,
    /// How long what its nodes report of their load counts, if that is looked at.
    pub load_report_ttl: Option<Duration>,
    /// How many of its requests may be in flight and wait, if that is limited; counted at its gate.
    pub limits: Option<PoolLimits>,
    /// Shared with the same pool of an earlier snapshot.
    pub gate: Arc<Gate>,
    /// The nodes that may be picked now. Its own `Arc`: health changes it without touching the rest.
    pub candidates: Arc<Candidates>,
    /// Every node, those that the configuration writes down first, whether it may be picked or not.
    pub nodes: Arc<[Arc<Node>]>,
}

/// What nodes are sent as Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// What the client sent.
    Keep,
    /// This, which is a valid field value.
    Name(Box<[u8]>),
}

/// What concerns the whole gateway and may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Peers whose word about the client is believed; ask [`Settings::trusts`].
    pub trusted_proxies: Vec<Cidr>,
    /// Whether responses carry `x-bascule-pool`, `-node`, `-policy` and `-attempt`.
    pub debug_headers: bool,
    /// Where the gateway stands, for policies that look at zones.
    pub zone: Option<Box<str>>,
    /// Most bytes of a request's head.
    pub max_head: usize,
    /// Most header fields of a request.
    pub max_headers: usize,
    /// How strict requests are read.
    pub edge: Edge,
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// Between two requests on a client's connection.
    pub idle_timeout: Duration,
    /// How long requests in flight may take to end when the gateway stops.
    pub drain_timeout: Duration,
    /// How long the gateway says that it stops before it does, if at all.
    pub shutdown_delay: Option<Duration>,
    /// How long another process may take until it can take over.
    pub upgrade_timeout: Duration,
    /// Resident bytes of the process from which on requests are turned away, if any.
    pub memory: Option<u64>,
}

impl Settings {
    /// Whether a peer's X-Forwarded-* and Forwarded fields are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|block| block.contains(peer))
    }
}

/// What picks the route of connections that are passed on as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The name in their TLS greeting.
    ByName,
    /// Nothing: there is one route for all, and nobody waits for a greeting.
    Blindly,
}

/// An address that the gateway accepts on. Its sockets are open when the snapshot is published.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// Its name in the configuration.
    pub name: Name,
    /// Its sockets. If it moves, it has others.
    pub id: PortId,
    /// Where: with the port that the system chose for port 0.
    pub address: SocketAddr,
    /// How many connections it takes.
    pub limits: DoorLimits,
    /// How many there are; shared with the listener of the same name in an earlier snapshot.
    pub door: Arc<Door>,
    /// How its connections are passed on as they are, if they are.
    pub passing: Option<Passing>,
    /// Peers that begin each connection with a PROXY header.
    pub proxy_protocol: Arc<[Cidr]>,
    /// The port under HTTPS where its clients are sent instead of being served, if they are.
    pub redirect: Option<u16>,
    /// How its clients are met, if that is not in the clear.
    pub tls: Option<Arc<ServerTls>>,
    /// How many requests a client may make on one connection.
    pub requests: NonZeroU32,
    /// How many requests at once a client may have on a connection of HTTP/2; none if that is not spoken.
    pub http2_streams: Option<u32>,
}

impl ListenerSpec {
    /// Whether a client can be told that there is no room for it. Under TLS nothing can be told before a handshake, which is what
    /// there is no room for; and what passes through is in words that nobody here knows.
    pub fn can_tell(&self) -> bool {
        self.tls.is_none() && self.passing.is_none()
    }

    /// Whether this peer tells whose its connections are.
    pub fn hears(&self, peer: IpAddr) -> bool {
        self.proxy_protocol.iter().any(|block| block.contains(peer))
    }
}
