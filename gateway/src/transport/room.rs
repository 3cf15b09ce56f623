//! Room for clients' connections: how many are open in all, at a listener and from one client, and whether there is memory
//! for more.
//!
//! Counted for the whole gateway, by connection and not by request: the lock of a client's count is taken when a
//! connection opens and closes, and only at listeners that limit it. Whoever is turned away is answered elsewhere.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::telemetry::NoRoom;

/// Descriptors for what is no client's and no node's: listening sockets, the admin API and its 64 callers, event loops,
/// plugin files, and the connections that are only told that there is no room.
const RESERVE: u32 = 128;
/// However few descriptors there are, so many clients are tried.
const FEWEST: u32 = 16;
/// So many locks share the clients of a listener. Chosen: far more than workers that accept at once.
const SHARDS: usize = 16;

/// All clients' connections.
#[derive(Debug)]
pub struct Room {
    open: Arc<AtomicU32>,
    most: AtomicU32,
    short_of_memory: AtomicBool,
}

/// The connections of one listener; it outlives reloads.
#[derive(Debug, Default)]
pub struct Door {
    open: Arc<AtomicU32>,
    clients: [Mutex<HashMap<IpAddr, u32>>; SHARDS],
}

/// How many connections a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// In all.
    pub connections: Option<u32>,
    /// From each client's address, or from its /64 if that is IPv6.
    pub per_client: Option<u32>,
}

/// An open connection; it counts until this is dropped.
#[derive(Debug)]
pub struct Entered {
    _everywhere: Taken,
    _listener: Taken,
    client: Option<TakenByClient>,
}

impl Default for Room {
    /// Without a limit, until [`Room::fit`] tells one.
    fn default() -> Room {
        Room { open: Arc::default(), most: AtomicU32::new(u32::MAX), short_of_memory: AtomicBool::new(false) }
    }
}

impl Room {
    /// Takes as many connections as fit a process that may have so many descriptors.
    pub fn fit(&self, descriptors: u32) {
        // A client whose request is at a node has a second one, there.
        self.most.store((descriptors.saturating_sub(RESERVE) / 2).max(FEWEST), Relaxed);
    }

    /// Clients' connections that are open now.
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// How many may be, as far as descriptors go.
    pub fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }

    /// How many idle connections to nodes there are descriptors for: what clients that are there and their nodes leave.
    pub fn idle(&self) -> u32 {
        self.most().saturating_sub(self.open()).saturating_mul(2)
    }

    /// Whether nothing new shall be begun.
    pub fn is_short_of_memory(&self) -> bool {
        self.short_of_memory.load(Relaxed)
    }

    /// Says so. Control does.
    pub fn set_short_of_memory(&self, is_short: bool) {
        self.short_of_memory.store(is_short, Relaxed);
    }

    /// Counts a connection of this client at this listener.
    ///
    /// # Errors
    /// What there is no room for. Then nothing is counted.
    pub fn enter(&self, door: &Arc<Door>, limits: DoorLimits, client: IpAddr) -> Result<Entered, NoRoom> {
        if self.is_short_of_memory() {
            return Err(NoRoom::Memory);
        }
        let everywhere = Taken::of(&self.open, self.most()).ok_or(NoRoom::Descriptors)?;
        let most = limits.connections.unwrap_or(u32::MAX);
        let listener = Taken::of(&door.open, most).ok_or(NoRoom::Listener)?;
        let of_client = |most| TakenByClient::of(door, network(client), most).ok_or(NoRoom::Client);
        let client = limits.per_client.map(of_client).transpose()?;
        Ok(Entered { _everywhere: everywhere, _listener: listener, client })
    }

    /// The same for a connection whose client is not known yet: [`Entered::belongs_to`] tells that.
    ///
    /// # Errors
    /// What there is no room for. Then nothing is counted.
    pub fn enter_unknown(&self, door: &Arc<Door>, limits: DoorLimits) -> Result<Entered, NoRoom> {
        self.enter(door, DoorLimits { per_client: None, ..limits }, Ipv6Addr::UNSPECIFIED.into())
    }
}

impl Entered {
    /// Counts the connection as this client's from now on; false if the client has as many as it may.
    pub fn belongs_to(&mut self, door: &Arc<Door>, limits: DoorLimits, client: IpAddr) -> bool {
        let Some(most) = limits.per_client else { return true };
        self.client = TakenByClient::of(door, network(client), most);
        self.client.is_some()
    }
}

