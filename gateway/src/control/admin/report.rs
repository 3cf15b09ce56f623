//! /snapshot: the tables that requests read, each node's live state, and each plugin with its last outcome, as JSON.
//!
//! The names of its fields are an interface: tools read them. Times are Unix seconds. It shows no plugin's
//! configuration, which may hold secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::attempts::AttemptsRow;
use super::certificates::TlsRow;
use super::discovery::DiscoveryRow;
use super::limits::{ConnectionsRow, LimitsRow};
use super::metrics::unix;
use super::stores::StoresRow;
use super::{Admin, Phase};
use crate::control::certificates::FilesOutcome;
use crate::control::discovery::Facts;
use crate::control::health::{Health, NodeHealth};
use crate::control::registry::RegistryRow;
use crate::control::status::{FileOutcomes, Outcomes};
use crate::control::writer::lock;
use crate::name::Name;
use crate::node::Node;
use crate::plugin::{Cap, FaultKind, QuarantineState, Role, Start, Use, Version, Worn};
use crate::snapshot::{ListenerSpec, Pool, Route, Snapshot};

#[derive(Serialize)]
struct Report<'a> {
    number: u64,
    phase: &'static str,
    version: &'static str,
    pid: u32,
    started: f64,
    upgrade: Upgrade<'a>,
    configuration: Configuration<'a>,
    connections: ConnectionsRow,
    /// What the front door refused, by kind; kinds that it never met are left out.
    refused: BTreeMap<&'static str, u64>,
    /// Where nodes register, if they do.
    registry: Option<RegistryRow>,
    listeners: Vec<Listener<'a>>,
    routes: Vec<RouteRow<'a>>,
    pools: Vec<PoolRow<'a>>,
    plugins: Vec<PluginRow<'a>>,
    unavailable: Vec<UnavailableRow<'a>>,
    stores: StoresRow,
}

/// What became of attempts to let another process take over. If one does, it is the one that answers.
#[derive(Serialize)]
struct Upgrade<'a> {
    failed: u64,
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct Configuration<'a> {
    applied: Option<f64>,
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
pub(super) struct Failure<'a> {
    pub(super) at: f64,
    pub(super) text: &'a str,
}

#[derive(Serialize)]
struct Listener<'a> {
    name: &'a Name,
    address: String,
    open: u32,
    connections: Option<u32>,
    connections_per_client: Option<u32>,
    requests_per_connection: u32,
    /// What is done with its connections.
    protocol: &'static str,
    /// Who begins with a PROXY header.
    proxy_protocol: Vec<String>,
    /// How its clients are met, if that is not in the clear.
    tls: Option<TlsRow<'a>>,
}

#[derive(Serialize)]
struct RouteRow<'a> {
    name: &'a Name,
    pool: &'a str,
    filters: Vec<&'a str>,
    timeout_ms: u128,
    total_timeout_ms: Option<u128>,
    max_body: Option<u64>,
    /// None if clients may be as slow as they like.
    min_rate: Option<MinRateRow>,
}

/// The pace of a client that is not too slow.
#[derive(Serialize)]
struct MinRateRow {
    bytes: u64,
    per_ms: u128,
}

#[derive(Serialize)]
struct PoolRow<'a> {
    name: &'a Name,
    policy: Vec<&'a str>,
    /// What is spoken with its nodes.
    protocol: &'static str,
    /// The version of the PROXY header with which a connection to a node begins.
    proxy_protocol: Option<&'static str>,
    candidates: usize,
    /// Whether nodes that are not healthy are used, since too few are.
    panic: bool,
    #[serde(flatten)]
    attempts: AttemptsRow,
    limits: Option<LimitsRow>,
    discovery: Option<DiscoveryRow>,
    /// How its nodes are met, if that is not in the clear.
    tls: Option<TlsRow<'a>>,
    nodes: Vec<NodeRow<'a>>,
}

#[derive(Serialize)]
struct NodeRow<'a> {
    id: &'a str,
    address: String,
    weight: u32,
    zone: Option<&'a str>,
    tier: u8,
    labels: BTreeMap<&'a str, &'a str>,
    /// Whether it may be picked now.
    candidate: bool,
    #[serde(flatten)]
    health: Option<NodeHealth>,
    in_flight: u32,
    /// Of those in flight.
    tunnels: u32,
    latency_us: u32,
    /// Of its recent attempts, in thousandths.
    error_rate: u32,
    oldest_us: u32,
    attempts: u64,
    failures: u64,
    /// What plugins and the node itself say of it.
    signals: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct PluginRow<'a> {
    r#use: &'a str,
    file: Option<&'a str>,
    version: String,
    roles: Vec<&'static str>,
    /// `synchronous`, or `waiting` if it imports what may have to wait.
    lane: &'static str,
    generation: u64,
    calls: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    /// Bounds that held, and how often; those that never did are left out.
    capped: BTreeMap<&'static str, u64>,
    starts: BTreeMap<&'static str, u64>,
    recycled: BTreeMap<&'static str, u64>,
    /// Calls that waited and that nobody waited for.
    abandoned: u64,
    quarantine: QuarantineRow,
    last: Option<LastOutcome<'a>>,
    replay: Option<ReplayRow>,
    /// The only version that may serve.
    pinned: Option<String>,
    /// Whether it may still be rolled back by itself.
    on_probation: bool,
}

