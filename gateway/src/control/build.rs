//! From a configuration and its parts to a snapshot: pure, and it cannot fail.
//!
//! All that can be wrong was found before, in `config` and `attempt`. What nodes learned moves over from the snapshot
//! before, by pool and node id. Every node is a candidate here, as if all were well: `health` puts that right.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::addresses::Addresses;
use super::attempt::Prepared;
use super::config::{self, Config, HostHeader};
use super::discovery::Found;
use super::members;
use crate::http::h1::Edge;
use crate::name::Name;
use crate::node::candidates::{Candidate, Candidates};
use crate::node::gate::Gate;
use crate::node::gradient::LimitRange;
use crate::node::{Node, NodeSpec};
use crate::snapshot::retry::{Hedge, RetryRules};
use crate::snapshot::routes::{HostPattern, PathPattern, RouteMatch, RouteTable};
use crate::snapshot::{
    HostPolicy, ListenerSpec, MinRate, Passing, Pool, PoolLimits, Route, Settings, Snapshot,
};
use crate::telemetry::RetryReason;
use crate::transport::ports::Opened;
use crate::transport::room::{DoorLimits, Room};

/// Thousandths in a weight of 1.
const WEIGHT_UNIT: u32 = 1000;

/// The snapshot that follows `earlier`, or the first one. Pools have the nodes that were `found` for them, too.
pub(super) fn snapshot(prepared: &Prepared, found: &Found, earlier: Option<&Snapshot>) -> Snapshot {
    let config = &*prepared.config;
    let there = |name: &Name| !prepared.missing.contains_key(name);
    let mentioned = config.uses.iter().filter(|(_, used)| used.mentioned).map(|(name, _)| name);
    let uses = places(mentioned.filter(|name| there(name)));
    let pools = places(config.pools.keys());
    let listeners = places(config.listeners.keys());
    let speak_http = config.listeners.values().filter(|listener| !listener.passes()).count();
    // A filter that is not there fails like one that faults.
    let is_fatal = |name: &Name| !there(name) && config.uses[name].on_fault == config::OnFault::Fail;
    let routes = (0..).zip(&config.routes).map(|(index, route)| {
        let leads_to = Route {
            name: route.name.value.clone(),
            index,
            filters: places_of(&route.filters, &uses),
            broken: route.filters.iter().map(|name| &name.value).find(|name| is_fatal(name)).cloned(),
            pool: pools[&route.pool.value],
            timeout: route.timeout,
            total_timeout: route.total_timeout,
            max_body: route.max_body.map(config::Size::get),
            min_rate: route.min_rate.map(|rate| MinRate { bytes: rate.bytes.get(), per: rate.per }),
        };
        (route_match(route, &listeners, speak_http), leads_to)
    });
    let routes = RouteTable::new(routes.collect()).expect("the configuration refuses two identical routes");
    let pool = |pool: &config::Pool| {
        let earlier = earlier.and_then(|earlier| {
            let place = earlier.pool_named(pool.name.as_str())?;
            earlier.pools.get(place as usize)
        });
        let found = found.get(&pool.name.value).map_or(&[][..], |found| found);
        let nodes = members::all(pool, &prepared.addresses, found);
        Arc::new(build_pool(pool, &uses, nodes, prepared, earlier.map(|pool| &**pool)))
    };
    Snapshot {
        number: earlier.map_or(1, |earlier| earlier.number + 1),
        routes: Arc::new(routes),
        pools: config.pools.values().map(pool).collect(),
        uses: prepared.uses.clone().into(),
        settings: Arc::new(settings(&config.gateway)),
        samples: Arc::clone(&prepared.samples),
        challenges: Arc::clone(&prepared.secured.challenges),
        room: earlier.map_or_else(Arc::<Room>::default, |earlier| Arc::clone(&earlier.room)),
        listeners: prepared
            .listening
            .iter()
            .map(|(name, opened)| listener(&config.listeners[name], *opened, prepared, earlier))
            .collect(),
    }
}

/// Each name's place in its table.
fn places<'a>(names: impl Iterator<Item = &'a Name>) -> BTreeMap<Name, u32> {
    names.cloned().zip(0..).collect()
}

/// The places of those that there are: a policy that cannot be loaded gives way like one that faults.
fn places_of(names: &[config::At<Name>], uses: &BTreeMap<Name, u32>) -> Vec<u32> {
    names.iter().filter_map(|name| uses.get(&name.value).copied()).collect()
}

