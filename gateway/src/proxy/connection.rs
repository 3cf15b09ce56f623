//! A client's connection: one request after the other, and nothing held in memory between two.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use super::accept::Listener;
use super::exchange;
use super::handshake::Handshake;
use super::http2;
use super::proxied::Arrival;
use super::worker::Worker;
use crate::transport::deadline::{Deadline, Elapsed};
use crate::transport::stream::Stream;

/// How a client begins that speaks HTTP/2 in the clear without asking (RFC 9113, 3.4), and no request of HTTP/1.1.
const PREFACE: &[u8] = b"PRI ";
/// What may be read and thrown away before a connection is closed, so that the client gets the answer instead of a
/// reset (RFC 9112, 9.6).
const LINGER_BYTES: usize = 1 << 20;
/// How long that may take.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// A connection without a request for so long is idle, and gives its memory back. Chosen: long enough that busy
/// clients never pay for it, short against any idle timeout. When its listener drains, it is closed after the same time:
/// a client that was not heard of for so long hardly sends its next request just then.
pub(super) const BUSY: std::time::Duration = std::time::Duration::from_secs(1);

/// A client's connection.
pub(super) struct Connection {
    /// The socket.
    pub stream: Stream,
    /// The client: whose address is at its other end, or whose a PROXY header told.
    pub peer: SocketAddr,
    /// What it connected to, if a PROXY header told so.
    pub reached: Option<SocketAddr>,
    /// Its TLS, and the name that the client asked for with it.
    pub secure: Option<Rc<Handshake>>,
    /// Whether the client speaks HTTP/2 on it.
    pub http2: bool,
    /// The head of its request, if it is one exchange of HTTP/2.
    pub asked: Option<Box<Http2Head>>,
    /// The listener that accepted it.
    pub listener: Rc<Listener>,
    /// What was read and not used yet.
    pub buffer: Vec<u8>,
    /// How many requests may come yet. One exchange of HTTP/2 has no such limit: its whole connection has.
    pub requests_left: u32,
    /// Its time limit, for whatever it waits for now.
    pub deadline: Deadline,
}

/// A request's head as HTTP/2 brings it.
pub(super) struct Http2Head {
    /// Method, target and fields.
    pub parts: http::request::Parts,
    /// Whether nothing follows it.
    pub ended: bool,
}

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    KeepAlive,
    /// The answer was the last one; what the client still sends is of no interest.
    Close,
    /// The same, and the client said that it sends nothing more.
    Last,
    /// There is nobody to answer.
    Gone,
    /// Not all of an answer was sent, and its end must not look like an end.
    Abort,
}

impl Connection {
    /// A connection that was just accepted.
    pub(super) fn new(
        worker: &Worker,
        stream: Stream,
        peer: SocketAddr,
        listener: Rc<Listener>,
    ) -> Connection {
        let deadline = worker.deadlines.deadline(listener.id.number());
        Connection {
            stream,
            peer,
            reached: None,
            secure: None,
            http2: false,
            asked: None,
            listener,
            buffer: Vec::new(),
            requests_left: u32::MAX,
            deadline,
        }
    }

    /// One in the clear.
    pub(super) fn plain(worker: &Worker, arrival: Arrival, listener: Rc<Listener>) -> Connection {
        let connection = Connection::new(worker, Stream::new(arrival.tcp), arrival.peer, listener);
        Connection { reached: arrival.reached, ..connection }
    }

    /// Whether the next answer is the last one.
    pub(super) fn is_at_its_last(&self) -> bool {
        self.requests_left == 0 || self.listener.is_draining()
    }
}

/// Serves a connection until one side closes it.
pub(super) async fn serve(worker: &Rc<Worker>, mut connection: Connection) {
    if connection.http2 {
        return Box::pin(http2::serve(worker, connection)).await;
    }
    let mut is_first = true;
    while is_wanted(worker, &mut connection).await {
        let begins_as_http2 =
            is_first && connection.stream.is_plain() && connection.buffer.starts_with(PREFACE);
        if begins_as_http2 && http2::limits(worker, &connection.listener).is_some() {
            return Box::pin(http2::serve(worker, connection)).await;
        }
        is_first = false;
        // Boxed so that an idle connection is small: the exchange's state is some kilobytes.
        match Box::pin(serve_while_busy(worker, &mut connection)).await {
            After::KeepAlive => {}
            // All that it sent was read, so that closing is no reset: there is nothing to wait for.
            After::Last if connection.stream.is_plain() && connection.buffer.is_empty() => return,
            After::Close | After::Last => return linger(worker, connection).await,
            After::Gone => return,
            After::Abort => return connection.stream.reset(),
        }
    }
}

/// Serves requests until none comes for a moment: allocating anew for each would cost as much as its parsing.
async fn serve_while_busy(worker: &Rc<Worker>, connection: &mut Connection) -> After {
    loop {
        let after = exchange::serve(worker, connection).await;
        if after != After::KeepAlive {
            return after;
        }
        if !connection.buffer.is_empty() {
            continue;
        }
        worker.buffers.put(std::mem::take(&mut connection.buffer));
        // Also when it drains: the answer may not have said that it was the last, and the next request be on its way.
        connection.deadline.set_idle(BUSY);
        let (reader, _) = connection.stream.split();
        match connection.deadline.race(reader.readable()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return After::Gone,
            Err(Elapsed) if connection.listener.is_draining() => return After::Close,
            Err(Elapsed) => return After::KeepAlive,
        }
    }
}

/// Waits for the first bytes of a request; false when there will be none. While nothing comes the connection holds no buffer.
async fn is_wanted(worker: &Worker, connection: &mut Connection) -> bool {
    if !connection.buffer.is_empty() {
        return true;
    }
    worker.buffers.put(std::mem::take(&mut connection.buffer));
    let listener = &connection.listener;
    let patience = if listener.is_draining() { BUSY } else { worker.view().snapshot.settings.idle_timeout };
    connection.deadline.set_idle(patience);
    let (mut reader, _) = connection.stream.split();
    let read = poll_fn(|cx| {
        let mut buffer = worker.buffers.head();
        let read = reader.poll_fill(cx, &mut buffer);
        if matches!(read, Poll::Ready(Ok(1..))) {
            connection.buffer = buffer;
        } else {
            worker.buffers.put(buffer);
        }
        read
    });
    matches!(connection.deadline.race(read).await, Ok(Ok(1..)))
}

/// Closes after the answer: says so, then reads on for a moment, since closing on unread bytes would reset the
/// connection and could destroy the answer on its way.
pub(super) async fn linger(worker: &Worker, mut connection: Connection) {
    connection.deadline.set(LINGER);
    let mut trash = std::mem::take(&mut connection.buffer);
    if trash.capacity() == 0 {
        trash = worker.buffers.head();
    }
    let (mut reader, mut writer) = connection.stream.split();
    if writer.shutdown().await.is_err() {
        return;
    }
    let mut left = LINGER_BYTES;
    while left > 0 {
        trash.clear();
        match connection.deadline.race(reader.fill(&mut trash)).await {
            Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count),
            _ => break,
        }
    }
    worker.buffers.put(trash);
}
