//! The route table: from listener, host, path, method and headers to what the configuration says of them.
//!
//! A lookup costs a few hash lookups, however many routes there are, allocates nothing (but for a path with parameters), and looks at no more of a
//! hostile host or path than the longest one that is configured.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use memchr::{memchr, memchr_iter};

use crate::http::head::RequestHead;

mod normal;
mod paths;

pub use normal::without_port;
use paths::Paths;

/// Which requests a route is for. All of its parts must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteMatch {
    /// The listeners that it serves, by number; all of them if none are named.
    pub listeners: Option<Vec<u16>>,
    /// The host.
    pub host: HostPattern,
    /// The path.
    pub path: PathPattern,
    /// The methods, case-sensitive (RFC 9110, 9.1); any if empty.
    pub methods: Vec<Box<str>>,
    /// Header fields, by name in any case, of which some line must have exactly this value.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// The hosts of a route, compared without port, in any case, and without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Any, or none.
    Any,
    /// This one.
    Exact(Box<str>),
    /// All below this one, at any depth, but not itself: "example.com" stands for "*.example.com". A leading "*."
    /// may be there or not.
    Suffix(Box<str>),
}

/// The paths of a route, compared byte for byte, without the query and without the parameters of segments (`;a=b`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This one and all below it, by whole segments: "/api" is for /api, /api/ and /api/x, not for /apix. "/" is for
    /// all. A slash at its end means nothing.
    Prefix(Box<str>),
    /// This one only.
    Exact(Box<str>),
}

/// Two routes that match the same requests, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} match the same requests")]
pub struct Conflict {
    /// The earlier one.
    pub first: usize,
    /// The later one.
    pub second: usize,
}

/// Routes, and what each leads to.
///
/// The most specific route wins: an exact host, then the longest wildcard, then any host; for a host the exact path,
/// then the longest prefix; for a path the route with more conditions (methods as one, each header as one), then one
/// that is limited to listeners, then the one that is configured first. A route whose conditions do not hold is
/// passed over, and shorter prefixes and wider hosts are tried.
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<(RouteMatch, T)>,
    exact: Hosts,
    /// By what stands behind "*.".
    suffixes: Hosts,
    longest_suffix: usize,
    any: Paths,
}

type Hosts = HashMap<Box<[u8]>, Paths, FixedState>;

impl<T> RouteTable<T> {
    /// Builds the table from routes in the order of the configuration.
    ///
    /// # Errors
    /// Two routes match the same requests.
    pub fn new(routes: Vec<(RouteMatch, T)>) -> Result<RouteTable<T>, Conflict> {
        let normal: Vec<RouteMatch> = routes.iter().map(|(route, _)| normal::route(route)).collect();
        let mut seen = HashMap::new();
        for (second, route) in normal.iter().enumerate() {
            if let Some(first) = seen.insert(route, second) {
                return Err(Conflict { first, second });
            }
        }
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(rank(&normal[index])));
        let (mut exact, mut suffixes, mut any) = (Hosts::default(), Hosts::default(), Paths::default());
        for index in order {
            let route = &normal[index];
            let paths = match &route.host {
                HostPattern::Any => &mut any,
                HostPattern::Exact(host) => exact.entry(host.as_bytes().into()).or_default(),
                HostPattern::Suffix(host) => suffixes.entry(host.as_bytes().into()).or_default(),
            };
            paths.add(&route.path, index as u32);
        }
        let longest_suffix = suffixes.keys().map(|suffix| suffix.len()).max().unwrap_or(0);
        Ok(RouteTable { routes, exact, suffixes, longest_suffix, any })
    }

    /// What the best route for this request leads to.
    pub fn find(&self, listener: u16, request: &RequestHead) -> Option<&T> {
        let mut buffer = [0; normal::LONGEST_HOST];
        let host = normal::host(request.authority(), &mut buffer);
        let path = request.path();
        let path = &*normal::path(&path[..memchr(b'?', path).unwrap_or(path.len())]);
        self.best(host, path, &|index| holds(&self.routes[index as usize].0, listener, request))
    }

    /// What the best of the routes that name this listener leads to, by the host alone.
    pub fn find_passing(&self, listener: u16, host: &[u8]) -> Option<&T> {
        let mut buffer = [0; normal::LONGEST_HOST];
        let host = normal::host(host, &mut buffer);
        let names_it =
            |route: &RouteMatch| route.listeners.as_ref().is_some_and(|named| named.contains(&listener));
        self.best(host, b"/", &|index| names_it(&self.routes[index as usize].0))
    }

    fn best(&self, host: &[u8], path: &[u8], holds: &dyn Fn(u32) -> bool) -> Option<&T> {
        let in_exact = || self.exact.get(host)?.find(path, &holds);
        let in_suffixes = || self.suffixes_of(host).find_map(|paths| paths.find(path, &holds));
        let index = in_exact().or_else(in_suffixes).or_else(|| self.any.find(path, &holds))?;
        self.get(index as usize)
    }

    /// The paths of all wildcards that the host stands below, the longest one first.
    fn suffixes_of(&self, host: &[u8]) -> impl Iterator<Item = &Paths> {
        let host = if self.suffixes.is_empty() { &[] } else { host };
        let dots = memchr_iter(b'.', host).map(|dot| &host[dot + 1..]);
        dots.filter(|suffix| suffix.len() <= self.longest_suffix)
            .filter_map(|suffix| self.suffixes.get(suffix))
    }

    /// What a route leads to, by its place in the configuration.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.routes.get(index).map(|(_, target)| target)
    }

    /// All routes, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (&RouteMatch, &T)> {
        self.routes.iter().map(|(route, target)| (route, target))
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

/// How specific a route is among those of the same host and path.
fn rank(route: &RouteMatch) -> (usize, bool) {
    let conditions = usize::from(!route.methods.is_empty()) + route.headers.len();
    (conditions, route.listeners.is_some())
}

/// Whether all holds that a route asks for besides host and path.
fn holds(route: &RouteMatch, listener: u16, request: &RequestHead) -> bool {
    let on_listener = route.listeners.as_ref().is_none_or(|listeners| listeners.contains(&listener));
    let by_method =
        || route.methods.is_empty() || route.methods.iter().any(|method| **method == *request.method_name());
    let has = |(name, value): &(Box<str>, Box<str>)| {
        request.fields.get_all(name).any(|sent| sent == value.as_bytes())
    };
    on_listener && by_method() && route.headers.iter().all(has)
}

#[cfg(test)]
mod tests;
