//! Where registries are, and what they are asked for.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use super::address::{NodeAddress, is_dns_name};
use super::{Refused, Text, refuse};

/// A server that is asked over HTTP, without or with TLS: `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    address: NodeAddress,
    tls: bool,
}

impl Origin {
    /// Host and port.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Text::parse(text).map_err(|refused: Refused| format!("{}; {}", refused.what, refused.write))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

impl Text for Origin {
    const WHAT: &'static str = "a URL such as \"http://127.0.0.1:8500\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write =
            "write scheme, host and port: \"http://127.0.0.1:8500\" or \"https://registry.example:8500\"";
        let bare = text.strip_suffix('/').unwrap_or(text);
        let (tls, address) = match (bare.strip_prefix("http://"), bare.strip_prefix("https://")) {
            (Some(address), _) => (false, address),
            (_, Some(address)) => (true, address),
            // It may hold a password in its place, so it is not repeated.
            _ => return refuse("this is no URL with http:// or https://", write),
        };
        if address.contains(['/', '@', '?', '#']) {
            return refuse("more stands here than scheme, host and port", write);
        }
        NodeAddress::parse(address)
            .map(|address| Self { address, tls })
            .map_err(|refused| Refused { write: write.to_owned(), ..refused })
    }
}

/// A name that a name server is asked for; one that ends with a dot is looked for nowhere else.
#[derive(Clone)]
pub(in crate::control::config) struct DnsName(pub(in crate::control::config) String);

impl Text for DnsName {
    const WHAT: &'static str = "a name such as \"api.example.internal\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let name = text.to_ascii_lowercase();
        if is_dns_name(name.strip_suffix('.').unwrap_or(&name)) {
            return Ok(Self(name));
        }
        let write =
            "write one, without a port: \"api.example.internal\", \"_http._tcp.api.example.internal\"";
        refuse(format!("{text:?} is not a name that can be looked up"), write)
    }
}

/// A duration that may be none at all.
#[derive(Clone, Copy)]
pub(in crate::control::config) struct Patience(pub(in crate::control::config) Duration);

impl Text for Patience {
    const WHAT: &'static str = "a duration such as \"10s\", or \"0s\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if text == "0s" { Ok(Self(Duration::ZERO)) } else { Duration::parse(text).map(Self) }
    }
}

/// A port that was checked to be one.
pub(in crate::control::config) fn port(number: u32) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        let origin = Origin::parse("https://Consul.example:8501/").unwrap();
        assert_eq!((origin.is_tls(), origin.to_string().as_str()), (true, "https://consul.example:8501"));
        assert!(!Origin::parse("http://[::1]:2379").unwrap().is_tls());
        let bad = [
            "127.0.0.1:8500",
            "ftp://a:1",
            "http://a",
            "http://a:0",
            "http://u:p@a:1",
            "http://a:1/v1",
            "http://a:1?x",
        ];
        for bad in bad {
            let refused = Origin::parse(bad).unwrap_err();
            assert!(!refused.what.contains("u:p"), "{}", refused.what);
        }
    }

    #[test]
    fn names_may_have_underscores_and_an_end() {
        for good in ["api", "_http._tcp.api.example.internal", "API.example."] {
            assert!(DnsName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a b", "api:80", "10.0.0.1", "a..b"] {
            assert!(DnsName::parse(bad).is_err(), "{bad}");
        }
    }
}