fn listener(
    listener: &config::Listener,
    opened: Opened,
    prepared: &Prepared,
    earlier: Option<&Snapshot>,
) -> ListenerSpec {
    let name = &listener.name.value;
    let same = earlier.and_then(|earlier| earlier.listeners.iter().find(|same| same.name == *name));
    ListenerSpec {
        name: name.clone(),
        id: opened.id,
        address: opened.address,
        limits: DoorLimits {
            connections: listener.connections.map(NonZeroU32::get),
            per_client: listener.connections_per_client.map(NonZeroU32::get),
        },
        door: same.map(|same| Arc::clone(&same.door)).unwrap_or_default(),
        requests: listener.requests_per_connection,
        passing: listener.passes().then(|| passing(name, &prepared.config)),
        proxy_protocol: listener.proxy_protocol.clone().into(),
        http2_streams: listener.http2_streams,
        redirect: listener.redirect.map(|redirect| redirect.port),
        tls: prepared.secured.listeners.get(name).cloned(),
    }
}

fn settings(gateway: &config::Gateway) -> Settings {
    Settings {
        trusted_proxies: gateway.trusted_proxies.clone(),
        debug_headers: gateway.debug_headers,
        zone: gateway.zone.as_deref().map(Into::into),
        max_head: usize::try_from(gateway.limits.max_head.get()).unwrap_or(usize::MAX),
        max_headers: gateway.limits.max_headers.get() as usize,
        edge: Edge {
            normalize_path: gateway.strictness.normalize_path,
            keep_escaped_slashes: gateway.strictness.escaped_slashes == config::EscapedSlashes::Keep,
            keep_underscores: gateway.strictness.underscores == config::Underscores::Keep,
        },
        head_timeout: gateway.limits.head_timeout,
        idle_timeout: gateway.limits.idle_timeout,
        drain_timeout: gateway.drain_timeout,
        shutdown_delay: gateway.shutdown_delay,
        upgrade_timeout: gateway.upgrade_timeout,
        memory: gateway.limits.memory.map(config::Size::get),
    }
}

/// Whether anything has to be known of a listener's connections to pick their route.
fn passing(listener: &Name, config: &Config) -> Passing {
    let mut routes = config.routes.iter().filter(|route| route.listeners.contains(listener));
    if routes.all(|route| route.host == config::HostPattern::Any) {
        Passing::Blindly
    } else {
        Passing::ByName
    }
}

/// A route that is for all listeners names none of them, but for those that are passed on as they are.
fn route_match(route: &config::Route, listeners: &BTreeMap<Name, u32>, speak_http: usize) -> RouteMatch {
    let all = !route.passes && route.listeners.len() == speak_http;
    RouteMatch {
        listeners: (!all).then(|| route.listeners.iter().map(|name| listeners[name] as u16).collect()),
        host: match &route.host {
            config::HostPattern::Any => HostPattern::Any,
            config::HostPattern::Exact(host) => HostPattern::Exact(host.as_str().into()),
            config::HostPattern::Wildcard(host) => HostPattern::Suffix(host.as_str().into()),
        },
        path: match &route.path {
            config::PathPattern::Prefix(path) => PathPattern::Prefix(path.as_str().into()),
            config::PathPattern::Exact(path) => PathPattern::Exact(path.as_str().into()),
        },
        methods: route.methods.iter().map(|method| method.as_str().into()).collect(),
        headers: route
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
    }
}

/// The snapshot that follows if other nodes were found for one pool; none if it has no such pool.
pub(super) fn with_found(
    earlier: &Snapshot,
    prepared: &Prepared,
    name: &Name,
    found: &[NodeSpec],
) -> Option<Snapshot> {
    let (place, pool) = (earlier.pool_named(name.as_str())?, prepared.config.pools.get(name)?);
    let before = &earlier.pools[place as usize];
    let (nodes, candidates) = build_nodes(members::all(pool, &prepared.addresses, found), Some(before));
    Some(earlier.with_pool(place, Pool { nodes, candidates: Arc::new(candidates), ..Pool::clone(before) }))
}

