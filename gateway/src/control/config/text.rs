//! Texts with a meaning: durations, sizes, addresses, host and path patterns, methods, header fields.
//!
//! Each is a pure function from text to a type that can hold nothing else, or to what is wrong and what to write.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crate::cidr::{Cidr, InvalidCidr};
use crate::name::Name;

/// Why a text is refused, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) write: String,
}

fn refuse<T>(what: impl Into<String>, write: impl Into<String>) -> Result<T, Refused> {
    Err(Refused {
        what: what.into(),
        write: write.into(),
    })
}

/// A type that is written as a string.
pub(super) trait Text: Sized {
    /// What it is, for "expected …".
    const WHAT: &'static str;
    /// Reads it.
    fn parse(text: &str) -> Result<Self, Refused>;
}

impl Text for String {
    const WHAT: &'static str = "a string";
    fn parse(text: &str) -> Result<Self, Refused> {
        Ok(text.to_owned())
    }
}

impl Text for Name {
    const WHAT: &'static str = "a name in quotes";
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().or_else(|_| {
            let rule = "a name has lowercase letters and digits, and dashes between them, at most 63 in all";
            let write =
                Name::nearest(text).map_or(rule.to_owned(), |near| format!("write \"{near}\": {rule}"));
            refuse(format!("{text:?} is not a name"), write)
        })
    }
}

impl Text for Cidr {
    const WHAT: &'static str = "a block of addresses";
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().or_else(|error: InvalidCidr| match &error {
            InvalidCidr::HostBits { block, .. } => refuse(error.to_string(), format!("write \"{block}\"")),
            InvalidCidr::Syntax(_) => refuse(
                error.to_string(),
                "write an address and how many of its bits count: \"10.0.0.0/8\"",
            ),
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

/// A duration with its unit. Longer than a year is a slip, and would overflow clocks in the end.
impl Text for Duration {
    const WHAT: &'static str = "a duration such as \"30s\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write = "write a whole number and a unit: \"250ms\", \"30s\", \"1m\", \"1h\"";
        let Some((number, unit)) = number_and_unit(text) else {
            return refuse(format!("{text:?} is not a duration"), write);
        };
        let micros: u64 = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return refuse(format!("{text:?} is not a duration"), write),
        };
        match number.checked_mul(micros).map(Duration::from_micros) {
            Some(Duration::ZERO) => refuse(
                format!("{text:?} is no time at all"),
                "write more than zero: \"1ms\"",
            ),
            Some(duration) if duration <= Duration::from_secs(366 * 86_400) => Ok(duration),
            _ => refuse(
                format!("{text:?} is too long"),
                "write a year (\"8784h\") at most",
            ),
        }
    }
}

/// A number of bytes, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// For defaults and bounds; zero becomes one.
    pub(super) const fn bytes(bytes: u64) -> Self {
        Self(if bytes == 0 { 1 } else { bytes })
    }

    /// In bytes.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl Text for Size {
    const WHAT: &'static str = "a size such as \"16MiB\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let write =
            "write a whole number and a unit: \"512B\", \"1KB\" (1000), \"1KiB\" (1024), \"16MiB\", \"1GiB\"";
        let Some((number, unit)) = number_and_unit(text) else {
            return refuse(format!("{text:?} is not a size"), write);
        };
        let bytes: u64 = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return refuse(format!("{text:?} is not a size"), write),
        };
        match number.checked_mul(bytes) {
            Some(0) => refuse(format!("{text:?} is nothing at all"), "write more than zero"),
            Some(bytes) => Ok(Self(bytes)),
            None => refuse(format!("{text:?} is too large"), write),
        }
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
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
        let parts = text
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port_number(port)?)));
        let Some((host, port)) = parts else {
            return refuse(format!("{text:?} has no port"), write);
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed.map(str::parse), host.parse()) {
            (Some(Ok(v6)), _) => NodeHost::Ip(IpAddr::V6(v6)),
            (None, Ok(v4)) => NodeHost::Ip(IpAddr::V4(v4)),
            (None, Err(_)) if is_dns_name(host) => NodeHost::Dns(host.to_owned()),
            _ => {
                return refuse(
                    format!("{host:?} is neither an IP address nor a host name"),
                    write,
                );
            }
        };
        Ok(Self { host, port, text })
    }
}

/// A port that one can connect to, in digits.
fn port_number(text: &str) -> Option<NonZeroU16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Labels of letters, digits, dashes and underscores (RFC 1123, 2.1, and what name servers in fact hold). A last label
/// of digits alone is a slip in an IPv4 address.
fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
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

/// Which paths a route serves; it starts with a slash and has no query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// This path and all below it, by whole segments; "/" is every path. No other one ends with a slash.
    Prefix(String),
    /// Just this path.
    Exact(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Prefix(path) | Self::Exact(path)) = self;
        f.write_str(path)
    }
}

