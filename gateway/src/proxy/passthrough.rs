//! A connection whose bytes are none of the gateway's business: they pass both ways as they come.
//!
//! The name in its TLS greeting picks the route; policies pick the node, as they do for a request. Nothing is decrypted, and
//! nothing is answered: who cannot be served is only closed. A listener whose one route is for any name does not wait for
//! a greeting, so that servers that speak first can do so.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Instant;

use super::connection::Connection;
use super::error::Error;
use super::exchange::Exchange;
use super::node_connection::NodeConnection;
use super::timeouts::{Limit, Timeouts};
use super::tunnel::{End, Ways};
use super::worker::Worker;
use crate::http::fields::Span;
use crate::http::h1::Malformed;
use crate::http::head::Method;
use crate::plugin::RequestId;
use crate::snapshot::Passing;
use crate::telemetry::{ErrorKind, Refused};
use crate::transport::deadline::Elapsed;
use crate::transport::tls::{Greeting, Hello};

/// The longest greeting. Chosen: one record; those of browsers, with keys against quantum computers, have 2 KiB.
const MOST_GREETING: usize = 16 * 1024;

/// Serves a connection until both sides ended it, or nothing moves any more.
pub(super) async fn serve(worker: &Rc<Worker>, mut connection: Connection, passing: Passing) {
    let view = connection.listener.view(worker);
    let mut exchange = Exchange::new(worker, &view, &mut connection);
    match exchange.reach(passing).await {
        Ok(node) => exchange.pass(node).await,
        Err(error) => {
            if passing == Passing::ByName {
                exchange.count_greeting(&error);
            }
            exchange.give_up(&error);
        }
    }
    exchange.put_back();
}

