//! HTTP/2 (RFC 9113): clients' connections, and each stream of a client or to a node as a stream of bytes of its own.
//!
//! h2 does frames, flow control and header compression, and bounds what it would have to keep; `floods` bounds the rest. A stream's window is given
//! back only when its bytes were taken, and written to only as far as the client's window goes, so a slow side slows its own
//! exchange and no other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, Response};

use self::watched::{Watch, Watched};
use super::stream::Stream;
use crate::http::fields::Fields;
use crate::http::h2 as heads;
use crate::telemetry::Refused;

mod floods;
mod frames;
mod watched;

mod lost;
mod nodes;
mod pulse;
mod shared;

pub use lost::Lost;
pub use nodes::{SharedConnections, Terms};
pub use shared::SharedConnection;

/// What a client may send ahead on one stream, as a node may, and on all of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What a body may have waiting for the peer's window; a read of one.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that the client gave up and that nobody looked at yet: more at once is an attack (CVE-2023-44487).
const RESET_STREAMS: usize = 20;
/// Streams that h2 itself resets for what the client did on them. `floods` is stricter; this is for what it does not see.
const RESETS_PROVOKED: usize = 1024;

/// What a client may do on one connection.
#[derive(Clone, Copy, Debug)]
pub struct Http2Limits {
    /// Requests at once.
    pub streams: u32,
    /// Bytes of a request's head, as RFC 9113, 6.5.2 counts them.
    pub head: u32,
}

/// A client's connection.
pub struct Http2Connection {
    connection: Connection<Watched, Bytes>,
    watch: Rc<RefCell<Watch>>,
    /// What the client overdid, once it was told so.
    told: Option<Refused>,
}

/// Why a connection ends before its time.
#[derive(Debug)]
pub struct Ended {
    /// What the client did, if it is to blame.
    pub refused: Option<Refused>,
    /// What h2 says of it.
    pub error: io::Error,
}

/// A request's head, and the stream on which its body comes and its response goes.
pub struct Http2Request {
    /// Method, target and fields.
    pub parts: Parts,
    /// Whether nothing follows it.
    pub ended: bool,
    /// Where the rest comes from and the response goes.
    pub stream: Stream,
}

impl Http2Connection {
    /// Greets a client whose first bytes are still to be read. The caller sets the time limit.
    ///
    /// # Errors
    /// The client does not speak HTTP/2.
    pub async fn accept(stream: Stream, limits: Http2Limits) -> Result<Http2Connection, Ended> {
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.head)
            .max_send_buffer_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(RESET_STREAMS)
            .max_local_error_reset_streams(Some(RESETS_PROVOKED))
            .enable_connect_protocol();
        let (stream, watch) = Watched::new(stream, Instant::now());
        let connection = builder.handshake(stream).await.map_err(|error| ended(error, &watch))?;
        Ok(Http2Connection { connection, watch, told: None })
    }

    /// The next request; none when the connection is over. It also moves all streams, so it has to be polled as long as
    /// there are any.
    pub fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Http2Request, Ended>>> {
        let accepted = self.connection.poll_accept(cx);
        let found = self.watch.borrow().found();
        if let Some(flood) = found {
            return self.poll_end(cx, flood).map(|ended| Some(Err(ended)));
        }
        Poll::Ready(ready!(accepted).map(|accepted| {
            let (request, respond) = accepted.map_err(|error| ended(error, &self.watch))?;
            let (parts, body) = request.into_parts();
            let ended = body.is_end_stream();
            let stream = Stream::http2(Http2Stream::new(body, respond, ended));
            Ok(Http2Request { parts, ended, stream })
        }))
    }

    /// Tells a client that floods to go away (GOAWAY, ENHANCE_YOUR_CALM), and gives all its streams up.
    fn poll_end(&mut self, cx: &mut Context<'_>, flood: Refused) -> Poll<Ended> {
        if self.told.replace(flood).is_none() {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
        // It ends when that is sent, or cannot be.
        let _end = ready!(self.connection.poll_closed(cx));
        let error = io::Error::other("the client sends too many frames that ask for nothing");
        Poll::Ready(Ended { refused: Some(flood), error })
    }

    /// Whether a request is in flight.
    pub fn is_busy(&self) -> bool {
        self.told.is_none() && self.connection.has_streams()
    }

    /// Bytes that the client was sent so far.
    pub fn sent(&self) -> u64 {
        self.watch.borrow().sent()
    }

    /// Says that no new request will be taken (GOAWAY); those in flight go on.
    pub fn close(&mut self) {
        self.connection.graceful_shutdown();
    }
}

