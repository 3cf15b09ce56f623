//! Who sends PROXY headers, and who gets them.

use super::{Parse, items};
use crate::cidr::Cidr;
use crate::control::config::reading::{Key, List};
use crate::transport::dial::NodeProtocol;
use crate::transport::proxy_protocol::Version;

impl Parse {
    /// The peers that begin each connection to a listener with a header.
    pub(super) fn proxies(&mut self, list: Key<List<Cidr>>) -> Vec<Cidr> {
        if let Key::Is(list) = &list
            && list.value.empty
        {
            let write = "name who sends PROXY headers: [\"10.0.0.0/8\"], or leave `proxy_protocol` out";
            self.wrong(&list.place, "nobody would be asked for a PROXY header", write);
        }
        items(list.get().map(|at| at.value.items))
    }

    /// The header that a pool's nodes get. A connection that many clients share has no one client to tell.
    pub(super) fn told_nodes(&mut self, version: Key<Version>, protocol: NodeProtocol) -> Option<Version> {
        if let (Key::Is(version), NodeProtocol::Http2) = (&version, protocol) {
            let write =
                "leave it out (`X-Forwarded-For` tells the client), or leave `protocol = \"http2\"` out";
            self.wrong(&version.place, "in HTTP/2 many clients share a connection to a node", write);
        }
        version.get().map(|at| at.value)
    }
}
