//! `[registry]`: it has an address of its own, and pools that take their nodes from it need it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::stores::ADD_REDIS;
use super::{Parse, number};
use crate::control::config::error::At;
use crate::control::config::file;
use crate::control::config::reading::Key;
use crate::control::config::resolved::{Admin, EtcdKeys, LeaseStore, Listener, Pool, Provider, Registry};
use crate::control::config::value::LeaseWord;
use crate::name::Name;

/// Beside the admin API's.
const PORT: u16 = 9902;
/// As many as discovery takes of any registry.
const MOST_NODES: u32 = 10_000;
/// Beside what `bascule register` writes without a prefix, which is /bascule/POOL.
const PREFIX: &str = "/bascule/registry/";
const ADD_ETCD: &str = "add `etcd = { endpoints = [\"http://127.0.0.1:2379\"] }`";

impl Parse {
    pub(super) fn registry(
        &mut self,
        table: Option<At<file::Registry>>,
        admin: &Admin,
        listeners: &BTreeMap<Name, Listener>,
        pools: &BTreeMap<Name, Pool>,
        redis: bool,
    ) -> Option<Registry> {
        let Some(At { value: registry, place }) = table else {
            self.needs_registry(pools);
            return None;
        };
        let no_token = registry.token.is_absent();
        let default = || At::new(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), place);
        let address = registry.address.get().unwrap_or_else(default);
        if no_token && !address.ip().to_canonical().is_loopback() {
            let what = format!("whoever reaches {} could register nodes", address.value);
            let write = "add `token = { env = \"NAME\" }`, or keep it at home: \"127.0.0.1:9902\"";
            self.wrong(&address.place, what, write);
        }
        self.is_free(&address, admin, listeners);
        Some(Registry {
            address,
            token: registry.token.get().map(|at| at.value),
            store: self.lease_store(registry.store, registry.etcd, redis),
            max_nodes: number(registry.max_nodes.get().map(|at| at.value.0), MOST_NODES),
        })
    }

    fn lease_store(&mut self, store: Key<LeaseWord>, etcd: Key<file::LeaseEtcd>, redis: bool) -> LeaseStore {
        let Key::Is(At { value: word, place }) = store else {
            self.no_etcd(&etcd);
            return LeaseStore::Memory;
        };
        if word != LeaseWord::Etcd {
            self.no_etcd(&etcd);
        }
        match word {
            LeaseWord::Memory => LeaseStore::Memory,
            LeaseWord::Redis => {
                if !redis {
                    self.wrong(&place, "there is no Redis to keep leases in", ADD_REDIS);
                }
                LeaseStore::Redis
            }
            LeaseWord::Etcd => {
                if etcd.is_absent() {
                    self.wrong(&place, "there is no etcd to keep leases in", ADD_ETCD);
                }
                etcd.get().map_or(LeaseStore::Memory, |at| LeaseStore::Etcd(self.lease_etcd(at)))
            }
        }
    }

    fn no_etcd(&mut self, etcd: &Key<file::LeaseEtcd>) {
        let write = "write `store = \"etcd\"`, or leave this out";
        self.of_no_use(etcd, "no other store is an etcd", write);
    }

    fn lease_etcd(&mut self, etcd: At<file::LeaseEtcd>) -> EtcdKeys {
        let At { value: etcd, place } = etcd;
        EtcdKeys {
            endpoints: self.etcd_endpoints(etcd.endpoints, &etcd.tls, &place),
            prefix: etcd.prefix.get().map_or_else(|| PREFIX.to_owned(), |at| at.value.0),
            login: self.login(etcd.user, etcd.password),
            tls: self.client_tls(etcd.tls),
        }
    }

    /// Without a registry no node could come.
    fn needs_registry(&mut self, pools: &BTreeMap<Name, Pool>) {
        let registers = |pool: &&Pool| {
            pool.discovery.as_ref().is_some_and(|discovery| discovery.provider == Provider::Registry)
        };
        for pool in pools.values().filter(registers).filter(|_| self.complete).collect::<Vec<_>>() {
            let what =
                format!("the nodes of the pool \"{}\" register, and there is no registry", pool.name.value);
            self.wrong(&pool.name.place, what, "add a table [registry], or name another `provider`");
        }
    }

    fn is_free(&mut self, address: &At<SocketAddr>, admin: &Admin, listeners: &BTreeMap<Name, Listener>) {
        // Port 0 is another port each time.
        if address.port() == 0 {
            return;
        }
        let listener = listeners.values().find(|listener| listener.address == *address);
        let other = match listener {
            Some(listener) => format!("the listener \"{}\"", listener.name.value),
            None if admin.address == *address => "the admin API".to_owned(),
            None => return,
        };
        let what = format!("{other} listens on {}", address.value);
        self.wrong(&address.place, what, "listen on another port: \"127.0.0.1:9902\"");
    }
}
