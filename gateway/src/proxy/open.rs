//! How an attempt comes to a connection: one that waits for its next request, a new one, or in HTTP/2 a stream of one that
//! many share. What it opens depends on nothing of the request but its head, so that hedges can do it beside others.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::connection::Connection;
use super::error::Error;
use super::exchange::Exchange;
use super::node_connection::NodeConnection;
use super::timeouts::Limit;
use super::transfer::Transfer;
use crate::http::BodyLength;
use crate::http::h2;
use crate::snapshot::Pool;
use crate::telemetry::WorkerMetrics;
use crate::transport::deadline::Elapsed;
use crate::transport::dial::{NodeProtocol, Way, dial};
use crate::transport::http2::{SharedConnection, SharedConnections, Terms};
use crate::transport::proxy_protocol::{Ends, encode};
use crate::transport::tls::ClientTls;

impl Exchange<'_> {
    /// The way to a node.
    pub(super) fn way(&self, address: SocketAddr) -> Way {
        Way::new(address, self.view.pool(self.pool).tls.as_deref())
    }

    /// An idle connection to the node, if its protocol leaves any.
    pub(super) fn take_idle(&self, address: SocketAddr) -> Option<NodeConnection> {
        let pool = self.view.pool(self.pool);
        if pool.protocol == NodeProtocol::Http2 || pool.proxy_protocol.is_some() {
            return None;
        }
        let way = self.way(address);
        self.worker.idle.take(way).map(|stream| NodeConnection::new(stream, way, true))
    }

    /// Makes a connection to the node, or in HTTP/2 a stream on which the request's head goes out.
    pub(super) async fn connect(&mut self, address: SocketAddr) -> Result<NodeConnection, Error> {
        let limit = self.view.pool(self.pool).connect_timeout;
        self.timeouts.start(Limit::Connect, Some(limit), &self.connection.deadline);
        let opened = match self.shared_opening(address)? {
            None => self.in_time(self.opening(address).open()).await?,
            // Boxed: the requests of other pools shall not be larger for it.
            Some(opening) => Box::pin(self.open_shared(opening)).await?,
        };
        self.timeouts.stop(&[Limit::Connect], &self.connection.deadline);
        self.head_went_out(&opened);
        // Of a request that went to another node before there may be nothing left to send, which is when this begins else.
        if self.upload.as_ref().is_some_and(Transfer::is_over) {
            self.await_first_byte();
        }
        Ok(opened)
    }

    async fn in_time<T>(&self, opening: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let deadline = &self.connection.deadline;
        deadline.race(opening).await.map_err(|Elapsed| Error::Late(self.timeouts.first(deadline)))?
    }

    /// Opens a stream, and waits for one if there is no room: for as long as the client does, and within the request's own
    /// limits. That a node is full says nothing of how long it takes to make a connection.
    async fn open_shared(&mut self, mut opening: SharedOpening) -> Result<NodeConnection, Error> {
        loop {
            if let Some(opened) = self.in_time(opening.open()).await? {
                return Ok(opened);
            }
            self.timeouts.stop(&[Limit::Connect], &self.connection.deadline);
            let (connections, way) = (opening.connections.clone(), opening.way);
            let (_, patience) = self.lend();
            patience.outlast(pin!(connections.room(way))).await?;
            let limit = self.view.pool(self.pool).connect_timeout;
            self.timeouts.start(Limit::Connect, Some(limit), &self.connection.deadline);
        }
    }

    /// Remembers that the node has the request's head, if that goes out with its stream.
    pub(super) fn head_went_out(&mut self, on: &NodeConnection) {
        if let (Some(upload), Some(_)) = (&mut self.upload, on.stream.as_http2()) {
            upload.head_went_out();
        }
    }

    /// From now on the node has the whole request.
    pub(super) fn await_first_byte(&mut self) {
        let limit = self.view.pool(self.pool).first_byte_timeout;
        self.timeouts.start(Limit::FirstByte, limit, &self.connection.deadline);
    }

    /// What it takes to make a connection.
    pub(super) fn opening(&self, address: SocketAddr) -> Opening {
        let tls = self.view.pool(self.pool).tls.clone();
        Opening { address, tls, first: self.client_told(), metrics: self.worker.metrics.clone() }
    }

    /// The PROXY header that tells the node whose the connection is, if the pool wants one.
    fn client_told(&self) -> Vec<u8> {
        let Some(version) = self.view.pool(self.pool).proxy_protocol else { return Vec::new() };
        let Connection { peer, reached, stream, .. } = &*self.connection;
        // A socket that knows its address no more is gone, and so is its client.
        let server = reached.or_else(|| stream.local_address());
        encode(version, server.map(|server| Ends { client: *peer, server }))
    }

    /// What it takes to open a stream, if the pool speaks HTTP/2.
    pub(super) fn shared_opening(&self, address: SocketAddr) -> Result<Option<SharedOpening>, Error> {
        let pool = self.view.pool(self.pool);
        if pool.protocol != NodeProtocol::Http2 {
            return Ok(None);
        }
        let mut text = self.worker.buffers.head();
        let head =
            self.with_encoding(|head, options| h2::request(head, options, pool.tls.is_some(), &mut text));
        self.worker.buffers.put(text);
        let mut head = head.map_err(Error::BadRequest)?;
        self.pass_on_timeout(head.headers_mut());
        Ok(Some(SharedOpening {
            way: self.way(address),
            connections: self.worker.shared.clone(),
            terms: terms(pool),
            metrics: self.worker.metrics.clone(),
            head,
            is_tunnel: self.forwards_upgrade(),
            ended: self.framing.body == BodyLength::Empty,
        }))
    }
}