/// The nodes, with what was learned of those that there were before, as candidates one and all.
fn build_nodes(specs: Vec<NodeSpec>, earlier: Option<&Pool>) -> (Arc<[Arc<Node>]>, Candidates) {
    let known: HashMap<&str, &Arc<Node>> =
        earlier.iter().flat_map(|pool| pool.nodes.iter()).map(|node| (&*node.spec.id, node)).collect();
    let node = |spec: NodeSpec| match known.get(&*spec.id) {
        Some(same) if same.spec == spec => Arc::clone(same),
        Some(same) => Node::with_live_of(spec, same),
        None => Node::new(spec),
    };
    let nodes: Arc<[Arc<Node>]> = specs.into_iter().map(node).collect();
    let candidates = candidates(&nodes);
    if let Some(earlier) = earlier {
        candidates.prepare_like(&earlier.candidates);
    }
    (nodes, candidates)
}

fn build_pool(
    pool: &config::Pool,
    uses: &BTreeMap<Name, u32>,
    nodes: Vec<NodeSpec>,
    prepared: &Prepared,
    earlier: Option<&Pool>,
) -> Pool {
    let (nodes, candidates) = build_nodes(nodes, earlier);
    Pool {
        name: pool.name.value.clone(),
        policies: places_of(&pool.policy, uses),
        host: match &pool.host {
            HostHeader::Keep => HostPolicy::Keep,
            HostHeader::Name(host) => HostPolicy::Name(host.as_bytes().into()),
        },
        protocol: pool.protocol,
        tls: prepared.secured.pools.get(&pool.name.value).cloned(),
        proxy_protocol: pool.proxy_protocol,
        connect_timeout: pool.connect_timeout,
        first_byte_timeout: pool.first_byte_timeout,
        attempt_timeout: pool.attempt_timeout,
        between_bytes_timeout: pool.between_bytes_timeout,
        tunnel_timeout: pool.tunnel_timeout,
        idle_connections: pool.idle_connections as usize,
        idle_timeout: pool.idle_timeout,
        attempts: pool.attempts.get(),
        retry: retry_rules(&pool.retry),
        load_report_ttl: pool.load_report_ttl,
        limits: pool.limits.as_ref().map(limits),
        gate: earlier.map_or_else(Arc::<Gate>::default, |earlier| Arc::clone(&earlier.gate)),
        candidates: Arc::new(candidates),
        nodes,
    }
}

fn retry_rules(retry: &config::Retry) -> RetryRules {
    let reason = |on: &config::RetryOn| match on {
        config::RetryOn::Connect => Some(RetryReason::Connect),
        config::RetryOn::Reset => Some(RetryReason::Reset),
        config::RetryOn::Timeout => Some(RetryReason::Timeout),
        config::RetryOn::Malformed => Some(RetryReason::Malformed),
        config::RetryOn::Status(..) => None,
    };
    let hedge = |after: config::HedgeAfter| match after {
        config::HedgeAfter::Time(after) => Hedge::After(after),
        config::HedgeAfter::Percentile(thousandths) => Hedge::Percentile(thousandths),
    };
    RetryRules {
        on: retry.on.iter().filter_map(reason).collect(),
        statuses: retry.on.iter().filter_map(|on| on.statuses()).collect(),
        budget: retry.budget,
        floor: retry.floor,
        buffer: retry.buffer.get(),
        hedge: retry.hedge.map(hedge),
    }
}

fn limits(limits: &config::PoolLimits) -> PoolLimits {
    let range = |range: config::AdaptiveRange| LimitRange { min: range.min.get(), max: range.max.get() };
    PoolLimits {
        in_flight: limits.in_flight.map_or(u32::MAX, NonZeroU32::get),
        per_node: limits.in_flight_per_node.map(NonZeroU32::get),
        adaptive: limits.adaptive.map(range),
        queue: limits.queue,
        queue_timeout: limits.queue_timeout,
    }
}

fn candidates(nodes: &[Arc<Node>]) -> Candidates {
    let eligible = nodes.iter().map(|node| Candidate {
        node: Arc::clone(node),
        weight: node.spec.weight.get().saturating_mul(WEIGHT_UNIT),
    });
    Candidates::new(eligible.collect(), Vec::new())
}

/// Each pool's candidates as copies without load, which nobody else sees.
pub(super) fn copies<'a>(config: &'a Config, addresses: &Addresses) -> BTreeMap<&'a str, Arc<Candidates>> {
    let copy = |pool: &config::Pool| {
        let nodes: Vec<_> = pool.nodes.iter().map(|node| Node::new(members::spec(node, addresses))).collect();
        Arc::new(candidates(&nodes))
    };
    config.pools.iter().map(|(name, pool)| (name.as_str(), copy(pool))).collect()
}
