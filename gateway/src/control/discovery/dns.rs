//! Nodes in DNS: the addresses of a name, or the services that its SRV records tell (RFC 2782).
//!
//! A name server that has records, or says that there are none of this kind, has answered. One that is silent, fails, or
//! does not know the name has not: what was known stays. A truncated answer is asked for again over TCP by the resolver.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::time::sleep;
use tracing::debug;

use super::provider::{Provider, Sets, Trouble};
use super::schema::{Announced, NodeSet};
use crate::control::config::{DnsDiscovery, DnsRecord};

/// How long a name server may take, and how often it is asked before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// Targets of SRV records that are looked up at the same time.
const AT_ONCE: usize = 16;
/// The last tier that there is: priorities beyond share it.
const LAST_TIER: usize = 9;

/// A name in DNS.
pub(super) struct Dns {
    wanted: DnsDiscovery,
    /// Where the targets of SRV records were found last.
    targets: BTreeMap<String, IpAddr>,
}

impl Dns {
    pub(super) fn new(wanted: DnsDiscovery) -> Self {
        Self { wanted, targets: BTreeMap::new() }
    }

    /// Asks once: all nodes, and how long that is to be believed.
    async fn ask(&mut self, resolver: &TokioResolver) -> Result<(NodeSet, Duration), Trouble> {
        let (set, ttl) = match self.wanted.record {
            DnsRecord::Address { port } => {
                let (addresses, ttl) = addresses(resolver, &self.wanted.name).await?;
                let node = |ip: IpAddr| at("", SocketAddr::new(ip, port.get()));
                (NodeSet { nodes: addresses.into_iter().map(node).collect(), bad: Vec::new() }, ttl)
            }
            DnsRecord::Srv => self.services(resolver).await?,
        };
        Ok((set, ttl.clamp(self.wanted.min_ttl, self.wanted.max_ttl)))
    }

    /// The services, each at the address of its target.
    async fn services(&mut self, resolver: &TokioResolver) -> Result<(NodeSet, Duration), Trouble> {
        let records = records(resolver, &self.wanted.name, RecordType::SRV).await?;
        let mut ttl = shortest(&records);
        let services: Vec<&SRV> = records
            .iter()
            .filter_map(|record| match &record.data {
                // The root as a target says that there is no such service.
                RData::SRV(service) if !service.target.is_root() => Some(service),
                _ => None,
            })
            .collect();
        let targets: BTreeSet<String> = services.iter().map(|service| service.target.to_ascii()).collect();
        let look_up = |target: String| async {
            let found = addresses(resolver, &target).await;
            (target, found)
        };
        let looked_up: Vec<_> = stream::iter(targets).map(look_up).buffer_unordered(AT_ONCE).collect().await;
        let mut known = BTreeMap::new();
        let mut failed = BTreeMap::new();
        for (target, found) in looked_up {
            let last = self.targets.get(&target).copied();
            match place(found, last) {
                Ok((ip, of_target)) => {
                    ttl = ttl.min(of_target);
                    known.insert(target, ip);
                }
                Err(trouble) => drop(failed.insert(target, trouble)),
            }
        }
        self.targets = known;
        Ok((self.nodes(&services, &failed), ttl))
    }

    /// The nodes of these services, as far as their targets were found.
    fn nodes(&self, services: &[&SRV], failed: &BTreeMap<String, Trouble>) -> NodeSet {
        let priorities: BTreeSet<u16> = services.iter().map(|service| service.priority).collect();
        let mut set = NodeSet::default();
        for service in services {
            let target = service.target.to_ascii();
            let id = format!("{}:{}", target.trim_end_matches('.').to_ascii_lowercase(), service.port);
            let node = match (self.targets.get(&target), failed.get(&target)) {
                (Some(_), _) if service.port == 0 => Err("its port is 0".to_owned()),
                (Some(ip), _) => {
                    let tier = priorities.iter().position(|priority| *priority == service.priority);
                    Ok(Announced {
                        // Weight 0 stands for "hardly ever", which no weight of ours is.
                        weight: NonZeroU32::new(service.weight.into()).unwrap_or(NonZeroU32::MIN),
                        tier: tier.unwrap_or(LAST_TIER).min(LAST_TIER) as u8,
                        ..at(&id, SocketAddr::new(*ip, service.port))
                    })
                }
                (None, trouble) => Err(trouble.map_or_else(String::new, ToString::to_string)),
            };
            set.add(&id, node);
        }
        set
    }
}

