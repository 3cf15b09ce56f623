//! A worker's connections of HTTP/2 to nodes: which of them a request shares, and when another one is made.
//!
//! A node's connections are filled in turn, so that spare ones grow old and are closed. While one is being made, whoever
//! finds no room waits for that one, and none makes another beside it.

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

/// So many connections to a node at most. Beyond them requests wait on those that there are, within their own limits of
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
}

/// A connection that is being made, for those who wait for it.
#[derive(Default)]
struct Making {
    over: Notify,
    failed: RefCell<Option<(io::ErrorKind, String)>>,
}

impl SharedConnections {
    /// A connection with room for one more request, and whether one was made for it. The caller sets a time limit of its
    /// own: one that is being made is not given up with it.
    ///
    /// # Errors
    /// None could be made: as [`dial`]'s, or the node does not speak HTTP/2 or not in time.
    pub async fn get(self: &Rc<Self>, way: Way, terms: &Terms) -> io::Result<(Rc<SharedConnection>, bool)> {
        let mut made = false;
        loop {
            if let Some(connection) = self.find(way) {
                connection.keep(terms.keep);
                return Ok((connection, made));
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

    /// The first with room. If there may be no further one, the one with the fewest requests.
    fn find(&self, way: Way) -> Option<Rc<SharedConnection>> {
        let mut by_way = self.by_way.borrow_mut();
        let open = &mut by_way.get_mut(&way)?.open;
        open.retain(|connection| connection.is_open());
        let free = open.iter().find(|connection| connection.has_room());
        let found = match free {
            None if open.len() >= MOST => open.iter().min_by_key(|connection| connection.streams()),
            free => free,
        };
        found.cloned()
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
            Ok(connection) => node.open.push(connection),
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
