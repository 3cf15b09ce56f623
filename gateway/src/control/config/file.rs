//! The TOML, mirrored: every table with its keys and what their values are. No logic, no defaults.

use std::net::SocketAddr;
use std::time::Duration;

use super::reading::{
    Fields, Item, Key, List, Named, Number, OneOrMany, OrOff, Reading, Texts, Value, bare, table,
};
use super::resolved::AcmeChallenge;
use super::resolved::{
    CheckStart, ClientCertificate, Grant, HedgeAfter, HostHeader, ListenerProtocol, LogFormat, LogLevel,
    OnFault, Quarantine, Redirect, RetryOn, TlsVersion, UnknownName, Workers,
};
use super::resolved::{EscapedSlashes, Underscores};
use super::resolved::{FailMode, SharedScope};
use super::secret::{PluginConfig, Secret};
use super::text::{AcmeContact, AcmeDirectory, AcmeName};
use super::text::{
    DnsName, HeaderName, HeaderValue, HostPattern, Method, NodeAddress, Origin, Patience, Size,
};
use super::text::{PluginFile, RedisUrl, RoutePath, Sha256, Word};
use super::value::{
    AdaptiveWish, AnyPath, CheckType, Folder, LeaseWord, NodeEntry, ProviderWord, RecordWord, StatusRange,
};
use super::value::{RedisModeWord, StoreWord};
use crate::cidr::Cidr;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;
use crate::transport::proxy_protocol::Version as ProxyVersion;

table! { "the configuration" File {
    include: List<String>,
    gateway: Gateway,
    redis: Redis,
    sessions: Sessions,
    admin: Admin,
    registry: Registry,
    plugins: Plugins,
    plugin: Named<Use>,
    listener: Named<Listener>,
    route: Named<Route>,
    pool: Named<Pool>,
    defaults: Defaults,
} }

table! { "the gateway" Gateway {
    workers: Workers,
    drain_timeout: Duration,
    shutdown_delay: Duration,
    upgrade_timeout: Duration,
    pid_file: Folder,
    trusted_proxies: List<Cidr>,
    debug_headers: bool,
    zone: Word,
    normalize_path: bool,
    escaped_slashes: EscapedSlashes,
    underscores: Underscores,
    limits: Limits,
    log: Log,
} }

table! { "the gateway's limits" Limits {
    max_head: Size,
    max_headers: Number<1, 128>,
    head_timeout: Duration,
    idle_timeout: Duration,
    memory: Size,
} }

table! { "the log" Log {
    format: LogFormat,
    level: LogLevel,
} }

table! { "Redis" Redis {
    servers: List<RedisUrl>,
    mode: RedisModeWord,
    master: Word,
    user: Word,
    password: Secret,
    prefix: Word,
    timeout: Duration,
    tls: ClientTls,
} }

table! { "the sessions" Sessions {
    store: StoreWord,
    capacity: Number<1, 1_000_000_000>,
    fail_mode: FailMode,
    near_cache: Duration,
    keys: List<Secret>,
} }

table! { "the admin API" Admin {
    address: SocketAddr,
    token: Secret,
} }

table! { "the registry" Registry {
    address: SocketAddr,
    token: Secret,
    store: LeaseWord,
    etcd: LeaseEtcd,
    max_nodes: Number<1, 10_000>,
} }

table! { "the registry's etcd" LeaseEtcd {
    endpoints: List<Origin>,
    prefix: Word,
    user: Word,
    password: Secret,
    tls: ClientTls,
} }

table! { "the plugins" Plugins {
    directory: Folder,
    state_directory: Folder,
    probation: Duration,
    replay: Number<0, 1_000>,
} }

table! { "a plugin" Use {
    file: PluginFile,
    on_fault: OnFault,
    quarantine: Quarantine,
    grants: List<Grant>,
    limits: UseLimits,
    config: PluginConfig,
    sha256: Sha256,
    shared: SharedScope,
} }

table! { "a plugin's limits" UseLimits {
    memory: Size,
    deadline: Duration,
    start: Duration,
    instances: Number<1, 1_000>,
    table_elements: Number<1, 10_000_000>,
    import_bytes: Size,
    recycle_calls: Number<1, 4_000_000_000>,
    recycle_memory: Size,
} }

table! { "a quarantine" QuarantineAfter {
    faults: Number<1, 10_000>,
    window: Duration,
} }

table! { "a listener" Listener {
    address: SocketAddr,
    protocol: ListenerProtocol,
    connections: Number<1, 10_000_000>,
    connections_per_client: Number<1, 1_000_000>,
    requests_per_connection: Number<1, 1_000_000_000>,
    proxy_protocol: List<Cidr>,
    redirect: Redirect,
    http2: bool,
    http2_streams: Number<1, 10_000>,
    tls: ListenerTls,
} }

table! { "a listener's `tls`" ListenerTls {
    certificates: OneOrMany<CertificateFiles>,
    unknown_name: UnknownName,
    min_version: TlsVersion,
    client_ca: Folder,
    client_certificate: ClientCertificate,
    client_certificate_field: bool,
    handshake_timeout: Duration,
    hsts: Duration,
    acme: Acme,
} }

table! { "a listener's `acme`" Acme {
    names: OneOrMany<AcmeName>,
    directory: AcmeDirectory,
    contact: OneOrMany<AcmeContact>,
    ca: Folder,
    challenge: AcmeChallenge,
} }

