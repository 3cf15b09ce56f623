//! `[pool.NAME.discovery]`: each provider's keys, and no other's.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Parse, items};
use crate::control::config::error::{At, Place};
use crate::control::config::file;
use crate::control::config::reading::{Key, List};
use crate::control::config::resolved::{
    ConsulDiscovery, Discovery, DnsDiscovery, DnsRecord, EtcdKeys, Provider, ZookeeperDiscovery,
};
use crate::control::config::text::{NodeAddress, NodeHost, Origin, Text, port};
use crate::control::config::value::{ProviderWord as Word, RecordWord};

/// An answer without any node is believed after this: several restarts of a registry fit in, and a pool that really lost
/// all its nodes fails its requests either way.
const EMPTY: Duration = Duration::from_secs(10);
/// Answers of name servers are believed for so long at least: less would be a question for each change that is not.
const MIN_TTL: Duration = Duration::from_secs(1);
/// And for so long at most: some servers say a day for what changes each minute.
const MAX_TTL: Duration = Duration::from_secs(30);
/// Consul's agent on the same machine.
const CONSUL: &str = "http://127.0.0.1:8500";

impl Word {
    fn word(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::File => "file",
            Self::Dns => "dns",
            Self::Consul => "consul",
            Self::Etcd => "etcd",
            Self::Zookeeper => "zookeeper",
        }
    }

    /// The keys that it has beside `provider` and `empty`.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Registry => &[],
            Self::File => &["path"],
            Self::Dns => &["name", "record", "port", "servers", "min_ttl", "max_ttl"],
            Self::Consul => &["address", "service", "tags", "datacenter", "token", "tls"],
            Self::Etcd => &["endpoints", "prefix", "user", "password", "tls"],
            Self::Zookeeper => &["servers", "path", "user", "password", "tls"],
        }
    }
}

impl Parse {
    pub(super) fn discovery(&mut self, at: At<file::Discovery>) -> Option<Discovery> {
        let At { value: table, place } = at;
        if table.provider.is_absent() {
            self.wrong(
                &place,
                "`provider` is missing",
                "add `provider = \"dns\"`, or another that tells the nodes",
            );
        }
        let provider = table.provider.clone().get()?;
        self.no_other_keys(provider.value, &table);
        let empty = table.empty.clone().get().map_or(EMPTY, |at| at.value.0);
        let provider = match provider.value {
            Word::Registry => Some(Provider::Registry),
            Word::File => {
                let path = self.needed(table.path, &place, "path", "\"nodes.toml\"");
                path.map(|at| Provider::File { path: at.value.joined })
            }
            Word::Dns => self.dns(table, &place).map(Provider::Dns),
            Word::Consul => self.consul(table, &place).map(Provider::Consul),
            Word::Etcd => self.etcd(table, &place).map(Provider::Etcd),
            Word::Zookeeper => self.zookeeper(table, &place).map(Provider::Zookeeper),
        };
        Some(Discovery { provider: provider?, empty })
    }

    /// A key that another provider has would do nothing here.
    fn no_other_keys(&mut self, provider: Word, table: &file::Discovery) {
        let written: [(&str, Option<&Place>); 17] = [
            ("path", place(&table.path)),
            ("name", place(&table.name)),
            ("record", place(&table.record)),
            ("port", place(&table.port)),
            ("servers", place(&table.servers)),
            ("min_ttl", place(&table.min_ttl)),
            ("max_ttl", place(&table.max_ttl)),
            ("address", place(&table.address)),
            ("service", place(&table.service)),
            ("tags", place(&table.tags)),
            ("datacenter", place(&table.datacenter)),
            ("token", place(&table.token)),
            ("endpoints", place(&table.endpoints)),
            ("prefix", place(&table.prefix)),
            ("user", place(&table.user)),
            ("password", place(&table.password)),
            ("tls", place(&table.tls)),
        ];
        for (key, place) in written {
            let Some(place) = place.filter(|_| !provider.keys().contains(&key)) else { continue };
            let what = format!("the provider \"{}\" has no key `{key}`", provider.word());
            let write = match provider.keys() {
                [] => "leave it out: it has none of its own".to_owned(),
                keys => format!("its keys are: {}", keys.join(", ")),
            };
            self.wrong(place, what, write);
        }
    }

    fn dns(&mut self, table: file::Discovery, place: &Place) -> Option<DnsDiscovery> {
        let record = match table.record.unless(RecordWord::Address) {
            RecordWord::Srv => {
                if let Key::Is(at) = &table.port {
                    self.wrong(&at.place, "SRV records tell the ports themselves", "leave `port` out");
                }
                Some(DnsRecord::Srv)
            }
            RecordWord::Address => {
                let at = self.needed(table.port, place, "port", "8080");
                at.and_then(|at| port(at.value.0)).map(|port| DnsRecord::Address { port })
            }
        };
        let servers = self.name_servers(table.servers);
        let min_ttl = table.min_ttl.clone().unless(MIN_TTL);
        let max_ttl = table.max_ttl.clone().unless(MAX_TTL.max(min_ttl));
        if max_ttl < min_ttl
            && let Key::Is(at) = table.min_ttl.or(&table.max_ttl)
        {
            let write = format!("write {max_ttl:?} at most, which is `max_ttl`, or allow more there");
            self.wrong(&at.place, "this is longer than the longest time", write);
        }
        let name = self.needed(table.name, place, "name", "\"api.example.internal\"")?.value.0;
        Some(DnsDiscovery { name, record: record?, servers, min_ttl, max_ttl })
    }

