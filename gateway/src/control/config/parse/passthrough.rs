//! Listeners that pass TCP through, and their routes: what speaks of HTTP has no place there.

use std::collections::{BTreeMap, BTreeSet};

use super::Parse;
use super::route::Known;
use crate::control::config::error::At;
use crate::control::config::file;
use crate::control::config::reading::Key;
use crate::control::config::resolved::{ListenerProtocol, Pool, Route};
use crate::name::Name;
use crate::transport::dial::NodeProtocol;

/// Whether a listener's connections are passed on as they are.
pub(super) fn passes(listener: &file::Listener) -> bool {
    matches!(&listener.protocol, Key::Is(at) if at.value == ListenerProtocol::Tcp)
}

impl Parse {
    /// What a listener that passes TCP through cannot do.
    pub(super) fn only_passing(&mut self, listener: &file::Listener) {
        let write = "leave it out, or leave `protocol = \"tcp\"` out";
        if let Key::Is(tls) = &listener.tls {
            let what = "TLS is not ended here: it is passed on to the nodes, who show their own certificates";
            self.wrong(&tls.place, what, write);
        }
        let what = "HTTP is not looked for here";
        if let Key::Is(redirect) = &listener.redirect {
            self.wrong(&redirect.place, what, write);
        }
        if let Key::Is(http2) = &listener.http2 {
            self.wrong(&http2.place, what, write);
        }
        if let Key::Is(streams) = &listener.http2_streams {
            self.wrong(&streams.place, what, write);
        }
        if let Key::Is(requests) = &listener.requests_per_connection {
            self.wrong(&requests.place, what, write);
        }
    }

    /// Whether a route's connections are passed on as they are: its listeners tell, and there all agree.
    pub(super) fn is_passing(&mut self, route: &At<Name>, listeners: &BTreeSet<Name>, known: &Known) -> bool {
        let tcp = listeners.iter().find(|name| known.tcp.contains(*name));
        let http = listeners.iter().find(|name| known.speak_http(name));
        if let (Some(tcp), Some(http)) = (tcp, http) {
            let what = format!("\"{http}\" speaks HTTP, and \"{tcp}\" passes TCP through");
            self.wrong(&route.place, what, "make a route for each");
        }
        tcp.is_some()
    }

    /// Refuses what a route says of HTTP although nobody looks for that.
    pub(super) fn only_host(&mut self, route: &file::Route) {
        self.needs_http("path", &route.path);
        self.needs_http("path_exact", &route.path_exact);
        self.needs_http("methods", &route.methods);
        self.needs_http("headers", &route.headers);
        self.needs_http("filters", &route.filters);
        self.needs_http("timeout", &route.timeout);
        self.needs_http("total_timeout", &route.total_timeout);
        self.needs_http("max_body", &route.max_body);
        self.needs_http("min_rate", &route.min_rate);
    }

    /// What passes through is in no stream of HTTP/2.
    pub(super) fn plain_pools(&mut self, routes: &[Route], pools: &BTreeMap<Name, Pool>) {
        for route in routes.iter().filter(|route| route.passes) {
            let pool = pools.get(&route.pool.value);
            if pool.is_some_and(|pool| pool.protocol == NodeProtocol::Http2) {
                let what = format!(
                    "the pool \"{}\" speaks HTTP/2, and this route passes TCP through",
                    route.pool.value
                );
                self.wrong(&route.pool.place, what, "name a pool without `protocol = \"http2\"`");
            }
        }
    }

    fn needs_http<T>(&mut self, key: &str, value: &Key<T>) {
        if let Key::Is(at) = value {
            let what = format!("`{key}` speaks of HTTP, and this route's listener passes TCP through");
            self.wrong(&at.place, what, "leave it out: such a route is chosen by `host` alone");
        }
    }

    /// A route that names no listener is for those that speak HTTP; there has to be one.
    pub(super) fn some_http(&mut self, route: &At<Name>, known: &Known) {
        if let (None, Some(tcp)) = (known.http().next(), known.tcp.first()) {
            let what = "no listener speaks HTTP, and those that pass TCP through have to be named";
            self.wrong(&route.place, what, format!("add `listeners = [\"{tcp}\"]`"));
        }
    }
}
