//! A client's connection of HTTP/2 (RFC 9113): each of its streams is one exchange, like any other.
//!
//! The connection's task moves frames, takes requests, and lets go: when there was no request for the idle time, when there
//! were as many as may be, or when the listener drains. Each exchange runs in a task of its own, picks its own node, and has its own deadlines.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::accept::Listener;
use super::connection::{After, BUSY, Connection, Http2Head};
use super::exchange;
use super::handshake::Handshake;
use super::worker::Worker;
use crate::telemetry::Refused;
use crate::transport::deadline::{Deadline, Elapsed};
use crate::transport::http2::{Ended, Http2Connection, Http2Limits, Http2Request, next_request};

/// What is left in a connection when its exchanges are over has to be taken at this pace, in bytes for each idle time.
/// Chosen as `min_rate`'s bytes.
const LEAST_TAKEN: u64 = 10 * 1024;

/// What all exchanges of a connection have in common.
struct Client {
    peer: SocketAddr,
    reached: Option<SocketAddr>,
    secure: Option<Rc<Handshake>>,
    listener: Rc<Listener>,
    /// Held by each exchange while it runs.
    running: Rc<()>,
}

impl Client {
    fn has_exchanges(&self) -> bool {
        Rc::strong_count(&self.running) > 1
    }

    fn refuse(&self, worker: &Worker, what: Refused) {
        worker.metrics.refused(what);
        worker.notices.flood(self.peer, what, Instant::now());
    }
}

/// What happened to a connection.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
enum Event {
    Request(Http2Request),
    /// Nothing more will come.
    Over(Option<Ended>),
    /// Nothing came for a while.
    Idle,
    Draining,
}

/// What a listener lets clients do; none if it does not speak HTTP/2.
pub(super) fn limits(worker: &Worker, listener: &Listener) -> Option<Http2Limits> {
    let view = listener.view(worker);
    let place = usize::from(view.snapshot.listener_of(listener.id)?);
    let streams = view.snapshot.listeners.get(place)?.http2_streams?;
    let settings = &view.snapshot.settings;
    Some(Http2Limits { streams, head: settings.max_head as u32, head_timeout: settings.head_timeout })
}

/// Serves a connection until one side closes it.
pub(super) async fn serve(worker: &Rc<Worker>, connection: Connection) {
    let Connection { stream, buffer, peer, reached, secure, listener, deadline, requests_left, .. } =
        connection;
    // A reload may have taken it away since the client was told.
    let Some(limits) = limits(worker, &listener) else { return };
    // Its exchanges have no sockets to ask.
    let reached = reached.or_else(|| stream.local_address());
    deadline.set(limits.head_timeout);
    let late = worker.deadlines.deadline(listener.id.number());
    let client = Client { peer, reached, secure, listener, running: Rc::default() };
    let mut http2 = match deadline.race(Http2Connection::accept(stream, buffer, limits, late)).await {
        Ok(Ok(http2)) => http2,
        Ok(Err(ended)) => return over(worker, &client, Some(ended)),
        Err(Elapsed) => return client.refuse(worker, Refused::SlowHead),
    };
    let mut closing = false;
    // Those that it sends before it can have read that no more are taken are served.
    let (mut left, after) = (requests_left, limits.streams);
    let mut leftover = Leftover { sent: 0, since: Instant::now() };
    loop {
        let idle_timeout = worker.view().snapshot.settings.idle_timeout;
        let patience = if closing { BUSY } else { idle_timeout };
        deadline.set_idle(patience);
        let event = next(&mut http2, &client.listener, &deadline, closing).await;
        let is_left = http2.is_busy() && !client.has_exchanges();
        if leftover.is_stalled(is_left, http2.sent(), Instant::now(), idle_timeout) {
            return client.refuse(worker, Refused::Http2Stalled);
        }
        match event {
            Event::Request(_) if closing && left == 0 => return,
            Event::Request(request) => {
                start(worker, &client, request);
                left -= 1;
                if left == 0 && !closing {
                    http2.close();
                    (closing, left) = (true, after);
                }
            }
            Event::Over(ended) => return over(worker, &client, ended),
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

/// A connection that its client ended, or that was ended for what its client did.
fn over(worker: &Worker, client: &Client, ended: Option<Ended>) {
    let Some(Ended { refused, error }) = ended else { return };
    debug!(peer = %client.peer, %error, "a connection of HTTP/2 ends");
    if let Some(what) = refused {
        client.refuse(worker, what);
    }
}

/// What exchanges that are over left in the connection, to be sent: a client that does not read would hold it for ever.
struct Leftover {
    /// Bytes that had been sent then.
    sent: u64,
    since: Instant,
}

impl Leftover {
    /// Whether it was there for so long and hardly moved.
    fn is_stalled(&mut self, is_left: bool, sent: u64, now: Instant, patience: Duration) -> bool {
        if is_left && now.duration_since(self.since) < patience {
            return false;
        }
        let stalled = is_left && sent - self.sent < LEAST_TAKEN;
        (self.sent, self.since) = (sent, now);
        stalled
    }
}

async fn next(http2: &mut Http2Connection, listener: &Listener, deadline: &Deadline, closing: bool) -> Event {
    let request = async {
        tokio::select! {
            biased;
            () = listener.drained(), if !closing => Event::Draining,
            request = next_request(http2) => match request {
                Some(Ok(request)) => Event::Request(request),
                Some(Err(ended)) => Event::Over(Some(ended)),
                None => Event::Over(None),
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
    let (worker, running) = (worker.clone(), client.running.clone());
    // Boxed, since a task is moved some times before and after it runs, and an exchange is some kilobytes.
    tokio::task::spawn_local(Box::pin(async move {
        if exchange::serve(&worker, &mut connection).await == After::Abort {
            connection.stream.reset();
        }
        drop(running);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_has_to_be_taken_at_a_pace() {
        let start = Instant::now();
        let patience = Duration::from_secs(60);
        let mut leftover = Leftover { sent: 0, since: start };
        let mut look = |is_left, sent, seconds| {
            leftover.is_stalled(is_left, sent, start + Duration::from_secs(seconds), patience)
        };
        assert!(!look(false, 1_000, 100), "nothing is left");
        assert!(!look(true, 1_000, 159), "not for long enough");
        assert!(!look(true, 1_000 + LEAST_TAKEN, 160), "it moves");
        assert!(!look(true, 1_001 + LEAST_TAKEN, 219));
        assert!(look(true, 1_001 + LEAST_TAKEN, 220));
    }
}
