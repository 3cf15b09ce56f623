//! Pools and their nodes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::health::unless_off;
use super::{Parse, Tables, number};
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Entry, Key, List, OneOrMany, Texts};
use crate::control::config::resolved::{Discovery, HealthCheck, HostHeader, Node, Outlier, Pool};
use crate::control::config::value::NodeEntry;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;

/// People leave chats open while they do other things, and expect them to be there still; whoever has lost the connection has
/// tried again by then. HAProxy's manual has the same for `timeout tunnel`.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(3600);

/// How many idle connections each worker keeps to a node. Chosen: two clients that have all their streams of HTTP/2 in flight.
/// With 64, one request of nine needed a new connection where eight clients with 32 streams each asked two nodes.
const IDLE_CONNECTIONS: u32 = 256;

/// What pools that say nothing of it have: read once, so that what is wrong is noted once.
struct Usual {
    health: Option<HealthCheck>,
    outlier: Option<Outlier>,
}

impl Parse {
    pub(super) fn pools(
        &mut self,
        tables: Tables<file::Pool>,
        defaults: &file::PoolDefaults,
    ) -> BTreeMap<Name, Pool> {
        let usual = Usual {
            health: self.health(defaults.health.clone(), &None),
            outlier: self.outlier(defaults.outlier.clone(), &Some(Outlier::default())),
        };
        let mut pools = BTreeMap::new();
        for Entry { name, table, .. } in tables {
            let Some(table) = table else { continue };
            pools.insert(name.value.clone(), self.pool(name, table, defaults, &usual));
        }
        pools
    }

    fn pool(
        &mut self,
        name: At<Name>,
        table: file::Pool,
        defaults: &file::PoolDefaults,
        usual: &Usual,
    ) -> Pool {
        let policy = match table.policy.or(&defaults.policy) {
            Key::Is(At { value: OneOrMany(list), .. }) => self.names(list.items),
            _ => Vec::new(),
        };
        let (nodes, discovery) = self.members(table.nodes, table.discovery, &name);
        if let (Key::Is(attempts), Key::Is(retry)) = (&table.attempts, &table.retry)
            && attempts.value.0 == 1
        {
            let write = "leave it out, or allow more `attempts`";
            self.wrong(&retry.place, "`retry` has no effect: this pool makes one attempt", write);
        }
        let idle_connections = table.idle_connections.or(&defaults.idle_connections).get();
        let attempts = table.attempts.or(&defaults.attempts).get();
        let load_report_ttl = self.load_reports(table.load_reports, table.load_report_ttl, defaults);
        let limits = table.limits.or(&defaults.limits).get();
        let host = table.host.or(&defaults.host).unless(HostHeader::Keep);
        let protocol = table.protocol.or(&defaults.protocol).unless(NodeProtocol::Http1);
        let place = match &table.health {
            Key::Is(at) => at.place.clone(),
            _ => name.place.clone(),
        };
        let health = self.health(table.health, &usual.health);
        self.grpc_needs_http2(health.as_ref(), protocol, &place);
        Pool {
            policy,
            nodes,
            discovery,
            protocol,
            proxy_protocol: self.told_nodes(table.proxy_protocol.or(&defaults.proxy_protocol), protocol),
            tls: self.node_tls(table.tls.or(&defaults.tls), &host, protocol),
            host,
            connect_timeout: table
                .connect_timeout
                .or(&defaults.connect_timeout)
                .unless(Duration::from_secs(1)),
            first_byte_timeout: written(table.first_byte_timeout.or(&defaults.first_byte_timeout)),
            attempt_timeout: written(table.attempt_timeout.or(&defaults.attempt_timeout)),
            between_bytes_timeout: table
                .between_bytes_timeout
                .or(&defaults.between_bytes_timeout)
                .unless(Duration::from_secs(60)),
            tunnel_timeout: table.tunnel_timeout.or(&defaults.tunnel_timeout).unless(TUNNEL_TIMEOUT),
            idle_connections: idle_connections.map_or(IDLE_CONNECTIONS, |at| at.value.0),
            idle_timeout: table.idle_timeout.or(&defaults.idle_timeout).unless(Duration::from_secs(60)),
            attempts: number(attempts.map(|at| at.value.0), 3),
            retry: self.retry(table.retry.or(&defaults.retry)),
            health,
            outlier: self.outlier(table.outlier, &usual.outlier),
            panic: table.panic.or(&defaults.panic).get().map_or(50, |at| at.value.0),
            slow_start: unless_off(table.slow_start.or(&defaults.slow_start), Some, None),
            load_report_ttl,
            limits: limits.and_then(|at| self.pool_limits(at)),
            name,
        }
    }