/// A path without a query, as a request line carries it (RFC 9112, 3.2.1).
#[derive(Clone)]
pub(super) struct RoutePath(pub(super) String);

impl Text for RoutePath {
    const WHAT: &'static str = "a path such as \"/api\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if !text.starts_with('/') {
            let write = format!("write \"/{text}\"");
            return refuse(format!("the path {text:?} does not start with a slash"), write);
        }
        if let Some(at) = text.find(['?', '#']) {
            let write = format!("write \"{}\": a route matches the path alone", &text[..at]);
            return refuse(format!("the path {text:?} has a query or a fragment"), write);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            let write = "write it as it stands in a request, percent-encoded: \"/caf%C3%A9\"";
            return refuse(
                format!("the path {text:?} has a character that no request's path has"),
                write,
            );
        }
        if text
            .split('/')
            .skip(1)
            .any(|segment| segment == "." || segment == "..")
            || text.contains("//")
        {
            let write = "write it without empty, \".\" and \"..\" segments";
            return refuse(format!("the path {text:?} is not in its plain form"), write);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A request method (RFC 9110, 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(String);

impl Method {
    /// The method, as it stands in a request.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl Text for Method {
    const WHAT: &'static str = "a method such as \"GET\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        let upper = text.to_ascii_uppercase();
        let usual = [
            "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT",
        ];
        if usual.contains(&upper.as_str()) && text != upper {
            let write = format!("write \"{upper}\": methods are case-sensitive");
            return refuse(format!("{text:?} would match no usual request"), write);
        }
        if is_token(text) {
            Ok(Self(text.to_owned()))
        } else {
            refuse(
                format!("{text:?} is not a method"),
                "write a word such as \"GET\"; leave `methods` out for any",
            )
        }
    }
}

/// The name of a header field, in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(String);

impl HeaderName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for HeaderName {
    const WHAT: &'static str = "the name of a header field";
    fn parse(text: &str) -> Result<Self, Refused> {
        if is_token(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            refuse(
                format!("{text:?} is not the name of a header field"),
                "write a name such as \"x-beta\"",
            )
        }
    }
}

/// The value of a header field, without blanks around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderValue(String);

impl HeaderValue {
    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for HeaderValue {
    const WHAT: &'static str = "the value of a header field";
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.chars().any(|c| c.is_control() && c != '\t') || text.trim_matches([' ', '\t']) != text {
            let write = "write it without line ends, and without blanks around it";
            return refuse(
                format!("{text:?} is no value that a header field can have"),
                write,
            );
        }
        Ok(Self(text.to_owned()))
    }
}

/// A file in the folder of plugins.
#[derive(Clone)]
pub(super) struct PluginFile(pub(super) String);

impl Text for PluginFile {
    const WHAT: &'static str = "a file name such as \"header_rewrite.wasm\"";
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.contains(['/', '\\', '\0']) {
            let write =
                "write the name of a file in the folder of plugins, which [plugins] names as `directory`";
            return refuse(format!("{text:?} is not the name of a file"), write);
        }
        match text.strip_suffix(".wasm") {
            Some(stem) if !stem.is_empty() && !stem.starts_with('.') => Ok(Self(text.to_owned())),
            _ => refuse(
                format!("{text:?} is not the name of a plugin's file"),
                format!("write \"{text}.wasm\""),
            ),
        }
    }
}

/// A SHA-256 hash in hexadecimal digits.
#[derive(Clone)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl Text for Sha256 {
    const WHAT: &'static str = "a SHA-256 hash, as `sha256sum` prints it";
    fn parse(text: &str) -> Result<Self, Refused> {
        let mut hash = [0; 32];
        let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
        match digits {
            Some(digits) if digits.len() == 64 => {
                for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = pair[0] << 4 | pair[1];
                }
                Ok(Self(hash))
            }
            _ => refuse(
                format!("{text:?} is not a SHA-256 hash"),
                "write its 64 hexadecimal digits, as `sha256sum` prints them",
            ),
        }
    }
}

/// A text of one line that can stand in a header field, in a log and in a metric's label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word(pub(super) String);

impl Text for Word {
    const WHAT: &'static str = "a short text in quotes";
    fn parse(text: &str) -> Result<Self, Refused> {
        let inside = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if inside && !text.is_empty() && text.len() <= 255 && text.trim() == text {
            Ok(Self(text.to_owned()))
        } else {
            let write = "write 1 to 255 ASCII characters, without line ends, and without blanks around them";
            refuse(format!("{text:?} cannot be used here"), write)
        }
    }
}

impl Text for super::resolved::HostHeader {
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
