//! One connection of HTTP/2 to a node, which many requests share (RFC 9113).
//!
//! A task of its own moves its frames and notices when the node is dead; what ends it ends all that are on it. It counts as
//! made when the node greeted: then it is known to speak HTTP/2, and how many requests it takes at once.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tracing::debug;

use super::pulse::{Patience, Pulse, Sign};
use super::{Http2Stream, Lost, SEND_BUFFER, STREAM_WINDOW};
use crate::transport::stream::Stream;

/// So many requests share a connection at most, however many the node takes: one that dies takes no more with it. Chosen.
const STREAMS: usize = 256;
/// Each may have its whole window unread, and still no other waits for it.
const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;
/// Bytes of a response's head, as RFC 9113, 6.5.2 counts them: as for HTTP/1.1.
const MAX_HEAD: u32 = 128 * 1024;
/// More than a node can ask for: it did not say yet how many requests it takes.
const NOT_GREETED: usize = u32::MAX as usize + 1;
/// One that nobody takes after it was made is closed after so long, at the earliest.
const UNUSED: Duration = Duration::from_secs(1);

/// A connection to a node.
pub struct SharedConnection {
    sender: SendRequest<Bytes>,
    /// Requests on it now.
    streams: Cell<usize>,
    /// Whether it has served a request.
    served: Cell<bool>,
    /// How long it is kept without any, and until when if there is none.
    keep: Cell<Duration>,
    idle_until: Cell<Instant>,
    /// Told of each place that is free again.
    freed: OnceCell<Rc<Notify>>,
}

impl SharedConnection {
    /// Greets a node, and waits for its greeting; then a local task drives the connection. The caller sets the time limit.
    ///
    /// # Errors
    /// The connection broke, or the node does not speak HTTP/2.
    pub async fn greet(stream: Stream) -> io::Result<Rc<SharedConnection>> {
        SharedConnection::greet_over(stream, Patience::USUAL).await
    }

    async fn greet_over(
        io: impl AsyncRead + AsyncWrite + Unpin + 'static,
        patience: Patience,
    ) -> io::Result<Rc<SharedConnection>> {
        let heard = Rc::new(Cell::new(0));
        let (sender, mut connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(NOT_GREETED)
            .max_header_list_size(MAX_HEAD)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .handshake(Heard { io, count: heard.clone() })
            .await
            .map_err(no_greeting)?;
        let ping = connection.ping_pong().expect("it is taken once");
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(no_greeting(error))),
            Poll::Pending if sender.current_max_send_streams() != NOT_GREETED => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let shared = Rc::new(SharedConnection {
            sender,
            streams: Cell::new(0),
            served: Cell::new(false),
            keep: Cell::new(Duration::ZERO),
            idle_until: Cell::new(Instant::now() + UNUSED),
            freed: OnceCell::new(),
        });
        tokio::task::spawn_local(drive(connection, ping, heard, Rc::downgrade(&shared), patience));
        Ok(shared)
    }

    /// Begins a request; `ended`: nothing follows its head.
    ///
    /// # Errors
    /// The connection takes no more requests: the node has seen nothing of this one.
    pub fn send(self: &Rc<Self>, request: Request<()>, ended: bool) -> Result<Stream, Lost> {
        let mut sender = self.sender.clone();
        // Never pending: that a request of its own waits is a matter of each clone.
        let _open = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        let (response, body) = sender.send_request(request, ended).map_err(|error| Lost::unsent(&error))?;
        self.streams.set(self.streams.get() + 1);
        let stream = Http2Stream::to_node(response, (!ended).then_some(body), Place(self.clone()));
        Ok(Stream::http2(stream))
    }

    /// Whether the node said that it takes extended CONNECT (RFC 8441, 3).
    pub fn opens_tunnels(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// How many requests are on it.
    pub fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Whether it served a request and none is on it: then its end, come just now, tells nothing of the node.
    pub fn is_idle(&self) -> bool {
        self.streams.get() == 0 && self.served.get()
    }

    /// Whether one more request would be sent at once.
    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < STREAMS.min(self.sender.current_max_send_streams())
    }

    /// From now on this is told when it has room again.
    pub(super) fn tell(&self, freed: Rc<Notify>) {
        self.freed.get_or_init(|| freed);
    }

    fn tell_of_room(&self) {
        if let Some(freed) = self.freed.get() {
            freed.notify_one();
        }
    }

    /// Whether it takes requests at all: it is neither broken nor said goodbye to.
    pub(super) fn is_open(&self) -> bool {
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(ready, Poll::Ready(Err(_)))
    }

    /// From now on it is kept for so long without requests.
    pub(super) fn keep(&self, keep: Duration) {
        self.keep.set(keep);
    }

    /// Whether it had no request for too long.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.streams.get() == 0 && self.idle_until.get() <= now
    }
}

/// A request's place on a connection.
pub(super) struct Place(Rc<SharedConnection>);

impl Drop for Place {
    fn drop(&mut self) {
        let Place(connection) = self;
        connection.streams.set(connection.streams.get() - 1);
        connection.served.set(true);
        if connection.streams.get() == 0 {
            connection.idle_until.set(Instant::now() + connection.keep.get());
        }
        connection.tell_of_room();
    }
}

/// Moves a connection's frames until it ends, or the node is found dead.
async fn drive<T: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<T, Bytes>,
    mut ping: PingPong,
    heard: Rc<Cell<u64>>,
    shared: Weak<SharedConnection>,
    patience: Patience,
) {
    let mut pulse = Pulse::new(patience, Instant::now());
    loop {
        tokio::select! {
            biased;
            end = &mut connection => {
                if let Err(error) = end {
                    debug!(%error, "a connection of HTTP/2 to a node ends");
                }
                return;
            }
            pong = poll_fn(|cx| ping.poll_pong(cx)) => if pong.is_ok() { pulse.answered(heard.get(), Instant::now()) },
            () = tokio::time::sleep(patience.look) => {
                let shared = shared.upgrade();
                let busy = shared.as_ref().is_some_and(|shared| shared.streams() > 0);
                // A node may take more at once than it said before.
                if let Some(shared) = shared.filter(|shared| shared.has_room()) {
                    shared.tell_of_room();
                }
                match pulse.look(heard.get(), busy, Instant::now()) {
                    Sign::Fine => {}
                    // One that is still on its way will do.
                    Sign::Ask => _ = ping.send_ping(Ping::opaque()),
                    Sign::Dead => {
                        debug!("a node does not answer on its connection of HTTP/2");
                        return;
                    }
                }
            }
        }
    }
}

fn no_greeting(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().expect("it is one");
    }
    io::Error::new(io::ErrorKind::InvalidData, format!("the node does not speak HTTP/2 ({error})"))
}

/// Counts what comes.
struct Heard<T> {
    io: T,
    count: Rc<Cell<u64>>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.count.set(self.count.get() + (buffer.filled().len() - before) as u64);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
