//! Before the first request of a connection: accept it, and close a listening socket without losing one.
//!
//! A listener goes when the configuration has it no more, or when the gateway stops. What its clients began is ended
//! politely; see docs/decisions/0028-how-a-gateway-is-replaced.md.

use std::cell::{Cell, OnceCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::connection::{self, BUSY, Connection};
use super::handshake;
use super::passthrough;
use super::proxied::Arrival;
use super::view::View;
use super::worker::Worker;
use crate::transport::deadline::TICK;
use crate::transport::listen::{accepting, refuse_new};
use crate::transport::ports::PortId;

/// How long handshakes that are under way may take to end before a socket is closed: a round trip around the world.
const HANDSHAKE: Duration = Duration::from_millis(250);

/// A listener, as one worker and its connections know it.
pub(super) struct Listener {
    /// Its sockets; a snapshot knows it by them, too.
    pub id: PortId,
    /// The last view that knew it, once the newest does not: its connections are served by that.
    last: OnceCell<Rc<View>>,
    draining: Cell<bool>,
    drain: Notify,
}

impl Listener {
    fn new(id: PortId) -> Rc<Listener> {
        let (last, draining, drain) = Default::default();
        Rc::new(Listener { id, last, draining, drain })
    }

    /// Whether its connections shall close after the request that they are at.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Waits until its connections shall close.
    pub(super) async fn drained(&self) {
        if !self.is_draining() {
            self.drain.notified().await;
        }
    }

    /// The view for its next request.
    pub(super) fn view(&self, worker: &Worker) -> Rc<View> {
        // First the newest: it may be the one that does not know this listener any more.
        let newest = worker.view();
        self.last.get().cloned().unwrap_or(newest)
    }

    /// Stops accepting. Idle connections get a moment more, in which a request that is on its way is still answered.
    pub(super) fn drain(&self, worker: &Worker) {
        if !self.draining.replace(true) {
            self.drain.notify_waiters();
            worker.deadlines.shorten_idle(BUSY, self.id.number());
        }
    }

    /// A listener that the newest view does not know drains, and its connections stay with the view before.
    pub(super) fn retire(&self, worker: &Worker, before: &Rc<View>) {
        // It goes once: what has the same address later is another listener.
        let _known = self.last.set(before.clone());
        self.drain(worker);
    }
}

impl Worker {
    /// Accepts on the newest view's listeners, also on those that are new in it.
    ///
    /// # Errors
    /// A socket is not to be had; the other listeners are there all the same.
    pub(super) fn listen(self: &Rc<Self>) -> io::Result<()> {
        let snapshot = self.view().snapshot.clone();
        if self.is_draining() {
            return Ok(());
        }
        let is_retired = |listener: &mut Rc<Listener>| listener.last.get().is_some();
        for listener in self.listeners.borrow_mut().extract_if(.., is_retired) {
            tokio::task::spawn_local(cut(self.clone(), listener));
        }
        let mut outcome = Ok(());
        for wanted in snapshot.listeners.iter() {
            let is_known = self.listeners.borrow().iter().any(|listener| listener.id == wanted.id);
            if !is_known {
                outcome = outcome.and(self.listen_on(Listener::new(wanted.id)));
            }
        }
        outcome
    }

    fn listen_on(self: &Rc<Self>, listener: Rc<Listener>) -> io::Result<()> {
        // Also if that fails, so that it is tried and told of once.
        self.listeners.borrow_mut().push(listener.clone());
        for socket in self.sockets(listener.id)? {
            self.accepting.set(self.accepting.get() + 1);
            tokio::task::spawn_local(accept(self.clone(), listener.clone(), socket));
        }
        Ok(())
    }

    fn sockets(&self, id: PortId) -> io::Result<Vec<TcpListener>> {
        let sockets = self.ports.take(id, self.index)?;
        sockets.into_iter().map(accepting).collect()
    }

    fn start(self: Rc<Self>, tcp: TcpStream, peer: SocketAddr, listener: Rc<Listener>) {
        let view = listener.view(&self);
        // No view without its own listeners.
        let Some(spec) = view.snapshot.listener(listener.id) else { return };
        let requests = spec.requests.get();
        let (tls, passing, is_proxied) = (spec.tls.clone(), spec.passing, spec.hears(peer.ip()));
        let arrival = Arrival { tcp, peer, reached: None };
        let Some(mut entered) = self.let_in(&view.snapshot, spec, peer.ip()) else {
            if spec.can_tell() {
                self.turn_away(arrival, listener);
            }
            return;
        };
        self.open.set(self.open.get() + 1);
        self.metrics.connections_accepted.increment();
        self.metrics.connections_open.increment();
        tokio::task::spawn_local(async move {
            // Boxed: what a header or a handshake needs is large, and gone when the connection has become idle.
            let arrival = match is_proxied {
                true => Box::pin(self.hear(arrival, &listener, &mut entered)).await,
                false => Some(arrival),
            };
            let connection = match (arrival, tls) {
                (None, _) => None,
                (Some(arrival), None) => Some(Connection::plain(&self, arrival, listener)),
                (Some(arrival), Some(tls)) => Box::pin(handshake::make(&self, tls, arrival, listener)).await,
            };
            match (connection, passing) {
                (None, _) => {}
                (Some(mut connection), None) => {
                    connection.requests_left = requests;
                    connection::serve(&self, connection).await;
                }
                (Some(connection), Some(passing)) => {
                    Box::pin(passthrough::serve(&self, connection, passing)).await;
                }
            }
            drop(entered);
            self.metrics.connections_open.decrement();
            self.open.set(self.open.get() - 1);
            self.closed.notify_one();
        });
    }
}

/// Accepts until the listener drains, and then what waits already.
async fn accept(worker: Rc<Worker>, listener: Rc<Listener>, socket: TcpListener) {
    while !listener.is_draining() {
        tokio::select! {
            () = listener.drain.notified() => {}
            () = accept_one(&worker, &listener, &socket) => {}
        }
    }
    // If another process has the socket too, it serves those who wait.
    if !worker.ports.is_held(listener.id) {
        empty(&worker, &listener, &socket).await;
    }
    drop(socket);
    worker.accepting.set(worker.accepting.get() - 1);
    worker.closed.notify_one();
}

/// Accepts what waits, and lets nobody else come.
async fn empty(worker: &Rc<Worker>, listener: &Rc<Listener>, socket: &TcpListener) {
    if let Err(error) = refuse_new(socket) {
        debug!(%error, "connections that come while a socket is closed may be reset");
    }
    // Within this machine a handshake takes no time.
    let is_loopback = socket.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let handshake = if is_loopback { TICK } else { HANDSHAKE };
    let rest = async {
        loop {
            accept_one(worker, listener, socket).await;
        }
    };
    // It never ends by itself.
    let _over: Result<(), _> = tokio::time::timeout(handshake, rest).await;
}

async fn accept_one(worker: &Rc<Worker>, listener: &Rc<Listener>, socket: &TcpListener) {
    match socket.accept().await {
        Ok((tcp, peer)) => worker.clone().start(tcp, peer, listener.clone()),
        Err(error) => {
            // Out of descriptors, most often. Without a pause the loop would spin until one is free.
            warn!(%error, "cannot accept; trying again in a moment");
            tokio::time::sleep(TICK).await;
        }
    }
}

/// Ends what a listener's connections still do when the drain timeout is over: whatever they wait for took too long.
async fn cut(worker: Rc<Worker>, listener: Rc<Listener>) {
    tokio::time::sleep(worker.view().snapshot.settings.drain_timeout).await;
    worker.deadlines.expire(listener.id.number());
}