impl Provider for Dns {
    fn follow<'a>(&'a mut self, sets: &'a Sets) -> BoxFuture<'a, Trouble> {
        async move {
            let resolver = match resolver(&self.wanted.servers) {
                Ok(resolver) => resolver,
                Err(error) => return Trouble::new(format!("there is no resolver: {error}")),
            };
            loop {
                match self.ask(&resolver).await {
                    Ok((set, ttl)) => {
                        sets.publish(set);
                        sleep(ttl).await;
                    }
                    Err(trouble) => return trouble,
                }
            }
        }
        .boxed()
    }
}

/// These name servers, or the system's. It keeps nothing: what is believed for how long is decided here.
fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    let options: &mut ResolverOpts = builder.options_mut();
    (options.cache_size, options.timeout, options.attempts) = (0, PATIENCE, ATTEMPTS);
    builder.build()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    server.connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    server
}

/// A name's addresses in both families, and how long they are to be believed. Half of an answer is none: it would take out
/// the nodes of the other half.
async fn addresses(resolver: &TokioResolver, name: &str) -> Result<(Vec<IpAddr>, Duration), Trouble> {
    let (v4, v6) =
        tokio::join!(records(resolver, name, RecordType::A), records(resolver, name, RecordType::AAAA));
    let all: Vec<Record> = v4?.into_iter().chain(v6?).collect();
    let ip = |record: &Record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    Ok((all.iter().filter_map(ip).collect(), shortest(&all)))
}

/// The records of an answer, those that lead to another name included; none if there are none of this type.
async fn records(resolver: &TokioResolver, name: &str, of: RecordType) -> Result<Vec<Record>, Trouble> {
    match resolver.lookup(name, of).await {
        Ok(found) => Ok(found.answers().to_vec()),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
            ResponseCode::NoError => Ok(Vec::new()),
            ResponseCode::NXDomain => Err(Trouble::new(format!("there is no name {name}"))),
            code => Err(Trouble::new(format!("asked for {name}, the name server said: {code}"))),
        },
        Err(NetError::Dns(DnsError::ResponseCode(code))) => {
            Err(Trouble::new(format!("asked for {name}, the name server said: {code}")))
        }
        Err(NetError::Timeout) => Err(Trouble::new(format!("no name server tells what {name} is in time"))),
        Err(error) => Err(Trouble::new(format!("{name} cannot be looked up: {error}"))),
    }
}

/// How long the shortest of these records is to be believed; not at all if there is none.
fn shortest(records: &[Record]) -> Duration {
    let ttl = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(ttl.unwrap_or(0).into())
}

/// Where a target is: where it was, if that is still among its addresses or nothing better is known.
fn place(
    found: Result<(Vec<IpAddr>, Duration), Trouble>,
    last: Option<IpAddr>,
) -> Result<(IpAddr, Duration), Trouble> {
    let found = found.and_then(|(addresses, ttl)| {
        let kept = last.filter(|last| addresses.contains(last)).or(addresses.first().copied());
        kept.map(|ip| (ip, ttl)).ok_or_else(|| Trouble::new("it has no address"))
    });
    match (found, last) {
        (Err(trouble), Some(last)) => {
            debug!("a target stays at {last}: {trouble}");
            Ok((last, Duration::ZERO))
        }
        (found, _) => found,
    }
}

fn at(id: &str, address: SocketAddr) -> Announced {
    let text = address.to_string();
    Announced::at(id, text.parse().expect("an address reads as it is written"))
}
