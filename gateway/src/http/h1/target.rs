//! The request target and the authority: which host is meant, and which path (RFC 9112, 3.2).

use std::net::Ipv6Addr;

use super::Malformed;
use crate::http::fields::{Known, Span};
use crate::http::head::{Method, RequestHead};

/// A request target, taken apart.
#[derive(Debug)]
pub(super) struct Target {
    /// The authority of the absolute form.
    pub(super) authority: Option<Span>,
    /// Path and query.
    pub(super) path: Span,
    /// Whether it has surely no path that [`RequestHead::normalize_path`] would change or refuse. Most have none.
    pub(super) is_plain: bool,
    /// The absolute form may leave the path out, so `path` is empty or only a query.
    pub(super) path_missing: bool,
    /// The port that the scheme of the absolute form means where none is named, with its colon.
    pub(super) default_port: &'static str,
}

/// Takes the target apart; `whole` is the buffer that it stands in.
pub(super) fn parse_target(whole: &[u8], target: &[u8], method: Method) -> Result<Target, Malformed> {
    match method {
        Method::Connect => return Err(Malformed::Connect),
        Method::Trace => return Err(Malformed::Trace),
        _ => {}
    }
    // httparse let neither controls nor white space through.
    let seen = survey(target);
    if seen & BAD != 0 {
        return Err(Malformed::Target);
    }
    let is_plain = seen & ODD == 0;
    if target.first() == Some(&b'/') || (target == b"*" && method == Method::Options) {
        let path = Span::of(whole, target);
        return Ok(Target { authority: None, path, is_plain, path_missing: false, default_port: "" });
    }
    let (rest, default_port) = strip_scheme(target).ok_or(Malformed::Target)?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !valid_authority(authority) {
        return Err(Malformed::Target);
    }
    Ok(Target {
        authority: Some(Span::of(whole, authority)),
        path: Span::of(whole, path),
        is_plain,
        path_missing: path.first() != Some(&b'/'),
        default_port,
    })
}

/// A byte that no target has: of a fragment, or beyond ASCII.
const BAD: u8 = 1;
/// An escape, a slash of the wrong kind, or a slash before another one or before a dot: what makes a path worth a closer look.
const ODD: u8 = 2;
/// So many bytes of a target are looked at at a time.
const BLOCK: usize = 16;

/// Which of [`BAD`] and [`ODD`] there is anywhere in a target. Without branches, and in blocks of one size, the last of which overlaps
/// the one before: so the compiler makes a few vector instructions of each.
fn survey(target: &[u8]) -> u8 {
    let first = pair(0, target.first().copied().unwrap_or_default());
    let Some(last) = target.last_chunk() else {
        return target.windows(2).fold(first, |seen, two| seen | pair(two[0], two[1]));
    };
    let mut seen = [first; BLOCK];
    look(&mut seen, last);
    let mut rest = target;
    while let Some(block) = rest.first_chunk() {
        look(&mut seen, block);
        rest = &rest[BLOCK..];
    }
    seen.iter().fold(0, |all, seen| all | seen)
}

fn look(seen: &mut [u8; BLOCK], block: &[u8; BLOCK + 1]) {
    for ((seen, &before), &byte) in seen.iter_mut().zip(block).zip(&block[1..]) {
        *seen |= pair(before, byte);
    }
}

/// What a byte behind another one is.
fn pair(before: u8, byte: u8) -> u8 {
    let is_bad = u8::from(byte == b'#') | (byte >> 7);
    let follows_slash = u8::from(before == b'/') & (u8::from(byte == b'/') | u8::from(byte == b'.'));
    let is_odd = u8::from(byte == b'%') | u8::from(byte == b'\\') | follows_slash;
    (is_bad * BAD) | (is_odd * ODD)
}

/// Whether this is a path with or without a query that may stand in a request line, as an edit must ask
/// before it sets one: a space or CR LF would end the line early.
pub fn valid_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && path.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#')
}

/// What follows `http://` or `https://`, in any case, and the scheme's own port.
fn strip_scheme(target: &[u8]) -> Option<(&[u8], &'static str)> {
    [(&b"http://"[..], ":80"), (b"https://", ":443")].iter().find_map(|(scheme, port)| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some((rest, *port))
    })
}

/// Whether Host, if there is one, names the same as the target of an absolute form.
pub(super) fn same_authority(head: &RequestHead, default_port: &str) -> bool {
    let without_port = |authority: &[u8]| {
        authority.strip_suffix(default_port.as_bytes()).unwrap_or(authority).to_ascii_lowercase()
    };
    let host = head.fields.known(Known::Host);
    host.is_none_or(|host| without_port(host) == without_port(head.authority()))
}

/// Whether this is `host` or `host:port` as a request may name it.
///
/// Narrower than RFC 3986: no user information, no percent-encoding and no sub-delimiters in the host, no
/// empty host or port. No DNS name has them, and a comma or a quote would change the fields in which
/// the host is passed on.
pub fn valid_authority(authority: &[u8]) -> bool {
    let (host_is_valid, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else {
                return false;
            };
            let address = std::str::from_utf8(&rest[..end]).unwrap_or("");
            (address.parse::<Ipv6Addr>().is_ok(), &rest[end + 1..])
        }
        None => {
            let is_host = |byte: &u8| HOST_BYTES[usize::from(*byte)];
            let end = authority.iter().position(|byte| !is_host(byte)).unwrap_or(authority.len());
            (end > 0, &authority[end..])
        }
    };
    host_is_valid && (port.is_empty() || port.strip_prefix(b":").is_some_and(valid_port))
}

/// What a host's name or IPv4 address is made of. A table, since each request has one.
static HOST_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    bytes
};

fn valid_port(port: &[u8]) -> bool {
    (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::path::is_surely_plain;

    #[test]
    fn an_authority_is_a_plain_host_and_a_port() {
        for authority in ["a", "a.example:80", "192.0.2.1", "[::1]", "[2001:db8::1]:65535", "a_b~c-d"] {
            assert!(valid_authority(authority.as_bytes()), "{authority}");
        }
        for authority in [
            "", ":80", "a:", "a:b", "a:65536", "a:080808", "a:80:80", "a@b", "a,b", "a%41", "a/b", "a b",
            "a#b", "ä", "[::1", "[::1]x", "[a]", "::1",
        ] {
            assert!(!valid_authority(authority.as_bytes()), "{authority}");
        }
    }

    #[test]
    fn a_target_with_a_fragment_or_beyond_ascii_is_refused_wherever_that_stands() {
        for length in [1, 15, 16, 17, 40, 64, 100] {
            for place in 1..=length {
                let mut target = vec![b'/'; length];
                assert!(parse_target(&target, &target, Method::Get).is_ok());
                for byte in [b'#', 0x80, 0xff] {
                    target.insert(place, byte);
                    assert!(parse_target(&target, &target, Method::Get).is_err(), "{byte} at {place}");
                    target.remove(place);
                }
            }
        }
    }

    #[test]
    fn a_path_that_would_be_changed_or_refused_is_never_called_plain() {
        for length in [1, 2, 15, 16, 17, 18, 32, 33, 34, 40, 64, 100] {
            let mut target = vec![b'a'; length];
            target[0] = b'/';
            assert_eq!(survey(&target), 0, "{length}");
            for place in 1..length {
                for odd in [&b"%"[..], b"\\", b"//", b"/."] {
                    let mut target = target.clone();
                    target.splice(place..place + 1, odd.iter().copied());
                    assert_eq!(survey(&target), ODD, "{odd:?} at {place} of {length}");
                    assert!(!is_surely_plain(&target));
                }
            }
        }
    }
}
