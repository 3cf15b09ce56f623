//! Opens the listeners' sockets, before a configuration takes over: one that cannot be had is an error like any other.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use super::config::{Config, Error, Errors};
use crate::name::Name;
use crate::transport::ports::{Opened, Ports, Wanted};

/// The listeners' sockets by name.
pub(super) type Listening = BTreeMap<Name, Opened>;

/// Opens all listeners of a configuration; those that are open already stay as they are.
///
/// # Errors
/// Each address that is not to be had, with its place and what to do. Then nothing was opened.
pub(super) fn open(config: &Config, ports: &Ports) -> Result<Listening, Errors> {
    let wanted: Vec<Wanted> = config
        .listeners
        .iter()
        .map(|(name, listener)| Wanted { name: name.clone(), address: listener.address.value })
        .collect();
    match ports.open(&wanted) {
        Ok(opened) => Ok(config.listeners.keys().cloned().zip(opened).collect()),
        Err(refused) => {
            let errors = refused.into_iter().map(|refused| {
                let Wanted { name, address } = refused.wanted;
                let what = format!("the listener {name} cannot listen on {address}: {}", refused.error);
                Error::new(&config.listeners[&name].address.place, what).note(advice(&refused.error, address))
            });
            Err(Errors::from_list(errors.collect()).expect("one was refused at least"))
        }
    }
}

fn advice(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("see who does with `ss -ltnp 'sport = :{}'`", address.port()),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; name a higher port".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "name an address of this machine, or 0.0.0.0 for all of them".into()
        }
        _ => "name another address".into(),
    }
}
