//! Addresses: to listen on, of nodes, of trusted peers, and hosts that requests name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use super::{Refused, Text, refuse};
use crate::cidr::{Cidr, InvalidCidr};
use crate::control::config::resolved::HostHeader;

impl Text for Cidr {
    const WHAT: &'static str = "a block of addresses";
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().or_else(|error: InvalidCidr| match &error {
            InvalidCidr::HostBits { block, .. } => refuse(error.to_string(), format!("write \"{block}\"")),
            InvalidCidr::Syntax(_) => {
                refuse(error.to_string(), "write an address and how many of its bits count: \"10.0.0.0/8\"")
            }
        })
    }
}

impl Text for SocketAddr {
    const WHAT: &'static str = "an address with a port";
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().or_else(|_| {
            let write =
                "write an IP address and a port: \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"";
            refuse(format!("{text:?} is not an address to listen on"), write)
        })
    }
}

/// Where a node listens: an IP address or a DNS name, with a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddress {
    text: String,
    host: NodeHost,
    port: NonZeroU16,
}

/// The host of a node's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeHost {
    /// Nothing has to be looked up.
    Ip(IpAddr),
    /// A name for a name server, in lowercase.
    Dns(String),
}

impl NodeAddress {
    /// As it was written, in lowercase.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host.
    pub fn host(&self) -> &NodeHost {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.get()
    }
}

impl FromStr for NodeAddress {
    type Err = String;

    /// Reads what a registry says.
    fn from_str(text: &str) -> Result<Self, String> {
        Text::parse(text).map_err(|refused: Refused| refused.what)
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Text for NodeAddress {
    const WHAT: &'static str = "an address such as \"10.0.0.1:8080\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write = "write host and port: \"10.0.0.1:8080\", \"[2001:db8::1]:8080\" or \"node.example:8080\"";
        if text.contains("://") {
            return refuse(format!("{text:?} is a URL, not a node's address"), write);
        }
        let text = text.to_ascii_lowercase();
        let is_number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let Some((host, digits)) = text.rsplit_once(':').filter(|(_, port)| is_number(port)) else {
            return refuse(format!("{text:?} has no port"), write);
        };
        let Some(port) = port_number(digits) else {
            return refuse(format!("{text:?}: {digits} is no port, they go from 1 to 65535"), write);
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed.map(str::parse), host.parse()) {
            (Some(Ok(v6)), _) => NodeHost::Ip(IpAddr::V6(v6)),
            (None, Ok(v4)) => NodeHost::Ip(IpAddr::V4(v4)),
            (None, Err(_)) if is_dns_name(host) => NodeHost::Dns(host.to_owned()),
            _ => {
                return refuse(format!("{host:?} is neither an IP address nor a host name"), write);
            }
        };
        Ok(Self { host, port, text })
    }
}

/// A port that one can connect to, in digits.
fn port_number(text: &str) -> Option<NonZeroU16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Labels of letters, digits, dashes and underscores (RFC 1123, 2.1, and what name servers in fact hold). A last label
/// of digits alone is a slip in an IPv4 address.
pub(super) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or("");
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Which hosts a route serves; in lowercase, without a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host that ends in "." and this: "*.example.com" holds "example.com" here.
    Wildcard(String),
    /// Every host.
    Any,
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl Text for HostPattern {
    const WHAT: &'static str = "a host";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write = "write a host (\"shop.example.com\"), all hosts below one (\"*.example.com\"), or \"*\"";
        let host = text.to_ascii_lowercase();
        let (bare, port) = host.rsplit_once(':').unwrap_or((&host, ""));
        if port_number(port).is_some() && !bare.contains(':') {
            return refuse(
                format!("{text:?} has a port"),
                format!("write \"{bare}\": a host matches on every port"),
            );
        }
        if host == "*" {
            return Ok(Self::Any);
        }
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok()
            || literal.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        match host.strip_prefix("*.") {
            Some(parent) if is_dns_name(parent) => Ok(Self::Wildcard(parent.to_owned())),
            None if is_dns_name(&host) || is_address => Ok(Self::Exact(host)),
            _ => refuse(format!("{text:?} is not a host"), write),
        }
    }
}

impl Text for HostHeader {
    const WHAT: &'static str = "\"keep\" or a host";
    fn parse(text: &str) -> Result<Self, Refused> {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
        match text {
            "keep" => Ok(Self::Keep),
            _ if is_dns_name(host) && port_number(port).is_some() => Ok(Self::Name(text.to_owned())),
            _ if text.parse::<SocketAddr>().is_ok()
                || text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) =>
            {
                Ok(Self::Name(text.to_owned()))
            }
            _ => refuse(
                format!("{text:?} is no host to send"),
                "write \"keep\", or what to send: \"shop.internal\" or \"shop.internal:8080\"",
            ),
        }
    }
}