impl Door {
    /// Connections that are open now.
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        let octet = match client {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[7],
        };
        // A panic cannot leave it half-changed: each change is one insertion or removal.
        self.clients[usize::from(octet) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one client: whoever has one IPv6 address has its whole /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 => v4,
    }
}

#[derive(Debug)]
struct Taken(Arc<AtomicU32>);

impl Taken {
    fn of(counter: &Arc<AtomicU32>, most: u32) -> Option<Taken> {
        let one_more = |taken| (taken < most).then(|| taken + 1);
        counter.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Taken(Arc::clone(counter)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
struct TakenByClient {
    door: Arc<Door>,
    client: IpAddr,
}

impl TakenByClient {
    fn of(door: &Arc<Door>, client: IpAddr, most: u32) -> Option<TakenByClient> {
        let mut clients = door.shard(client);
        let taken = clients.get(&client).copied().unwrap_or(0);
        if taken >= most {
            return None;
        }
        clients.insert(client, taken + 1);
        Some(TakenByClient { door: Arc::clone(door), client })
    }
}

impl Drop for TakenByClient {
    fn drop(&mut self) {
        let mut clients = self.door.shard(self.client);
        match clients.get_mut(&self.client) {
            Some(taken) if *taken > 1 => *taken -= 1,
            // Nobody is remembered who is not there.
            _ => drop(clients.remove(&self.client)),
        }
    }
}

/// Allows this process as many descriptors as the system lets it have, and tells how many that is.
pub fn raise_descriptors() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // None is no limit at all.
    current.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NONE: DoorLimits = DoorLimits { connections: None, per_client: None };

    fn room(descriptors: u32) -> Room {
        let room = Room::default();
        room.fit(descriptors);
        room
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn half_of_the_descriptors_are_for_clients() {
        assert_eq!([1024, 100, 0].map(|descriptors| room(descriptors).most()), [448, 16, 16]);
        assert!(raise_descriptors() >= 64);
        assert_eq!((room(1024).idle(), Room::default().idle()), (896, u32::MAX), "while no client is there");
    }

    #[test]
    fn what_leaves_makes_room_and_what_was_refused_is_not_counted() {
        let (room, door, other) = (room(RESERVE + 40), Arc::<Door>::default(), Arc::<Door>::default());
        let limits = DoorLimits { connections: Some(2), ..NONE };
        let client = ip("192.0.2.1");
        let entered: Vec<_> = (0..2).map(|_| room.enter(&door, limits, client).unwrap()).collect();
        assert_eq!(room.enter(&door, limits, client).unwrap_err(), NoRoom::Listener);
        assert_eq!((room.open(), door.open()), (2, 2));
        let others: Vec<_> = (0..18).map(|_| room.enter(&other, NONE, client).unwrap()).collect();
        assert_eq!(room.enter(&other, NONE, client).unwrap_err(), NoRoom::Descriptors);
        drop((entered, others));
        assert_eq!((room.open(), door.open(), other.open()), (0, 0, 0));
        room.set_short_of_memory(true);
        assert_eq!(room.enter(&door, NONE, client).unwrap_err(), NoRoom::Memory);
    }

    #[test]
    fn a_client_is_an_address_or_the_network_that_one_subscriber_has() {
        let (room, door) = (Room::default(), Arc::<Door>::default());
        let limits = DoorLimits { per_client: Some(1), ..NONE };
        let enter = |client| room.enter(&door, limits, ip(client));
        let first = [enter("192.0.2.1").unwrap(), enter("192.0.2.2").unwrap(), enter("2001:db8::1").unwrap()];
        for again in ["192.0.2.1", "::ffff:192.0.2.2", "2001:db8::2:3"] {
            assert_eq!(enter(again).unwrap_err(), NoRoom::Client, "{again}");
        }
        assert_eq!(door.open(), 3);
        let _elsewhere = enter("2001:db8:0:1::1").unwrap();
        drop(first);
        assert!(enter("2001:db8::2:3").is_ok());
        let mut late = room.enter_unknown(&door, limits).unwrap();
        assert!(!late.belongs_to(&door, limits, ip("2001:db8:0:1::2")), "it has one already");
        assert!(late.belongs_to(&door, limits, ip("192.0.2.3")));
        assert_eq!(enter("192.0.2.3").unwrap_err(), NoRoom::Client);
        drop(late);
        let remembered: usize = door.clients.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(remembered, 1, "who left is forgotten");
    }
}
