//! Where a node registers: what `--to` says.

use std::fmt;

use crate::control::config::{NodeAddress, Origin, Refused, Text};
use crate::name::Name;

/// Registries, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The registries of gateways; the node registers with all of them.
    Gateways(Vec<Origin>),
    /// An agent of Consul.
    Consul(Origin),
    /// Members of an etcd cluster, and what the node's key begins with.
    Etcd(Vec<Origin>, String),
    /// Members of a ZooKeeper ensemble, whether they have TLS, and the znode below which the node's is.
    Zookeeper(Vec<NodeAddress>, bool, String),
}

const KINDS: &str = "write http://GATEWAY:9902 (several with commas between them), consul://AGENT:8500, \
                     etcd://HOST:2379/PREFIX/ or zookeeper://HOST:2181/PATH; with TLS https://, consul+tls://, etcd+tls:// or \
                     zookeeper+tls://";

impl Target {
    /// Reads it. Where keys stand that is not said is a matter of the pool's name.
    pub(super) fn read(text: &str, pool: &Name) -> Result<Self, Refused> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Refused { what: format!("{text:?} has no scheme"), write: KINDS.to_owned() });
        };
        let (kind, tls) = scheme.strip_suffix("+tls").map_or((scheme, false), |kind| (kind, true));
        match kind {
            "http" | "https" if !tls => {
                text.split(',').map(Origin::parse).collect::<Result<_, _>>().map(Self::Gateways)
            }
            "consul" => origin(rest, tls).map(Self::Consul),
            "etcd" => {
                let (servers, path) = split(rest);
                let origins: Result<_, _> = servers.split(',').map(|server| origin(server, tls)).collect();
                let prefix = path.map_or_else(|| format!("/bascule/{pool}/"), |path| format!("/{path}"));
                origins.map(|origins| Self::Etcd(origins, prefix))
            }
            "zookeeper" => {
                let (servers, path) = split(rest);
                let servers: Result<_, _> = servers.split(',').map(NodeAddress::parse).collect();
                let path = path.map_or_else(|| format!("/bascule/{pool}"), |path| format!("/{path}"));
                let path = path.trim_end_matches('/').to_owned();
                servers.map(|servers| Self::Zookeeper(servers, tls, path))
            }
            _ => Err(Refused { what: format!("there is no {scheme}://"), write: KINDS.to_owned() }),
        }
    }

    /// Whether any of it is spoken to over TLS.
    pub(super) fn has_tls(&self) -> bool {
        match self {
            Self::Gateways(origins) | Self::Etcd(origins, _) => origins.iter().any(Origin::is_tls),
            Self::Consul(origin) => origin.is_tls(),
            Self::Zookeeper(_, tls, _) => *tls,
        }
    }

    /// Whether it knows a token, rather than a user and a password.
    pub(super) fn has_token(&self) -> bool {
        matches!(self, Self::Gateways(_) | Self::Consul(_))
    }
}

fn origin(server: &str, tls: bool) -> Result<Origin, Refused> {
    Origin::parse(&format!("{}://{server}", if tls { "https" } else { "http" }))
}

/// The servers, and the path behind them if there is one.
fn split(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once('/') {
        Some((servers, path)) if !path.is_empty() => (servers, Some(path)),
        Some((servers, _)) => (servers, None),
        None => (rest, None),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(",");
        match self {
            Self::Gateways(origins) => f.write_str(&list(&mut origins.iter().map(Origin::to_string))),
            Self::Consul(origin) => write!(f, "Consul at {origin}"),
            Self::Etcd(origins, prefix) => {
                write!(f, "etcd at {}, below {prefix}", list(&mut origins.iter().map(Origin::to_string)))
            }
            Self::Zookeeper(servers, _, path) => {
                write!(
                    f,
                    "ZooKeeper at {}, below {path}",
                    list(&mut servers.iter().map(NodeAddress::to_string))
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Target, Refused> {
        Target::read(text, &"api".parse().unwrap())
    }

    fn origins(texts: &[&str]) -> Vec<Origin> {
        texts.iter().map(|text| Origin::parse(text).unwrap()).collect()
    }

    #[test]
    fn each_kind_of_registry_is_read() {
        let two = Target::Gateways(origins(&["http://gw1:9902", "http://gw2:9902"]));
        assert_eq!(read("http://gw1:9902,http://gw2:9902"), Ok(two));
        let consul = origins(&["https://agent:8501"]).remove(0);
        assert_eq!(read("consul+tls://agent:8501"), Ok(Target::Consul(consul)));
        let etcd = origins(&["http://a:2379", "http://b:2379"]);
        assert_eq!(read("etcd://a:2379,b:2379"), Ok(Target::Etcd(etcd.clone(), "/bascule/api/".to_owned())));
        assert_eq!(read("etcd://a:2379,b:2379/x/y/"), Ok(Target::Etcd(etcd, "/x/y/".to_owned())));
        let servers = vec!["a:2181".parse().unwrap()];
        let zookeeper = |path: &str| Ok(Target::Zookeeper(servers.clone(), false, path.to_owned()));
        assert_eq!(read("zookeeper://a:2181"), zookeeper("/bascule/api"));
        assert_eq!(read("zookeeper://a:2181/x/"), zookeeper("/x"));
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for bad in [
            "gw1:9902",
            "redis://a:1",
            "http://gw1",
            "http+tls://a:1",
            "http://a:1,b:2",
            "consul://a",
            "etcd://a/x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
