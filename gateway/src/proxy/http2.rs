//! A client's connection of HTTP/2 (RFC 9113): each of its streams is one exchange, like any other.
//!
//! The connection's task moves frames, takes requests, and lets go: when there was no request for the idle time, or when the
//! listener drains. Each exchange runs in a task of its own, picks its own node, and has its own deadlines.

use std::net::SocketAddr;
use std::rc::Rc;

use tracing::debug;

use super::accept::Listener;
use super::connection::{After, BUSY, Connection, Http2Head};
use super::exchange;
use super::handshake::Handshake;
use super::worker::Worker;
use crate::transport::deadline::{Deadline, Elapsed};
use crate::transport::http2::{Http2Connection, Http2Limits, Http2Request, next_request};

/// What all exchanges of a connection have in common.
struct Client {
    peer: SocketAddr,
    reached: Option<SocketAddr>,
    secure: Option<Rc<Handshake>>,
    listener: Rc<Listener>,
}

/// What happened to a connection.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
enum Event {
    Request(Http2Request),
    /// Nothing more will come.
    Over,
    /// Nothing came for a while.
    Idle,
    Draining,
}

/// What a listener lets clients do; none if it does not speak HTTP/2.
pub(super) fn limits(worker: &Worker, listener: &Listener) -> Option<Http2Limits> {
    let view = listener.view(worker);
    let place = usize::from(view.snapshot.listener_of(listener.id)?);
    let streams = view.snapshot.listeners.get(place)?.http2_streams?;
    Some(Http2Limits { streams, head: view.snapshot.settings.max_head as u32 })
}

/// Serves a connection until one side closes it.
pub(super) async fn serve(worker: &Rc<Worker>, connection: Connection) {
    let Connection { stream, peer, reached, secure, listener, deadline, .. } = connection;
    // A reload may have taken it away since the client was told.
    let Some(limits) = limits(worker, &listener) else { return };
    // Its exchanges have no sockets to ask.
    let reached = reached.or_else(|| stream.local_address());
    deadline.set(worker.view().snapshot.settings.head_timeout);
    let Ok(Ok(mut http2)) = deadline.race(Http2Connection::accept(stream, limits)).await else { return };
    let client = Client { peer, reached, secure, listener };
    let mut closing = false;
    loop {
        let patience = if closing { BUSY } else { worker.view().snapshot.settings.idle_timeout };
        deadline.set_idle(patience);
        match next(&mut http2, &client.listener, &deadline, closing).await {
            Event::Request(request) => start(worker, &client, request),
            Event::Over => return,
            // Its exchanges have time limits of their own.
            Event::Idle if http2.is_busy() => {}
            Event::Idle if closing => return,
            Event::Idle | Event::Draining => {
                http2.close();
                closing = true;
            }
        }
    }
}

async fn next(http2: &mut Http2Connection, listener: &Listener, deadline: &Deadline, closing: bool) -> Event {
    let request = async {
        tokio::select! {
            biased;
            () = listener.drained(), if !closing => Event::Draining,
            request = next_request(http2) => match request {
                Some(Ok(request)) => Event::Request(request),
                Some(Err(error)) => {
                    debug!(%error, "a connection of HTTP/2 ends");
                    Event::Over
                }
                None => Event::Over,
            },
        }
    };
    match deadline.race(request).await {
        Ok(event) => event,
        Err(Elapsed) => Event::Idle,
    }
}

fn start(worker: &Rc<Worker>, client: &Client, request: Http2Request) {
    let Http2Request { parts, ended, stream } = request;
    let mut connection = Connection::new(worker, stream, client.peer, client.listener.clone());
    connection.reached = client.reached;
    connection.secure = client.secure.clone();
    connection.asked = Some(Box::new(Http2Head { parts, ended }));
    let worker = worker.clone();
    // Boxed, since a task is moved some times before and after it runs, and an exchange is some kilobytes.
    tokio::task::spawn_local(Box::pin(async move {
        if exchange::serve(&worker, &mut connection).await == After::Abort {
            connection.stream.reset();
        }
    }));
}
