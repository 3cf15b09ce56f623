//! The sockets that the gateway listens on: control opens them before a configuration takes over, and workers take theirs
//! when they see it.
//!
//! A listener is known by its sockets: one that only changes its name keeps them, and one that moves is another. Sockets
//! may also come from another process, and go to one: a gateway is replaced on the very sockets that it has. Nothing here
//! accepts. The lock is taken when listeners change, never for a connection.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

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

/// Whose sockets they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// The listener of this name.
    Listener(Name),
    /// The admin API.
    Admin,
    /// The registry's API.
    Registry,
    /// Whoever wants their address.
    Anyone,
}

/// Sockets on their way from one process to another.
#[derive(Debug)]
pub struct Handed {
    /// What the process that hands them over knows them by.
    pub number: u32,
    /// Whose they are.
    pub owner: Owner,
    /// Where, as the configuration says it.
    pub address: SocketAddr,
    /// Whether another process keeps them, too: then what waits in their queues is not lost when this one closes them.
    pub is_held: bool,
    /// The sockets: one, or one for each worker.
    pub sockets: Vec<TcpListener>,
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
    /// Those of the control path's own servers, with the address in the configuration.
    own: Vec<(Owner, SocketAddr, TcpListener)>,
    /// What came from another process and is not used yet.
    inherited: Vec<Handed>,
    /// The numbers of what was used of it.
    adopted: Vec<u32>,
    /// Those that another process has, too, also of ports that are closed here.
    held: BTreeSet<PortId>,
}

#[derive(Debug)]
struct Port {
    wanted: Wanted,
    opened: Opened,
    sockets: Vec<TcpListener>,
}

