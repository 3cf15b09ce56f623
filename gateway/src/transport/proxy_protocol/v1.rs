//! Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and a line's end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Ends, Header, Malformed};

/// What it begins with.
pub(super) const WORD: &[u8] = b"PROXY ";
/// The longest line, its end included: the text says so.
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let seen = &bytes[..bytes.len().min(LONGEST)];
    // No sender has a reason to write anything but visible characters and single spaces.
    let Some(end) = seen.iter().position(|byte| !matches!(byte, b' '..=b'~')) else {
        return if seen.len() < LONGEST { Ok(None) } else { Err(Malformed::TooLong) };
    };
    match &seen[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if seen.len() < LONGEST => return Ok(None),
        [b'\r'] => return Err(Malformed::TooLong),
        _ => return Err(Malformed::Line),
    }
    // A line that ends within its first word is none.
    let line = seen[..end].strip_prefix(WORD).ok_or(Malformed::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    Ok(Some(Header { ends: ends(line).ok_or(Malformed::Line)?, length: end + 2 }))
}

/// Between whom; none at all if the line is wrong.
fn ends(line: &str) -> Option<Option<Ends>> {
    let mut words = line.split(' ');
    let address = match words.next()? {
        // Whatever stands behind it means nothing.
        "UNKNOWN" => return Some(None),
        "TCP4" => address::<Ipv4Addr>,
        "TCP6" => address::<Ipv6Addr>,
        _ => return None,
    };
    let (client, server) = (address(words.next()?)?, address(words.next()?)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    let ends = Ends { client: SocketAddr::new(client, from), server: SocketAddr::new(server, to) };
    words.next().is_none().then_some(Some(ends))
}

/// An address of one family. The standard library reads them strictly: no leading zeros, no missing parts.
fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<A>().ok().map(Into::into)
}

/// A port in digits, without a sign or zeros before it.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

pub(super) fn encode(ends: Option<Ends>) -> Vec<u8> {
    let Some(Ends { client, server }) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let line =
        format!("PROXY {family} {} {} {} {}\r\n", client.ip(), server.ip(), client.port(), server.port());
    line.into_bytes()
}
