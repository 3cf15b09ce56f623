//! A worker's connections of HTTP/2 to nodes: which of them a request shares, and when another one is made.
//!
//! A node's connections are filled in turn, so that spare ones grow old and are closed. While one is being made, whoever
//! finds no room waits for that one, and none makes another beside it. When there are as many as may be, whoever finds no room waits
//! for the first place that is free on any of them: on one that is full of tunnels that may take hours.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::shared::SharedConnection;
use crate::transport::dial::{Way, dial};
use crate::transport::tls::ClientTls;

/// So many connections to a node at most. Beyond them requests wait for those that there are, within their own limits of
/// time. Chosen: with the usual hundred streams each, more than a node serves at once.
const MOST: usize = 32;

/// How a node is met.
pub struct Terms {
    /// Under which TLS, if not in the clear.
    pub tls: Option<Arc<ClientTls>>,
    /// How long a connection may take to be made, the node's greeting included.
    pub connect_timeout: Duration,
    /// How long one is kept without requests.
    pub keep: Duration,
}

/// All connections of one worker, by the way that they take.
#[derive(Default)]
pub struct SharedConnections {
    by_way: RefCell<HashMap<Way, Node, RandomState>>,
}

/// One node's.
#[derive(Default)]
struct Node {
    open: Vec<Rc<SharedConnection>>,
    making: Option<Rc<Making>>,
    /// Told of each place that is free again.
    freed: Rc<Notify>,
}

impl Node {
    /// Whether there may be no further connection, and requests have all the places on those that there are. One that takes
    /// none at all would never tell of one.
    fn is_full(&self) -> bool {
        let is_taken = |connection: &Rc<SharedConnection>| connection.streams() > 0 && !connection.has_room();
        self.open.len() >= MOST && self.open.iter().all(is_taken)
    }
}

/// A connection that is being made, for those who wait for it.
#[derive(Default)]
struct Making {
    over: Notify,
    failed: RefCell<Option<(io::ErrorKind, String)>>,
}

impl SharedConnections {
    /// A connection with room for one more request, none if all are full and no further one may be made; and whether one was
    /// made for it. The caller sets a time limit of its own: one that is being made is not given up with it.
    ///
    /// # Errors
    /// None could be made: as [`dial`]'s, or the node does not speak HTTP/2 or not in time.
    pub async fn get(
        self: &Rc<Self>,
        way: Way,
        terms: &Terms,
    ) -> io::Result<(Option<Rc<SharedConnection>>, bool)> {
        let mut made = false;
        loop {
            if let Some(connection) = self.find(way) {
                connection.keep(terms.keep);
                return Ok((Some(connection), made));
            }
            if self.fullness(way).is_some() {
                return Ok((None, made));
            }
            let (making, is_new) = self.making(way, terms);
            made |= is_new;
            let over = making.over.notified();
            over.await;
            if let Some((kind, text)) = &*making.failed.borrow() {
                return Err(io::Error::new(*kind, text.clone()));
            }
        }
    }

    /// Waits until there is room for one more request, or a connection may be made for it. The caller sets the time limit.
    pub async fn room(&self, way: Way) {
        // Another may have been faster.
        while let Some(freed) = self.fullness(way) {
            freed.notified().await;
        }
    }

    /// The connection with the fewest requests, for one that does not wait for room.
    pub fn least_taken(&self, way: Way) -> Option<Rc<SharedConnection>> {
        let by_way = self.by_way.borrow();
        by_way.get(&way)?.open.iter().min_by_key(|connection| connection.streams()).cloned()
    }

    /// The first with room. If there may be no further one, also one that takes no requests yet.
    fn find(&self, way: Way) -> Option<Rc<SharedConnection>> {
        let mut by_way = self.by_way.borrow_mut();
        let open = &mut by_way.get_mut(&way)?.open;
        open.retain(|connection| connection.is_open());
        let free = open.iter().find(|connection| connection.has_room());
        let found = match free {
            None if open.len() >= MOST => open.iter().find(|connection| connection.streams() == 0),
            free => free,
        };
        found.cloned()
    }

    /// If the node is full, what tells of the next place.
    fn fullness(&self, way: Way) -> Option<Rc<Notify>> {
        let mut by_way = self.by_way.borrow_mut();
        let node = by_way.get_mut(&way)?;
        node.open.retain(|connection| connection.is_open());
        node.is_full().then(|| node.freed.clone())
    }

    /// The one that is being made, and whether that began just now.
    fn making(self: &Rc<Self>, way: Way, terms: &Terms) -> (Rc<Making>, bool) {
        let mut by_way = self.by_way.borrow_mut();
        let node = by_way.entry(way).or_default();
        if let Some(making) = &node.making {
            return (making.clone(), false);
        }
        let making = Rc::new(Making::default());
        node.making = Some(making.clone());
        // Boxed: a handshake's state is large.
        let connecting = Box::pin(connect(way, terms.tls.clone(), terms.connect_timeout));
        tokio::task::spawn_local(self.clone().make(way, making.clone(), connecting));
        (making, true)
    }

    async fn make(
        self: Rc<Self>,
        way: Way,
        making: Rc<Making>,
        connecting: impl Future<Output = io::Result<Rc<SharedConnection>>>,
    ) {
        let made = connecting.await;
        let mut by_way = self.by_way.borrow_mut();
        let node = by_way.entry(way).or_default();
        node.making = None;
        match made {
            Ok(connection) => {
                connection.tell(node.freed.clone());
                node.open.push(connection);
            }
            Err(error) => *making.failed.borrow_mut() = Some((error.kind(), error.to_string())),
        }
        making.over.notify_waiters();
    }

    /// Closes connections that had no request for too long, and forgets those that the node closed.
    pub fn sweep(&self, now: Instant) {
        self.by_way.borrow_mut().retain(|_, node| {
            node.open.retain(|connection| !connection.is_stale(now) && connection.is_open());
            !node.open.is_empty() || node.making.is_some()
        });
    }

    /// Closes all, each with the last of its requests.
    pub fn clear(&self) {
        self.by_way.borrow_mut().clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_way.borrow().values().map(|node| node.open.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

async fn connect(way: Way, tls: Option<Arc<ClientTls>>, limit: Duration) -> io::Result<Rc<SharedConnection>> {
    let connecting = async {
        let stream = dial(way.address(), tls.as_deref(), b"").await?;
        SharedConnection::greet(stream).await
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it did not come about in time");
    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|over| Err(late(over)))
}