impl Ports {
    /// None are open yet; each will have a socket for each worker. What is `inherited` is used where it is wanted.
    pub fn new(workers: usize, inherited: Vec<Handed>) -> Ports {
        let table = Table { inherited, ..Table::default() };
        Ports { workers, table: Mutex::new(table) }
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
            let found = table.open.iter().position(|port| port.is_for(wanted, &table.held));
            if let Some(place) = found {
                table.open[place].wanted = wanted.clone();
                opened.push(table.open[place].opened);
                continue;
            }
            match table.port(wanted, self.workers) {
                Ok(port) => {
                    opened.push(port.opened);
                    fresh.push(port);
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

    /// Opens the socket of one of the control path's own servers; says whether another process served it until now.
    ///
    /// # Errors
    /// The address is not to be had.
    pub fn open_own(&self, owner: Owner, address: SocketAddr) -> io::Result<(TcpListener, bool)> {
        let mut table = self.table();
        let is_it = |handed: &Handed| handed.owner == owner && handed.address == address;
        let (socket, is_inherited) = match table.adopt(is_it) {
            Some(mut handed) => (handed.sockets.pop(), true),
            None => (None, false),
        };
        let socket = socket.map_or_else(|| TcpListener::bind(address), Ok)?;
        socket.set_nonblocking(true)?;
        table.own.push((owner, address, socket.try_clone()?));
        Ok((socket, is_inherited))
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
        // Every socket needs somebody who accepts. Where there are too few, workers share them, and the kernel wakes all
        // of those for each connection.
        let first = worker % port.sockets.len();
        let share = port.sockets.iter().skip(first).step_by(self.workers);
        share.map(TcpListener::try_clone).collect()
    }

    /// Whether another process has the port's sockets, too.
    pub fn is_held(&self, id: PortId) -> bool {
        self.table().held.contains(&id)
    }

    /// All sockets, for another process. They stay open here as well.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn hand_out(&self) -> io::Result<Vec<Handed>> {
        let table = self.table();
        let own = table.own.iter().map(|(owner, address, socket)| {
            let sockets = vec![socket.try_clone()?];
            Ok(Handed { number: 0, owner: owner.clone(), address: *address, is_held: false, sockets })
        });
        let listeners = table.open.iter().map(|port| {
            let sockets = port.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
            Ok(Handed {
                number: port.opened.id.0,
                owner: Owner::Listener(port.wanted.name.clone()),
                address: port.wanted.address,
                is_held: table.held.contains(&port.opened.id),
                sockets,
            })
        });
        own.chain(listeners).collect()
    }

    /// Another process serves the ports of these numbers from now on.
    pub fn give(&self, numbers: &[u32]) {
        self.table().held.extend(numbers.iter().map(|number| PortId(*number)));
    }

    /// The numbers of what was inherited and is used.
    pub fn adopted(&self) -> Vec<u32> {
        self.table().adopted.clone()
    }

    /// Lets go of what was inherited and is not wanted; answers where that was.
    pub fn drop_inherited(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.table().inherited).iter().map(|handed| handed.address).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is whole before anything can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A port that is not open yet: of inherited sockets, or of new ones.
    fn port(&mut self, wanted: &Wanted, workers: usize) -> io::Result<Port> {
        let (address, sockets, is_held) = match self.adopt(|handed| handed.is_for(wanted)) {
            Some(handed) => {
                let (address, sockets) = complete(handed.sockets, workers, handed.is_held)?;
                (address, sockets, handed.is_held)
            }
            None => {
                let (address, sockets) = bind(wanted.address, workers, &self.ours)?;
                (address, sockets, false)
            }
        };
        self.last += 1;
        let id = PortId(self.last);
        self.ours.insert(address.port());
        if is_held {
            self.held.insert(id);
        }
        Ok(Port { wanted: wanted.clone(), opened: Opened { id, address }, sockets })
    }

    fn adopt(&mut self, is_it: impl Fn(&Handed) -> bool) -> Option<Handed> {
        let place = self.inherited.iter().position(is_it)?;
        let mut handed = self.inherited.remove(place);
        // A service manager may have opened several for one listener.
        while let Some(place) = self
            .inherited
            .iter()
            .position(|other| handed.is_held && handed.owner != Owner::Anyone && other.owner == handed.owner)
        {
            handed.sockets.append(&mut self.inherited.remove(place).sockets);
        }
        self.adopted.push(handed.number);
        Some(handed)
    }
}

impl Port {
    /// Port 0 is another port for each name; and where somebody else keeps the sockets, their address is not ours to say.
    fn is_for(&self, wanted: &Wanted, held: &BTreeSet<PortId>) -> bool {
        let same_name = self.wanted.name == wanted.name;
        let is_there = self.wanted.address == wanted.address && (wanted.address.port() != 0 || same_name);
        is_there || same_name && held.contains(&self.opened.id)
    }
}

impl Handed {
    fn is_for(&self, wanted: &Wanted) -> bool {
        let same_address = self.address == wanted.address;
        match &self.owner {
            Owner::Listener(name) if *name == wanted.name => same_address || self.is_held,
            Owner::Listener(_) | Owner::Anyone => same_address && wanted.address.port() != 0,
            Owner::Admin | Owner::Registry => false,
        }
    }
}

/// A socket for each worker.
fn bind(
    wanted: SocketAddr,
    workers: usize,
    ours: &BTreeSet<u16>,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // With SO_REUSEPORT two gateways would share the address without a word. Our own sockets may overlap with it for a
    // moment: those of a listener that moves from 0.0.0.0 to one address, or that was closed just now.
    if wanted.port() != 0 && !ours.contains(&wanted.port()) {
        claim(wanted)?;
    }
    complete(vec![listen(wanted)?], workers, false)
}

/// Joins new sockets to the first ones, until each worker has one. Those that another process keeps are left as they are:
/// what waits in the queue of a new one would be lost when this process ends.
fn complete(
    mut sockets: Vec<TcpListener>,
    workers: usize,
    is_held: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    sockets.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
    let first = sockets.first().ok_or_else(|| io::Error::other("no socket came with a port"))?;
    let address = first.local_addr()?;
    while sockets.len() < workers && !is_held {
        sockets.push(listen(address)?);
    }
    Ok((address, sockets))
}

#[cfg(test)]
mod tests;
