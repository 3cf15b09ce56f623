//! The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what stands before the first byte of a connection
//! that somebody passes on, and tells between whom it was made.
//!
//! Bytes in, addresses out, and back; only `read` touches a socket. Who is believed is not decided here. It is stricter than
//! the text where senders have no reason to differ: what is not understood whole is refused, never guessed.

mod read;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use read::{Unread, read};

/// The two ends of a connection, as who passes it on saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who made it.
    pub client: SocketAddr,
    /// What it was made to.
    pub server: SocketAddr,
}

/// A header that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Between whom the connection is; none if its sender speaks for itself (LOCAL) or does not know (UNKNOWN, UNSPEC).
    pub ends: Option<Ends>,
    /// How many bytes it has.
    pub length: usize,
}

/// Bytes that are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin with none.
    #[error("no PROXY header stands first")]
    Missing,
    /// A line of version 1 that is not as it has to be.
    #[error("the PROXY line is malformed")]
    Line,
    /// A version, command, family or transport that there is not, or that no TCP connection has.
    #[error("the PROXY header is of a kind that is not understood")]
    Kind,
    /// Too short for its addresses, or what stands behind them does not fill it.
    #[error("the PROXY header's length is not that of its parts")]
    Length,
    /// Longer than any that is needed.
    #[error("the PROXY header is too long")]
    TooLong,
}

/// Which form a header is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Version {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        }
    }
}

/// The header at the front of these bytes; none if its end is not there yet.
///
/// # Errors
/// Whatever follows, this is no header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins(bytes, v1::WORD) {
        v1::parse(bytes)
    } else {
        Err(Malformed::Missing)
    }
}

/// Whether the bytes begin so, as far as they are there.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

/// Writes a header; without ends it says that the sender speaks for itself.
pub fn encode(version: Version, ends: Option<Ends>) -> Vec<u8> {
    let ends = ends.map(Ends::of_one_family);
    match version {
        Version::V1 => v1::encode(ends),
        Version::V2 => v2::encode(ends),
    }
}

impl Ends {
    /// The same with both addresses of one family, as both versions want it: as IPv4 if both are, else as IPv6.
    fn of_one_family(self) -> Ends {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (client, server) = (canonical(self.client), canonical(self.server));
        if client.is_ipv4() == server.is_ipv4() {
            return Ends { client, server };
        }
        let mapped = |end: SocketAddr| match end {
            SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            SocketAddr::V6(_) => end,
        };
        Ends { client: mapped(client), server: mapped(server) }
    }
}

#[cfg(test)]
mod tests;