    fn load_reports(
        &mut self,
        wanted: Key<bool>,
        ttl: Key<Duration>,
        defaults: &file::PoolDefaults,
    ) -> Option<Duration> {
        if wanted.or(&defaults.load_reports).unless(false) {
            return Some(ttl.or(&defaults.load_report_ttl).unless(Duration::from_secs(10)));
        }
        if let Key::Is(ttl) = ttl {
            self.wrong(&ttl.place, "no report is looked at", "add `load_reports = true`");
        }
        None
    }

    /// The nodes that are written down, and who tells others. One of the two has to be there.
    fn members(
        &mut self,
        nodes: Key<List<NodeEntry>>,
        discovery: Key<file::Discovery>,
        pool: &At<Name>,
    ) -> (Vec<Node>, Option<Discovery>) {
        if nodes.is_absent() && discovery.is_absent() {
            let write = format!(
                "add `nodes = [\"127.0.0.1:9001\"]`, or a table [pool.{}.discovery] that says who tells them",
                pool.value
            );
            self.wrong(&pool.place, "`nodes` is missing", write);
        }
        let may_be_empty = !discovery.is_absent();
        let nodes = nodes.get().map(|list| self.nodes(list, pool, may_be_empty)).unwrap_or_default();
        (nodes, discovery.get().and_then(|at| self.discovery(at)))
    }

    fn nodes(&mut self, list: At<List<NodeEntry>>, pool: &At<Name>, may_be_empty: bool) -> Vec<Node> {
        if list.empty && !may_be_empty {
            let what = format!("the pool \"{}\" has no node", pool.value);
            self.wrong(&list.place, what, "write where its nodes listen: [\"127.0.0.1:9001\"]");
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut addresses: HashMap<String, Place> = HashMap::new();
        let mut ids: HashMap<String, Place> = HashMap::new();
        for entry in list.value.items {
            let Some(node) = self.node(&entry.place, entry.value.0) else {
                continue;
            };
            if let Some(first) = addresses.get(node.address.as_str()) {
                let what = format!("the pool \"{}\" has the node {} already", pool.value, node.address.value);
                self.twice(
                    &node.address.place,
                    what,
                    &first.clone(),
                    "leave one out; give it a weight if it shall get more",
                );
            } else if let Some(first) = ids.get(&node.id) {
                let what =
                    format!("the pool \"{}\" has a node with the id \"{}\" already", pool.value, node.id);
                self.twice(&entry.place, what, &first.clone(), "give one of them another id");
            }
            addresses.insert(node.address.as_str().to_owned(), node.address.place.clone());
            ids.insert(node.id.clone(), entry.place);
            nodes.push(node);
        }
        nodes
    }

    fn node(&mut self, place: &Place, node: file::Node) -> Option<Node> {
        if node.address.is_absent() {
            self.wrong(place, "`address` is missing", "add `address = \"127.0.0.1:9001\"`");
        }
        let address = node.address.get()?;
        let labels = node.labels.unless(Texts(BTreeMap::new())).0;
        Some(Node {
            id: node.id.get().map_or_else(|| address.to_string(), |at| at.value.0),
            weight: number(node.weight.get().map(|at| at.value.0), 1),
            zone: node.zone.get().map(|at| at.value.0),
            tier: node.tier.get().map_or(0, |at| at.value.0 as u8),
            drain: node.drain.unless(false),
            labels: labels.into_iter().map(|(name, value)| (name.0, value.0)).collect(),
            address,
        })
    }
}

/// What has no default.
fn written<T>(key: Key<T>) -> Option<T> {
    key.get().map(|at| at.value)
}
