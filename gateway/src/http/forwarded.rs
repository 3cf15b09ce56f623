//! Who asked: X-Forwarded-For, -Proto, -Host, Forwarded (RFC 7239) and Client-Cert (RFC 9440) for the nodes, and the
//! client's address for ourselves.
//!
//! What a client says about itself counts only if its address is trusted. The fields are
//! written on every attempt, so that is done without allocating or formatting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::{Fields, Known};
use super::head::RequestHead;

/// Who handed us the request, and how.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// The other end of the connection, trusted or not: each hop adds the one before it. Not the result
    /// of [`client_address`], which stands further left in the same list.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy: what it says is then kept, and the lists appended to.
    pub peer_trusted: bool,
    /// `http` or `https`, as the peer spoke to us.
    pub proto: &'a str,
    /// The authority that was asked for; empty if none was.
    pub host: &'a [u8],
    /// The value of Client-Cert, if nodes are told whose certificate the client showed.
    pub certificate: Option<&'a [u8]>,
}

impl Forwarded<'_> {
    /// Writes these fields; `fields` are those that the peer sent.
    pub(crate) fn write(&self, fields: &Fields, out: &mut Vec<u8>) {
        let address = Address::new(self.peer);
        out.extend_from_slice(b"x-forwarded-for: ");
        self.continue_list(fields, Known::XForwardedFor, out);
        out.extend_from_slice(address.text());
        out.extend_from_slice(b"\r\nx-forwarded-proto: ");
        out.extend_from_slice(self.told(fields, Known::XForwardedProto).unwrap_or(self.proto.as_bytes()));
        let host = self.told(fields, Known::XForwardedHost).unwrap_or(self.host);
        if !host.is_empty() {
            out.extend_from_slice(b"\r\nx-forwarded-host: ");
            out.extend_from_slice(host);
        }
        out.extend_from_slice(b"\r\nforwarded: ");
        self.continue_list(fields, Known::Forwarded, out);
        out.extend_from_slice(b"for=");
        if address.is_v6 {
            out.extend_from_slice(b"\"[");
            out.extend_from_slice(address.text());
            out.extend_from_slice(b"]\"");
        } else {
            out.extend_from_slice(address.text());
        }
        // In quotes, since a colon is no token; a host that would end them was never a valid authority.
        if !self.host.is_empty() && memchr::memchr2(b'"', b'\\', self.host).is_none() {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(self.host);
            out.push(b'"');
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.proto.as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(certificate) = self.certificate {
            for piece in [b"client-cert: ", certificate, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
    }

    /// What a trusted peer says.
    fn told<'f>(&self, fields: &'f Fields, known: Known) -> Option<&'f [u8]> {
        if !self.peer_trusted {
            return None;
        }
        fields.known(known).filter(|value| !value.is_empty())
    }

    /// Writes a trusted peer's list, so that one more element can follow.
    fn continue_list(&self, fields: &Fields, known: Known, out: &mut Vec<u8>) {
        if !self.peer_trusted {
            return;
        }
        for value in fields.known_all(known).filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
}

/// The client's address: the right-most one in X-Forwarded-For that is not trusted, if the peer is.
///
/// Each trusted hop vouches for the address that it added. A list that ends or makes no sense before an
/// untrusted address was met gives the last address that was vouched for.
pub fn client_address(head: &RequestHead, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusted(client) {
        return client;
    }
    let lines: Vec<&[u8]> = head.fields.known_all(Known::XForwardedFor).collect();
    let hops = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','))
        .map(|hop| hop.trim_ascii())
        .filter(|hop| !hop.is_empty());
    for hop in hops {
        let Some(address) = parse_address(hop) else {
            break;
        };
        client = address;
        if !trusted(client) {
            break;
        }
    }
    client
}

/// An address, with a port as some proxies write it.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>())
        .ok()?;
    Some(address.to_canonical())
}

/// An address as text, without the formatting machinery.
struct Address {
    text: [u8; 39],
    length: usize,
    is_v6: bool,
}

impl Address {
    fn new(address: IpAddr) -> Address {
        let mut text = Address { text: [0; 39], length: 0, is_v6: false };
        // An IPv4 client of a dual-stack listener is an IPv4 client.
        match address.to_canonical() {
            IpAddr::V4(address) => text.v4(address),
            IpAddr::V6(address) => text.v6(address),
        }
        text
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.text[self.length] = byte;
        self.length += 1;
    }

    fn v4(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
        }
    }

    /// As RFC 5952 wants it: lower case, the first of the longest runs of zero groups as "::".
    fn v6(&mut self, address: Ipv6Addr) {
        self.is_v6 = true;
        let groups = address.segments();
        let zeros = longest_zeros(&groups);
        let mut index = 0;
        while index < groups.len() {
            if zeros.len() > 1 && index == zeros.start {
                self.push(b':');
                self.push(b':');
                index = zeros.end;
                continue;
            }
            if index > 0 && self.text[self.length - 1] != b':' {
                self.push(b':');
            }
            self.group(groups[index]);
            index += 1;
        }
    }

    fn group(&mut self, group: u16) {
        let mut started = false;
        for shift in [12, 8, 4, 0] {
            let digit = usize::from(group >> shift & 15);
            if digit != 0 || started || shift == 0 {
                started = true;
                self.push(b"0123456789abcdef"[digit]);
            }
        }
    }
}

fn longest_zeros(groups: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (index, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start > longest.len() {
            longest = start..index + 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests;