table! { "a certificate" CertificateFiles {
    certificate: Folder,
    key: Folder,
    ocsp: Folder,
} }

table! { "a route" Route {
    listeners: List<Name>,
    host: HostPattern,
    path: RoutePath,
    path_exact: RoutePath,
    methods: List<Method>,
    headers: Texts<HeaderName, HeaderValue>,
    filters: OneOrMany<Name>,
    pool: Name,
    timeout: Duration,
    total_timeout: Duration,
    max_body: Size,
    min_rate: OrOff<MinRate>,
} }

table! { "a `min_rate`" MinRate {
    bytes: Size,
    per: Duration,
} }

table! { "a pool" Pool {
    policy: OneOrMany<Name>,
    nodes: List<NodeEntry>,
    discovery: Discovery,
    host: HostHeader,
    protocol: NodeProtocol,
    proxy_protocol: ProxyVersion,
    tls: NodeTls,
    connect_timeout: Duration,
    first_byte_timeout: Duration,
    attempt_timeout: Duration,
    between_bytes_timeout: Duration,
    tunnel_timeout: Duration,
    idle_connections: Number<0, 100_000>,
    idle_timeout: Duration,
    attempts: Number<1, 100>,
    retry: Retry,
    health: OrOff<HealthCheck>,
    outlier: OrOff<Outlier>,
    panic: Number<0, 100>,
    slow_start: OrOff<Duration>,
    limits: PoolLimits,
    load_reports: bool,
    load_report_ttl: Duration,
} }

table! { "a pool's `tls`" NodeTls {
    ca: Folder,
    server_name: Word,
    certificate: Folder,
    key: Folder,
} }

table! { "a pool's `retry`" Retry {
    on: List<RetryOn>,
    budget: Number<0, 100>,
    floor: Number<0, 1_000_000>,
    buffer: Size,
    hedge: HedgeAfter,
} }

table! { "a health check" HealthCheck {
    r#type: CheckType,
    path: RoutePath,
    host: HostHeader,
    service: Word,
    status: OneOrMany<StatusRange>,
    interval: Duration,
    timeout: Duration,
    healthy: Number<1, 100>,
    unhealthy: Number<1, 100>,
    jitter: Number<0, 50>,
    start: CheckStart,
} }

table! { "the detection of outliers" Outlier {
    connect_failures: OrOff<Number<1, 1_000>>,
    failures: OrOff<Number<1, 1_000>>,
    success_rate: OrOff<Number<1, 100>>,
    latency: OrOff<Number<2, 1_000>>,
    silence: OrOff<Duration>,
    ejection: Duration,
    max_ejection: Duration,
    max_ejected: Number<0, 100>,
} }

table! { "a pool's limits" PoolLimits {
    in_flight: Number<1, 1_000_000>,
    in_flight_per_node: Number<1, 1_000_000>,
    queue: Number<0, 1_000_000>,
    queue_timeout: Duration,
    adaptive: AdaptiveWish,
} }

table! { "an adaptive limit" AdaptiveRange {
    min: Number<1, 1_000_000>,
    max: Number<1, 1_000_000>,
} }

table! { "a node" Node {
    id: Word,
    address: NodeAddress,
    weight: Number<1, 100_000>,
    zone: Word,
    tier: Number<0, 9>,
    drain: bool,
    labels: Texts<Word, Word>,
} }

table! {
    /// The keys of all providers; `parse` tells which belong to which.
    "a pool's `discovery`" Discovery {
        provider: ProviderWord,
        empty: Patience,
        path: AnyPath,
        name: DnsName,
        record: RecordWord,
        port: Number<1, 65_535>,
        servers: List<NodeAddress>,
        min_ttl: Duration,
        max_ttl: Duration,
        address: Origin,
        service: Word,
        tags: List<Word>,
        datacenter: Word,
        token: Secret,
        endpoints: List<Origin>,
        prefix: Word,
        user: Word,
        password: Secret,
        tls: ClientTls,
    }
}

table! { "the TLS of a client" ClientTls {
    ca: Folder,
    certificate: Folder,
    key: Folder,
} }

table! { "the defaults" Defaults {
    route: RouteDefaults,
    pool: PoolDefaults,
} }

table! {
    /// What routes have in common; not what tells them apart.
    "the defaults of routes" RouteDefaults {
        listeners: List<Name>,
        host: HostPattern,
        methods: List<Method>,
        headers: Texts<HeaderName, HeaderValue>,
        filters: OneOrMany<Name>,
        pool: Name,
        timeout: Duration,
        total_timeout: Duration,
        max_body: Size,
        min_rate: OrOff<MinRate>,
    }
}

table! {
    /// What pools have in common; not their nodes.
    "the defaults of pools" PoolDefaults {
        policy: OneOrMany<Name>,
        host: HostHeader,
        protocol: NodeProtocol,
        proxy_protocol: ProxyVersion,
        tls: NodeTls,
        connect_timeout: Duration,
        first_byte_timeout: Duration,
        attempt_timeout: Duration,
        between_bytes_timeout: Duration,
        tunnel_timeout: Duration,
        idle_connections: Number<0, 100_000>,
        idle_timeout: Duration,
        attempts: Number<1, 100>,
        retry: Retry,
        health: OrOff<HealthCheck>,
        outlier: OrOff<Outlier>,
        panic: Number<0, 100>,
        slow_start: OrOff<Duration>,
        limits: PoolLimits,
        load_reports: bool,
        load_report_ttl: Duration,
    }
}
