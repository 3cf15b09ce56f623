//! The sockets that the gateway listens on: control opens them before a configuration takes over, and workers take theirs
//! when they see it.
//!
//! A listener is known by its sockets: one that only changes its name keeps them, and one that moves is another. Nothing
//! here accepts. The lock is taken when listeners change, never for a connection.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::listen::{claim, listen};
use crate::name::Name;

/// Knows a listener's sockets for as long as the process lives; no other listener gets the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortId(u32);

impl PortId {
    /// The same as a number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// What a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The listener's name.
    pub name: Name,
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
}

/// What it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// By which workers ask for the sockets.
    pub id: PortId,
    /// Where: with the port that the system chose for port 0.
    pub address: SocketAddr,
}

/// An address that is not to be had.
#[derive(Debug)]
pub struct Refused {
    /// Which of the wanted.
    pub wanted: Wanted,
    /// What the system said.
    pub error: io::Error,
}

/// Every listening socket of the gateway.
#[derive(Debug)]
pub struct Ports {
    workers: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last: u32,
    /// Numbers of all ports that were ever open: workers may still be closing some.
    ours: BTreeSet<u16>,
    open: Vec<Port>,
}

#[derive(Debug)]
struct Port {
    wanted: Wanted,
    opened: Opened,
    sockets: Vec<TcpListener>,
}

impl Ports {
    /// None are open yet; each will have a socket for each worker.
    pub fn new(workers: usize) -> Ports {
        Ports { workers, table: Mutex::default() }
    }

    /// How many workers share each port.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Opens what is wanted and not open yet, all of it or nothing. What is open and not wanted stays until
    /// [`Ports::keep`].
    ///
    /// # Errors
    /// Each address that is not to be had.
    pub fn open(&self, wanted: &[Wanted]) -> Result<Vec<Opened>, Vec<Refused>> {
        let mut table = self.table();
        let (mut opened, mut fresh, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in wanted {
            let found = table.open.iter_mut().find(|port| port.is_for(wanted));
            if let Some(port) = found {
                port.wanted = wanted.clone();
                opened.push(port.opened);
                continue;
            }
            match bind(wanted.address, self.workers, &table) {
                Ok((address, sockets)) => {
                    table.last += 1;
                    table.ours.insert(address.port());
                    let port = Opened { id: PortId(table.last), address };
                    opened.push(port);
                    fresh.push(Port { wanted: wanted.clone(), opened: port, sockets });
                }
                Err(error) => refused.push(Refused { wanted: wanted.clone(), error }),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        table.open.append(&mut fresh);
        Ok(opened)
    }

    /// Lets go of all others: workers that have their sockets close them when they see that their listener is gone.
    pub fn keep(&self, ids: impl Fn(PortId) -> bool) {
        self.table().open.retain(|port| ids(port.opened.id));
    }

    /// The sockets of a port that a worker serves; none if the port is closed already.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn take(&self, id: PortId, worker: usize) -> io::Result<Vec<TcpListener>> {
        let table = self.table();
        let Some(port) = table.open.iter().find(|port| port.opened.id == id) else {
            return Ok(Vec::new());
        };
        let share = port.sockets.iter().skip(worker).step_by(self.workers);
        share.map(TcpListener::try_clone).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is whole before anything can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    /// Port 0 is another port for each name.
    fn is_for(&self, wanted: &Wanted) -> bool {
        let same_name = self.wanted.name == wanted.name;
        self.wanted.address == wanted.address && (wanted.address.port() != 0 || same_name)
    }
}

/// A socket for each worker.
fn bind(wanted: SocketAddr, workers: usize, table: &Table) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // With SO_REUSEPORT two gateways would share the address without a word. Our own sockets may overlap with it for a
    // moment: those of a listener that moves from 0.0.0.0 to one address, or that was closed just now.
    if wanted.port() != 0 && !table.ours.contains(&wanted.port()) {
        claim(wanted)?;
    }
    let first = listen(wanted)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| listen(address));
    let sockets = std::iter::once(Ok(first)).chain(others).collect::<io::Result<_>>()?;
    Ok((address, sockets))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpStream;

    use super::*;

    fn wanted(name: &str, address: &str) -> Wanted {
        Wanted { name: name.parse().unwrap(), address: address.parse().unwrap() }
    }

    #[test]
    fn what_is_open_stays_and_what_moves_is_another() {
        let ports = Ports::new(2);
        let first = ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap();
        assert_eq!(ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap(), first);
        let other = ports.open(&[wanted("b", "127.0.0.1:0")]).unwrap();
        assert_ne!(other[0].id, first[0].id);
        let address = first[0].address.to_string();
        let moved = ports.open(&[wanted("a", &address)]).unwrap();
        assert_ne!(moved[0].id, first[0].id, "port 0 was asked for before, and now this one");
    }

    #[test]
    fn a_listener_that_only_changes_its_name_keeps_its_sockets() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let ports = Ports::new(1);
        let before = ports.open(&[wanted("a", &free)]).unwrap();
        assert_eq!(ports.open(&[wanted("b", &free)]).unwrap(), before);
    }

    #[test]
    fn one_address_that_is_taken_opens_nothing() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ports = Ports::new(1);
        let all = [wanted("a", &free.to_string()), wanted("b", &taken.local_addr().unwrap().to_string())];
        let refused = ports.open(&all).unwrap_err();
        assert_eq!((refused.len(), refused[0].wanted.name.as_str()), (1, "b"));
        assert!(TcpStream::connect(free).is_err(), "what was opened is closed again");
    }

    #[test]
    fn each_socket_is_served_by_one_worker_and_closed_by_the_last_who_has_it() {
        let ports = Ports::new(2);
        let opened = ports.open(&[wanted("a", "127.0.0.1:0")]).unwrap()[0];
        let taken = [0, 1].map(|worker| ports.take(opened.id, worker).unwrap());
        assert_eq!(taken.each_ref().map(Vec::len), [1, 1]);
        ports.keep(|_| false);
        assert!(ports.take(opened.id, 0).unwrap().is_empty());
        TcpStream::connect(opened.address).unwrap();
        drop(taken);
        assert!(TcpStream::connect(opened.address).is_err());
    }
}