/// What came of playing recent requests to this version and to the one before, for all uses of the file.
#[derive(Serialize)]
struct ReplayRow {
    requests: u32,
    /// Those on which the two decided otherwise.
    differ: u32,
    /// Those on which only this version faulted.
    faults: u32,
}

/// A use that cannot be loaded at all.
#[derive(Serialize)]
struct UnavailableRow<'a> {
    r#use: &'a Name,
    file: Option<&'a str>,
    why: &'a str,
}

#[derive(Serialize)]
struct QuarantineRow {
    state: &'static str,
    /// Those that are not played, or only tried; all if `lifecycle` is among them.
    roles: Vec<&'static str>,
    since: Option<f64>,
    last_fault: Option<&'static str>,
    /// Faults of this version and configuration.
    faults: u64,
    /// Calls that were not made.
    withheld: u64,
}

#[derive(Serialize)]
struct LastOutcome<'a> {
    outcome: &'static str,
    at: f64,
    /// The version that it is about.
    version: Option<String>,
    why: Option<&'a str>,
}

/// The whole report.
pub(super) fn json(admin: &Admin) -> String {
    let snapshot = admin.published.load_full();
    let outcomes = admin.status.read();
    let files = &outcomes.certificates.pools;
    let known = Known { health: &lock(&admin.health), discovery: admin.board.read(), files };
    let now = Instant::now();
    let report = Report {
        number: snapshot.number,
        phase: match admin.phase.get() {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        },
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        started: unix(admin.telemetry.started()),
        upgrade: Upgrade {
            failed: outcomes.upgrades_failed,
            error: outcomes.upgrade_error.as_ref().map(|(at, text)| Failure { at: unix(*at), text }),
        },
        configuration: Configuration {
            applied: outcomes.applied_at.map(unix),
            error: outcomes.error.as_ref().map(|(at, text)| Failure { at: unix(*at), text }),
        },
        connections: ConnectionsRow::of(&snapshot.room),
        refused: admin.telemetry.refused(),
        registry: admin.registry.as_ref().map(|registry| registry.row()),
        listeners: snapshot.listeners.iter().map(|spec| listener(spec, &outcomes)).collect(),
        routes: snapshot.routes.iter().map(|(_, route)| route_row(&snapshot, route)).collect(),
        pools: snapshot.pools.iter().map(|pool| pool_row(&snapshot, pool, &known, now)).collect(),
        plugins: snapshot.uses.iter().map(|used| plugin_row(used, &outcomes)).collect(),
        unavailable: outcomes
            .unavailable
            .iter()
            .map(|(name, why)| unavailable_row(name, why, &outcomes))
            .collect(),
        stores: StoresRow::of(&admin.services),
    };
    serde_json::to_string_pretty(&report).expect("names are strings and numbers are finite")
}

fn listener<'a>(listener: &'a ListenerSpec, outcomes: &'a Outcomes) -> Listener<'a> {
    let files = outcomes.certificates.listeners.get(&listener.name);
    let acme = outcomes.acme.get(&listener.name);
    Listener {
        name: &listener.name,
        address: listener.address.to_string(),
        open: listener.door.open(),
        connections: listener.limits.connections,
        connections_per_client: listener.limits.per_client,
        requests_per_connection: listener.requests.get(),
        protocol: if listener.passing.is_some() { "tcp" } else { "http" },
        proxy_protocol: listener.proxy_protocol.iter().map(ToString::to_string).collect(),
        tls: listener.tls.as_ref().map(|tls| TlsRow::of(&tls.certificates, files, acme)),
    }
}

fn route_row<'a>(snapshot: &'a Snapshot, route: &'a Route) -> RouteRow<'a> {
    RouteRow {
        name: &route.name,
        pool: snapshot.pools[route.pool as usize].name.as_str(),
        filters: names_of(snapshot, &route.filters),
        timeout_ms: route.timeout.as_millis(),
        total_timeout_ms: route.total_timeout.map(|limit| limit.as_millis()),
        max_body: route.max_body,
        min_rate: route.min_rate.map(|rate| MinRateRow { bytes: rate.bytes, per_ms: rate.per.as_millis() }),
    }
}

fn names_of<'a>(snapshot: &'a Snapshot, uses: &[u32]) -> Vec<&'a str> {
    uses.iter().map(|used| &*snapshot.uses[*used as usize].spec.name).collect()
}

/// What control knows of pools beside the snapshot.
struct Known<'a> {
    health: &'a Health,
    discovery: BTreeMap<Name, Facts>,
    /// What became of the files of pools' certificates.
    files: &'a BTreeMap<Name, FilesOutcome>,
}

