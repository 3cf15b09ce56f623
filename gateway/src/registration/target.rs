//! Where a node registers: what `--to` says.

use std::fmt;

use crate::control::config::{Origin, Refused, Text};

/// Registries, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The registries of gateways; the node registers with all of them.
    Gateways(Vec<Origin>),
    /// An agent of Consul.
    Consul(Origin),
}

const KINDS: &str = "write http://GATEWAY:9902 (several with commas between them) or consul://AGENT:8500; with TLS https:// or consul+tls://";

impl Target {
    /// Reads it.
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Refused { what: format!("{text:?} has no scheme"), write: KINDS.to_owned() });
        };
        let (kind, tls) = scheme.strip_suffix("+tls").map_or((scheme, false), |kind| (kind, true));
        match kind {
            "http" | "https" if !tls => {
                text.split(',').map(Origin::parse).collect::<Result<_, _>>().map(Self::Gateways)
            }
            "consul" => origin(rest, tls).map(Self::Consul),
            _ => Err(Refused { what: format!("there is no {scheme}://"), write: KINDS.to_owned() }),
        }
    }

    /// Whether any of it is spoken to over TLS.
    pub(super) fn has_tls(&self) -> bool {
        match self {
            Self::Gateways(origins) => origins.iter().any(Origin::is_tls),
            Self::Consul(origin) => origin.is_tls(),
        }
    }
}

fn origin(server: &str, tls: bool) -> Result<Origin, Refused> {
    Origin::parse(&format!("{}://{server}", if tls { "https" } else { "http" }))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(",");
        match self {
            Self::Gateways(origins) => f.write_str(&list(&mut origins.iter().map(Origin::to_string))),
            Self::Consul(origin) => write!(f, "Consul at {origin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Target, Refused> {
        Target::read(text)
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
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for bad in ["gw1:9902", "redis://a:1", "http://gw1", "http+tls://a:1", "http://a:1,b:2", "consul://a"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