fn terms(pool: &Pool) -> Terms {
    Terms {
        tls: pool.tls.clone(),
        connect_timeout: pool.connect_timeout,
        keep: if pool.idle_connections == 0 { Duration::ZERO } else { pool.idle_timeout },
    }
}

/// A connection that is to be made.
pub(super) struct Opening {
    address: SocketAddr,
    tls: Option<Arc<ClientTls>>,
    first: Vec<u8>,
    metrics: Arc<WorkerMetrics>,
}

impl Opening {
    /// Makes it. The caller sets the time limit.
    pub(super) async fn open(self) -> Result<NodeConnection, Error> {
        let tls = self.tls.as_deref();
        let stream = dial(self.address, tls, &self.first).await.map_err(Error::Connect)?;
        self.metrics.node_connections.increment();
        Ok(NodeConnection::new(stream, Way::new(self.address, tls), false))
    }
}

/// A stream that is to be opened, and the head of the request for it.
pub(super) struct SharedOpening {
    way: Way,
    connections: Rc<SharedConnections>,
    terms: Terms,
    metrics: Arc<WorkerMetrics>,
    head: Request<()>,
    /// Whether it asks for a tunnel, of which there is no end yet.
    is_tunnel: bool,
    ended: bool,
}

impl SharedOpening {
    /// Opens it, and makes a connection for it if none has room; nothing if there may be no further one. The caller sets the
    /// time limit.
    async fn open(&mut self) -> Result<Option<NodeConnection>, Error> {
        let (found, is_made) = self.connections.get(self.way, &self.terms).await.map_err(Error::Connect)?;
        if is_made {
            self.metrics.node_connections.increment();
        }
        found.map(|connection| self.send(&connection)).transpose()
    }

    /// The same for one of two that race: where there is no room it is sent on the connection that has the fewest, and goes out
    /// when one of those ends.
    pub(super) async fn open_beside(mut self) -> Result<NodeConnection, Error> {
        if let Some(opened) = self.open().await? {
            return Ok(opened);
        }
        let connection = self.connections.least_taken(self.way).expect("a node that is full has connections");
        self.send(&connection)
    }

    fn send(&mut self, connection: &Rc<SharedConnection>) -> Result<NodeConnection, Error> {
        if self.is_tunnel && !connection.opens_tunnels() {
            return Err(Error::NoTunnels);
        }
        // Of one that others use as well, an end is not to be expected.
        let was_idle = connection.is_idle();
        let stream = connection.send(std::mem::take(&mut self.head), self.ended && !self.is_tunnel)?;
        Ok(NodeConnection::new(stream, self.way, was_idle))
    }
}