fn pool_row<'a>(snapshot: &'a Snapshot, pool: &'a Pool, known: &Known<'a>, now: Instant) -> PoolRow<'a> {
    let mut healths = known.health.nodes(&pool.name, now).into_iter();
    PoolRow {
        name: &pool.name,
        policy: names_of(snapshot, &pool.policies),
        protocol: pool.protocol.as_str(),
        proxy_protocol: pool.proxy_protocol.map(|version| version.as_str()),
        candidates: pool.candidates.count(),
        panic: known.health.panic(&pool.name).0,
        attempts: AttemptsRow::of(pool),
        limits: LimitsRow::of(pool),
        discovery: known.discovery.get(&pool.name).map(|facts| DiscoveryRow::of(facts, now)),
        tls: pool.tls.as_ref().map(|tls| TlsRow::of(tls.shown.as_slice(), known.files.get(&pool.name), None)),
        nodes: pool.nodes.iter().map(|node| node_row(pool, node, healths.next(), now)).collect(),
    }
}

fn node_row<'a>(pool: &Pool, node: &'a Arc<Node>, health: Option<NodeHealth>, now: Instant) -> NodeRow<'a> {
    let place = pool.candidates.find(&node.spec.id);
    NodeRow {
        id: &node.spec.id,
        address: node.spec.address.to_string(),
        weight: node.spec.weight.get(),
        zone: node.spec.zone.as_deref(),
        tier: node.spec.tier,
        labels: node.spec.labels.iter().map(|(name, value)| (&**name, &**value)).collect(),
        candidate: place.is_some_and(|place| (place as usize) < pool.candidates.count()),
        health,
        in_flight: node.live.in_flight(),
        tunnels: node.live.tunnels(),
        latency_us: node.live.latency(now),
        error_rate: node.live.error_rate(now),
        oldest_us: node.live.oldest(now),
        attempts: node.live.attempts(),
        failures: node.live.failures(),
        signals: node.live.signals(now),
    }
}

fn plugin_row<'a>(used: &'a Use, outcomes: &'a Outcomes) -> PluginRow<'a> {
    let config = outcomes.config.as_ref().and_then(|config| config.uses.get(&*used.spec.name));
    let file = config.map(|config| config.file.as_str());
    let of_file = file.and_then(|file| outcomes.files.get(file));
    let roles = used.module.roles;
    let of_kind = |kind| Role::ALL.into_iter().map(|role| used.stats.faults(role, kind)).sum();
    PluginRow {
        r#use: &used.spec.name,
        file,
        version: used.module.version.to_string(),
        roles: roles.iter().map(Role::name).collect(),
        lane: used.lane.name(),
        generation: used.generation,
        calls: roles.iter().map(|role| (role.name(), used.stats.calls(role))).collect(),
        faults: FaultKind::ALL.into_iter().map(|kind| (kind.name(), of_kind(kind))).collect(),
        capped: {
            let all = Cap::ALL.into_iter().map(|cap| (cap.name(), used.stats.capped(cap)));
            all.filter(|(_, count)| *count > 0).collect()
        },
        starts: Start::ALL.into_iter().map(|start| (start.name(), used.stats.starts(start))).collect(),
        recycled: Worn::ALL.into_iter().map(|worn| (worn.name(), used.stats.recycled(worn))).collect(),
        abandoned: used.stats.abandoned(),
        quarantine: quarantine_row(used),
        last: of_file.and_then(last_outcome),
        replay: of_file.and_then(|file| replay_row(file, used.module.version)),
        pinned: of_file.and_then(|file| file.pin).map(|pin| pin.to_string()),
        on_probation: of_file.is_some_and(|file| file.on_probation),
    }
}

fn quarantine_row(used: &Use) -> QuarantineRow {
    let state = used.quarantine();
    let (since, last_fault) = match state {
        QuarantineState::Open { since, last_kind, .. } => (Some(unix(since)), Some(last_kind.name())),
        _ => (None, None),
    };
    QuarantineRow {
        state: state.name(),
        roles: used.quarantined_roles().map(Role::name).collect(),
        since,
        last_fault,
        faults: used.faults_since_start(),
        withheld: used.stats.withheld(),
    }
}

fn replay_row(file: &FileOutcomes, version: Version) -> Option<ReplayRow> {
    let (_, replay) = file.replay.filter(|(of, _)| *of == version)?;
    Some(ReplayRow { requests: replay.requests, differ: replay.differ, faults: replay.faults })
}

fn unavailable_row<'a>(name: &'a Name, why: &'a str, outcomes: &'a Outcomes) -> UnavailableRow<'a> {
    let config = outcomes.config.as_ref().and_then(|config| config.uses.get(name));
    UnavailableRow { r#use: name, file: config.map(|config| config.file.as_str()), why }
}

fn last_outcome(file: &FileOutcomes) -> Option<LastOutcome<'_>> {
    let (at, outcome) = file.last.as_ref()?;
    let version = outcome.version().map(|version| version.to_string());
    Some(LastOutcome { outcome: outcome.as_str(), at: unix(*at), version, why: outcome.why() })
}