impl Exchange<'_> {
    /// A connection to a node that takes this one.
    async fn reach(&mut self, passing: Passing) -> Result<NodeConnection, Error> {
        self.introduce();
        if passing == Passing::ByName {
            self.learn_name().await?;
        }
        self.started = Instant::now();
        self.context_mut().now = self.started;
        self.find_passing_route()?;
        self.refuse_if_short()?;
        self.begin_selection();
        self.view.pools[self.pool as usize].budget.borrow_mut().request(self.started);
        let mut failed = None;
        loop {
            match (self.begin_attempt().await, failed) {
                (Err(Error::NoNode), Some(error)) => return Err(error),
                (picked, _) => picked?,
            }
            let error = match self.connect_picked().await {
                Ok(node) => return Ok(node),
                Err(error) => error,
            };
            match self.settle(Err(error)) {
                ControlFlow::Break(result) => return result.map(|response| response.connection),
                ControlFlow::Continue(error) => failed = error,
            }
        }
    }

    /// What plugins see: a request without method, path and fields.
    fn introduce(&mut self) {
        let client = self.connection.peer.ip();
        let context = self.context_mut();
        context.id = RequestId::new(fastrand::u64(..));
        context.request.method = Method::Other(Span::default());
        context.client = Some(client);
        context.secure = false;
    }

    /// Reads the client's greeting, and keeps it for the node. Its name is the authority that plugins see.
    async fn learn_name(&mut self) -> Result<(), Error> {
        let connection = &mut *self.connection;
        connection.deadline.set(self.view.snapshot.settings.head_timeout);
        let mut hello = Hello::default();
        let name = loop {
            match hello.read(&connection.buffer) {
                Greeting::Whole(name) => break name,
                Greeting::Incomplete if connection.buffer.len() >= MOST_GREETING => {
                    return Err(Error::BadRequest(Malformed::HeadTooLarge));
                }
                Greeting::Incomplete => {}
            }
            if connection.buffer.capacity() == 0 {
                connection.buffer = self.worker.buffers.head();
            }
            let (mut reader, _) = connection.stream.split();
            match connection.deadline.race(reader.fill(&mut connection.buffer)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return Err(Error::ClientGone),
                Err(Elapsed) => return Err(Error::HeadLate),
            }
        };
        if let Some(name) = name {
            let request = &mut self.context_mut().request;
            request.target_authority = Some(request.fields.store(name.as_bytes()));
        }
        Ok(())
    }

    fn find_passing_route(&mut self) -> Result<(), Error> {
        let view = self.view;
        let context = self.context.as_mut().expect("no plugin was called yet");
        (context.route, context.pool) = Default::default();
        let listener = view.snapshot.listener_of(self.connection.listener.id).ok_or(Error::NoRoute)?;
        let name = context.request.authority();
        let route = view.snapshot.routes.find_passing(listener, name).ok_or(Error::NoRoute)?;
        context.set_route(&view.routes[route.index as usize].name);
        context.set_pool(&view.pools[route.pool as usize].name);
        self.route = Some(route);
        self.pool = route.pool;
        Ok(())
    }

    /// One attempt: a connection to the picked node.
    async fn connect_picked(&mut self) -> Result<NodeConnection, Error> {
        let mut in_flight = self.count_attempt()?;
        let result = self.connect(in_flight.node().spec.address).await;
        self.timeouts.stop(&[Limit::Connect, Limit::Attempt], &self.connection.deadline);
        match &result {
            Ok(_) => self.tell_reached(&mut in_flight).await,
            Err(error) => self.tell(&mut in_flight, Some(error)).await,
        }
        self.in_flight = Some(in_flight);
        result
    }

    /// Passes bytes both ways. The node counts the connection as in flight for so long.
    async fn pass(&mut self, mut node: NodeConnection) {
        let route = self.route.expect("it led to the node");
        let metrics = &self.view.routes[route.index as usize].metrics;
        metrics.passed.increment();
        // How long it takes to get a node is what the others are for.
        self.timeouts = Timeouts::none();
        let limit = self.view.pool(self.pool).between_bytes_timeout;
        self.connection.deadline.set(limit);
        let mut ways = Ways::new(Vec::new(), 0);
        let (mut seen, mut counted) = (0, [0, 0]);
        let end = poll_fn(|cx| {
            let polled = self.poll_ways(cx, &mut node, &mut ways);
            self.count_bytes(&mut counted, ways.bytes());
            if polled.is_ready() {
                return polled;
            }
            if ways.progress() != seen {
                seen = ways.progress();
                self.connection.deadline.set(limit);
            }
            self.connection.deadline.poll_elapsed(cx).map(|()| End::Late)
        })
        .await;
        let end = end.story(self.connection.listener.is_draining());
        let context = self.context();
        let (request_id, pool) = (context.id.as_str(), &*context.pool);
        let seconds = self.started.elapsed().as_secs();
        tracing::debug!(
            request_id,
            pool,
            up = counted[0],
            down = counted[1],
            seconds,
            "a passed connection ended: {end}"
        );
        self.put_back_ways(ways, node);
    }

    /// Counts a greeting that leads nowhere as what the front door refused.
    fn count_greeting(&self, error: &Error) {
        let is_nameless = self.context().request.target_authority.is_none();
        let what = match error {
            Error::HeadLate => Refused::SlowGreeting,
            Error::BadRequest(_) => Refused::GreetingTooLong,
            Error::NoRoute if is_nameless => Refused::GreetingNameless,
            Error::NoRoute => Refused::GreetingUnrouted,
            _ => return,
        };
        self.worker.metrics.refused(what);
    }

    /// Closes a connection that cannot be served: nobody knows in which words to say why.
    fn give_up(&self, error: &Error) {
        self.count_error(error.kind());
        let context = self.context();
        let (request_id, client, pool) = (context.id.as_str(), self.connection.peer, &*context.pool);
        match error.kind() {
            ErrorKind::NoNode | ErrorKind::Connect | ErrorKind::ConnectTimeout => {
                tracing::warn!(request_id, %client, pool, "a connection is closed: {error}");
            }
            // Clients can cause the others as often as they like.
            _ => tracing::debug!(request_id, %client, pool, "a connection is closed: {error}"),
        }
    }
}