    /// Name servers cannot be looked up themselves.
    fn name_servers(&mut self, servers: Key<List<NodeAddress>>) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for At { value: server, place } in servers.get().map(|at| at.value.items).unwrap_or_default() {
            match server.host() {
                NodeHost::Ip(ip) => addresses.push(SocketAddr::new(*ip, server.port())),
                NodeHost::Dns(_) => {
                    let what = format!("{server} would need a name server itself");
                    self.wrong(&place, what, "write its IP address: \"127.0.0.1:53\"");
                }
            }
        }
        addresses
    }

    fn consul(&mut self, table: file::Discovery, place: &Place) -> Option<ConsulDiscovery> {
        let is_wrong = matches!(table.address, Key::Wrong);
        let address = match table.address.get() {
            Some(at) => at,
            None => At::new(Text::parse(CONSUL).ok()?, place.clone()),
        };
        if let (Key::Is(tls), false) = (&table.tls, is_wrong) {
            self.tls_fits([&address], &tls.place);
        }
        Some(ConsulDiscovery {
            address: address.value,
            tags: items(table.tags.get().map(|at| at.value.items)).into_iter().map(|tag| tag.0).collect(),
            datacenter: table.datacenter.get().map(|at| at.value.0),
            token: table.token.get().map(|at| at.value),
            tls: self.client_tls(table.tls),
            service: self.needed(table.service, place, "service", "\"api\"")?.value.0,
        })
    }

    fn etcd(&mut self, table: file::Discovery, place: &Place) -> Option<EtcdKeys> {
        let endpoints = self.etcd_endpoints(table.endpoints, &table.tls, place);
        Some(EtcdKeys {
            endpoints,
            login: self.login(table.user, table.password),
            tls: self.client_tls(table.tls),
            prefix: self.needed(table.prefix, place, "prefix", "\"/bascule/api/\"")?.value.0,
        })
    }

    /// Members of an etcd, in a table at this place.
    pub(super) fn etcd_endpoints(
        &mut self,
        endpoints: Key<List<Origin>>,
        tls: &Key<file::ClientTls>,
        place: &Place,
    ) -> Vec<Origin> {
        let endpoints = self.some_of(endpoints, place, "endpoints", "[\"http://127.0.0.1:2379\"]");
        let tls_of_first = endpoints.first().map(|first| first.is_tls());
        for other in endpoints.iter().filter(|other| Some(other.is_tls()) != tls_of_first) {
            self.wrong(
                &other.place,
                "some endpoints have TLS and some have not",
                "write the same scheme for all",
            );
        }
        if let Key::Is(tls) = tls {
            self.tls_fits(endpoints.first(), &tls.place);
        }
        endpoints.into_iter().map(|at| at.value).collect()
    }

    fn zookeeper(&mut self, table: file::Discovery, place: &Place) -> Option<ZookeeperDiscovery> {
        let servers = self.some_of(table.servers, place, "servers", "[\"127.0.0.1:2181\"]");
        let path = self.needed(table.path, place, "path", "\"/bascule/api\"");
        if let Some(path) = &path
            && !is_znode(&path.written)
        {
            let what = format!("{:?} is no path of a znode", path.written);
            self.wrong(
                &path.place,
                what,
                "write one that begins with / and does not end so: \"/bascule/api\"",
            );
        }
        Some(ZookeeperDiscovery {
            servers: servers.into_iter().map(|at| at.value).collect(),
            login: self.login(table.user, table.password),
            tls: self.client_tls(table.tls),
            path: path?.value.written,
        })
    }

    /// A list that may not be empty.
    fn some_of<T>(&mut self, key: Key<List<T>>, place: &Place, what: &str, example: &str) -> Vec<At<T>> {
        let Some(list) = self.needed(key, place, what, example) else { return Vec::new() };
        if list.empty {
            self.wrong(&list.place, "nothing stands here", format!("write some: {example}"));
        }
        list.value.items
    }

    /// The value of a key that has no default, in a table at this place.
    fn needed<T>(&mut self, key: Key<T>, table: &Place, what: &str, example: &str) -> Option<At<T>> {
        if key.is_absent() {
            self.wrong(table, format!("`{what}` is missing"), format!("add `{what} = {example}`"));
        }
        key.get()
    }

    /// A table `tls` belongs to addresses that have TLS.
    fn tls_fits<'a>(&mut self, origins: impl IntoIterator<Item = &'a At<Origin>>, tls: &Place) {
        if let Some(plain) = origins.into_iter().find(|origin| !origin.is_tls()) {
            let what = format!("`tls` has no effect: {} is without TLS", plain.value);
            self.wrong(tls, what, "write https:// there, or leave `tls` out");
        }
    }
}

/// ZooKeeper's rule for paths.
fn is_znode(path: &str) -> bool {
    let names = path.strip_prefix('/').map(|names| names.split('/'));
    names.is_some_and(|mut names| names.all(|name| !matches!(name, "" | "." | "..")))
}

/// Where a key stands.
fn place<T>(key: &Key<T>) -> Option<&Place> {
    match key {
        Key::Is(at) => Some(&at.place),
        Key::Absent | Key::Wrong => None,
    }
}