/// One exchange of a connection, as bytes of bodies in both directions.
pub struct Http2Stream {
    coming: RefCell<Coming>,
    going: RefCell<Going>,
}

struct Coming {
    /// None before the head of a node's response is there.
    body: Option<RecvStream>,
    /// Read and not taken yet.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether the last byte was read, and whether that was told.
    ended: bool,
}

struct Going {
    peer: Peer,
    /// There is none before the head is sent, nor if that was all.
    body: Option<SendStream<Bytes>>,
}

/// Who is at the other end, and by what the response's head comes or goes.
enum Peer {
    Client(SendResponse<Bytes>),
    Node {
        response: ResponseFuture,
        /// Its place on the connection, which it gives back.
        _place: shared::Place,
    },
}

impl std::fmt::Debug for Http2Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http2Stream")
    }
}

impl Http2Stream {
    fn new(body: RecvStream, respond: SendResponse<Bytes>, ended: bool) -> Http2Stream {
        let coming = Coming { body: Some(body), piece: Bytes::new(), trailers: None, ended };
        let going = Going { peer: Peer::Client(respond), body: None };
        Http2Stream { coming: RefCell::new(coming), going: RefCell::new(going) }
    }

    /// The stream of a request to a node, whose head went out; there is no `body` if that was all.
    fn to_node(
        response: ResponseFuture,
        body: Option<SendStream<Bytes>>,
        place: shared::Place,
    ) -> Http2Stream {
        let coming = Coming { body: None, piece: Bytes::new(), trailers: None, ended: false };
        let going = Going { peer: Peer::Node { response, _place: place }, body };
        Http2Stream { coming: RefCell::new(coming), going: RefCell::new(going) }
    }

