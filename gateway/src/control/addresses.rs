//! Where nodes are whose address is a name: asks the system's resolver.
//!
//! It blocks, so only control's builder thread may call it. A name that once was found stays where it was if the
//! resolver fails later: a name server's trouble must not become the nodes' trouble.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use tracing::warn;

use super::config::{Config, Error, NodeAddress, NodeHost};

/// The address of each name with its port, as the nodes' addresses write it.
pub(super) type Addresses = BTreeMap<String, SocketAddr>;

/// Looks up every name in the configuration once.
pub(super) fn resolve(config: &Config, earlier: &Addresses, errors: &mut Vec<Error>) -> Addresses {
    let mut addresses = Addresses::new();
    for node in config.pools.values().flat_map(|pool| &pool.nodes) {
        let text = node.address.as_str();
        if addresses.contains_key(text) {
            continue;
        }
        match (look_up(&node.address, earlier.get(text)), earlier.get(text)) {
            (Ok(address), _) => drop(addresses.insert(text.to_owned(), address)),
            (Err(error), Some(address)) => {
                warn!("{text} cannot be looked up now ({error}); it stays at {address}");
                addresses.insert(text.to_owned(), *address);
            }
            (Err(error), None) => errors.push(
                Error::new(&node.address.place, format!("{text} cannot be looked up: {error}"))
                    .note("write a name that the system's resolver knows, or an IP address"),
            ),
        }
    }
    addresses
}

/// The earlier address if the name still has it: servers turn the order of a name's addresses with each answer.
fn look_up(address: &NodeAddress, earlier: Option<&SocketAddr>) -> io::Result<SocketAddr> {
    let name = match address.host() {
        NodeHost::Ip(ip) => return Ok(SocketAddr::new(*ip, address.port())),
        NodeHost::Dns(name) => name.as_str(),
    };
    let found: Vec<_> = (name, address.port()).to_socket_addrs()?.collect();
    let kept = earlier.filter(|earlier| found.contains(earlier)).or(found.first());
    kept.copied().ok_or_else(|| io::Error::other("the name has no address"))
}
