//! What is compared of hosts, paths and whole routes: the forms in which equal things are equal bytes.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

use super::{HostPattern, PathPattern, RouteMatch};

/// The longest name of a host (RFC 1035, 2.3.4, and a byte for good measure).
pub(super) const LONGEST_HOST: usize = 255;

/// A request's host as it is compared: without port and trailing dot, in lower case. Empty for one that is longer
/// than any host's name: it belongs to no one.
pub(super) fn host<'a>(authority: &[u8], buffer: &'a mut [u8; LONGEST_HOST]) -> &'a [u8] {
    let host = without_port(authority);
    let host = host.strip_suffix(b".").unwrap_or(host);
    let Some(normal) = buffer.get_mut(..host.len()) else {
        return &[];
    };
    normal.copy_from_slice(host);
    normal.make_ascii_lowercase();
    normal
}

/// A request's path as it is compared: without the parameters of its segments (RFC 3986, 3.3), which some servers cut off
/// and others do not, so that they lead to no other route.
pub(super) fn path(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b';', path).is_none() {
        return Cow::Borrowed(path);
    }
    let mut bare: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match memchr(b';', segment) {
            None => bare.push(segment),
            // Without its parameters it is none: two slashes in a row would be left.
            Some(0) => {}
            Some(end) => bare.push(&segment[..end]),
        }
    }
    if bare.len() == 1 {
        bare.push(b"");
    }
    Cow::Owned(bare.join(&b'/'))
}

/// The host of an authority (RFC 3986, 3.2): what stands before its port.
pub fn without_port(authority: &[u8]) -> &[u8] {
    let end = if authority.starts_with(b"[") {
        memchr(b']', authority).map(|bracket| bracket + 1)
    } else {
        memrchr(b':', authority)
    };
    &authority[..end.unwrap_or(authority.len())]
}

/// A route's match in the form in which two that say the same are equal.
pub(super) fn route(route: &RouteMatch) -> RouteMatch {
    let name = |host: &str| Box::from(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase());
    let header = |(name, value): &(Box<str>, Box<str>)| (Box::from(name.to_ascii_lowercase()), value.clone());
    RouteMatch {
        listeners: route.listeners.clone().map(sorted),
        host: match &route.host {
            HostPattern::Any => HostPattern::Any,
            HostPattern::Exact(host) => HostPattern::Exact(name(host)),
            HostPattern::Suffix(host) => HostPattern::Suffix(name(host.strip_prefix("*.").unwrap_or(host))),
        },
        path: match &route.path {
            PathPattern::Exact(path) => PathPattern::Exact(path.clone()),
            PathPattern::Prefix(path) => PathPattern::Prefix(path.strip_suffix('/').unwrap_or(path).into()),
        },
        methods: sorted(route.methods.clone()),
        headers: sorted(route.headers.iter().map(header).collect()),
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_parameters() {
        for (sent, expected) in [
            ("/a/b", "/a/b"),
            ("/a;v=1/b;", "/a/b"),
            ("/;x/a", "/a"),
            ("/a/;x", "/a"),
            ("/;x", "/"),
            ("/a;b;c", "/a"),
            ("/;", "/"),
            ("*", "*"),
        ] {
            assert_eq!(*path(sent.as_bytes()), *expected.as_bytes(), "{sent}");
        }
    }

    #[test]
    fn hosts_are_compared_without_port_case_and_trailing_dot() {
        for (authority, expected) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::FF]", "[::ff]"),
            ("[::1", "[::1"),
            ("", ""),
            (":80", ""),
        ] {
            let mut buffer = [0; LONGEST_HOST];
            assert_eq!(host(authority.as_bytes(), &mut buffer), expected.as_bytes(), "{authority}");
        }
        let mut buffer = [0; LONGEST_HOST];
        assert_eq!(host(&[b'a'; LONGEST_HOST], &mut buffer).len(), LONGEST_HOST);
        assert_eq!(host(&[b'a'; LONGEST_HOST + 1], &mut buffer), b"");
    }
}
