//! Version 2: a signature, what kind it is, a length, the addresses, and further fields of which none is needed here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, Malformed};

/// What it begins with: no protocol's first bytes.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, kind and length.
const FIXED: usize = 16;
/// The most that may follow. Chosen: the longest addresses have 216 bytes, and what clouds add of names, certificates and
/// checksums is some hundred.
const MOST: usize = 4 * 1024;
/// Version 2, spoken for itself; and for somebody else.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// What the addresses are.
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((&[command, family, high, low], rest)) =
        bytes.get(SIGNATURE.len()..).and_then(|rest| rest.split_first_chunk())
    else {
        return Ok(None);
    };
    if command != LOCAL && command != PROXY {
        return Err(Malformed::Kind);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST {
        return Err(Malformed::TooLong);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let ends = match (command, family) {
        // Whatever stands in it means nothing.
        (LOCAL, _) | (PROXY, UNSPECIFIED) => None,
        (_, TCP4) => Some(ends::<4>(body)?),
        (_, TCP6) => Some(ends::<16>(body)?),
        _ => return Err(Malformed::Kind),
    };
    Ok(Some(Header { ends, length: FIXED + length }))
}

/// Two addresses of so many bytes, two ports, and fields up to the end.
fn ends<const N: usize>(body: &[u8]) -> Result<Ends, Malformed>
where
    [u8; N]: Address,
{
    let (client, rest) = body.split_first_chunk::<N>().ok_or(Malformed::Length)?;
    let (server, rest) = rest.split_first_chunk::<N>().ok_or(Malformed::Length)?;
    let (&[a, b, c, d], fields) = rest.split_first_chunk().ok_or(Malformed::Length)?;
    if !are_whole(fields) {
        return Err(Malformed::Length);
    }
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ok(Ends { client: SocketAddr::new(client.ip(), from), server: SocketAddr::new(server.ip(), to) })
}

/// Whether these are fields of a type, a length and a value each, and nothing more.
fn are_whole(mut fields: &[u8]) -> bool {
    while !fields.is_empty() {
        let Some((&[_, high, low], rest)) = fields.split_first_chunk() else { return false };
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        fields = rest;
    }
    true
}

/// The bytes of an address.
trait Address {
    fn ip(&self) -> IpAddr;
}

impl Address for [u8; 4] {
    fn ip(&self) -> IpAddr {
        Ipv4Addr::from_octets(*self).into()
    }
}

impl Address for [u8; 16] {
    fn ip(&self) -> IpAddr {
        Ipv6Addr::from_octets(*self).into()
    }
}

pub(super) fn encode(ends: Option<Ends>) -> Vec<u8> {
    let (command, family, body) = match ends {
        None => (LOCAL, UNSPECIFIED, Vec::new()),
        Some(ends) => (PROXY, if ends.client.is_ipv4() { TCP4 } else { TCP6 }, addresses(ends)),
    };
    let length = body.len() as u16;
    [SIGNATURE, &[command, family], &length.to_be_bytes(), &body].concat()
}

fn addresses(Ends { client, server }: Ends) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(36);
    for ip in [client.ip(), server.ip()] {
        match ip {
            IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
        }
    }
    bytes.extend_from_slice(&client.port().to_be_bytes());
    bytes.extend_from_slice(&server.port().to_be_bytes());
    bytes
}