    /// The next head that a node answers with, and whether nothing follows it.
    pub fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<(Response<()>, bool), Lost>> {
        let going = &mut *self.going.borrow_mut();
        let Peer::Node { response, .. } = &mut going.peer else { return Poll::Ready(Err(Lost::Broken)) };
        match response.poll_informational(cx) {
            Poll::Ready(Some(Ok(head))) => return Poll::Ready(Ok((head, false))),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Lost::from(&error))),
            Poll::Ready(None) | Poll::Pending => {}
        }
        let (head, body) =
            ready!(std::pin::Pin::new(response).poll(cx)).map_err(|error| Lost::from(&error))?.into_parts();
        let ended = body.is_end_stream();
        let coming = &mut *self.coming.borrow_mut();
        (coming.body, coming.ended) = (Some(body), ended);
        Poll::Ready(Ok((Response::from_parts(head, ()), ended)))
    }

    /// Whether there is a byte of the body, or its end.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.coming.borrow_mut().poll_piece(cx)
    }

    /// Takes bytes of the body; 0 at its end.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let coming = &mut *self.coming.borrow_mut();
        ready!(coming.poll_piece(cx))?;
        let room = buffer.capacity() - buffer.len();
        let taken = coming.piece.split_to(room.min(coming.piece.len()));
        buffer.extend_from_slice(&taken);
        // Only now may the peer send as much again.
        if let Some(body) = &mut coming.body {
            body.flow_control().release_capacity(taken.len()).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(taken.len()))
    }

    /// What stood behind the body, once that is read.
    pub(super) fn take_trailers(&self) -> Option<Box<Fields>> {
        self.coming.borrow_mut().trailers.take().as_ref().and_then(heads::take_trailers)
    }

    /// Ready when the client gave the exchange up.
    pub(super) fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<()> {
        let going = &mut *self.going.borrow_mut();
        let reset = match (&mut going.body, &mut going.peer) {
            (Some(body), _) => body.poll_reset(cx),
            (None, Peer::Client(respond)) => respond.poll_reset(cx),
            // A node's end is seen where its response is read.
            (None, Peer::Node { .. }) => return Poll::Pending,
        };
        reset.map(drop)
    }

    /// Sends a head that is not the last one.
    ///
    /// # Errors
    /// The client is gone, or the last head was sent.
    pub fn send_informational(&self, head: Response<()>) -> io::Result<()> {
        self.going.borrow_mut().respond()?.send_informational(head).map_err(io::Error::other)
    }

    /// Sends the response's head; `ended`: there is no body.
    ///
    /// # Errors
    /// The client is gone, or one was sent.
    pub fn send_head(&self, head: Response<()>, ended: bool) -> io::Result<()> {
        let going = &mut *self.going.borrow_mut();
        let body = going.respond()?.send_response(head, ended).map_err(io::Error::other)?;
        going.body = (!ended).then_some(body);
        Ok(())
    }

    /// Sends bytes of the body, as far as the peer's window goes.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        let going = &mut *self.going.borrow_mut();
        let Some(body) = &mut going.body else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        body.reserve_capacity(piece.len().min(SEND_BUFFER));
        while body.capacity() == 0 {
            match ready!(body.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = body.capacity().min(piece.len());
        body.send_data(Bytes::copy_from_slice(&piece[..count]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    /// Ends the body, if it did not end.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn finish(&self, trailers: Option<&Fields>) -> io::Result<()> {
        let Some(mut body) = self.going.borrow_mut().body.take() else { return Ok(()) };
        let sent = match trailers {
            Some(fields) => body.send_trailers(heads::trailers(fields)),
            None => body.send_data(Bytes::new(), true),
        };
        sent.map_err(io::Error::other)
    }

    /// Tells the client that its response is not whole, or the node that nobody waits for its own.
    pub(super) fn reset(&self) {
        let going = &mut *self.going.borrow_mut();
        match (&mut going.body, &mut going.peer) {
            (Some(body), Peer::Client(_)) => body.send_reset(Reason::INTERNAL_ERROR),
            (None, Peer::Client(respond)) => respond.send_reset(Reason::INTERNAL_ERROR),
            (Some(body), Peer::Node { .. }) => body.send_reset(Reason::CANCEL),
            // h2 cancels it when it is dropped, as it is now.
            (None, Peer::Node { .. }) => {}
        }
    }
}

impl Going {
    fn respond(&mut self) -> io::Result<&mut SendResponse<Bytes>> {
        match &mut self.peer {
            Peer::Client(respond) => Ok(respond),
            Peer::Node { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Coming {
    /// Ready when there is a byte, or the end was read with what stands behind it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        while !self.piece.has_remaining() && !self.ended {
            match ready!(body.poll_data(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    self.trailers = ready!(body.poll_trailers(cx)).map_err(io::Error::other)?;
                    self.ended = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What h2 ends a connection for. Of what its error tells too little, its GOAWAY told the client.
fn ended(error: h2::Error, watch: &RefCell<Watch>) -> Ended {
    let is_clients = error.is_library() && error.is_go_away();
    let refused = is_clients.then(|| watch.borrow().said().unwrap_or(Refused::Http2Protocol));
    Ended { refused, error: io::Error::other(error) }
}

/// Waits for the next request, as [`Http2Connection::poll_request`].
pub async fn next_request(connection: &mut Http2Connection) -> Option<Result<Http2Request, Ended>> {
    poll_fn(|cx| connection.poll_request(cx)).await
}
