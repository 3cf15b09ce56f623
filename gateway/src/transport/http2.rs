//! HTTP/2 (RFC 9113): clients' connections, and each stream of a client or to a node as a stream of bytes of its own.
//!
//! h2 does frames, flow control and header compression, and bounds what it would have to keep; `floods` bounds the rest, and `blocks` finds what h2
//! lets pass: heads that take too long, and pseudo-fields in trailers. A stream's window is given
//! back only when its bytes were taken, and written to only as far as the client's window goes, so a slow side slows its own
//! exchange and no other.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};

use self::watched::Watch;
use crate::http::fields::Fields;
use crate::http::h1::Malformed;
use crate::http::h2 as heads;

mod blocks;
mod clients;
mod floods;
mod frames;
mod walk;
mod watched;

mod lost;
mod nodes;
mod pulse;
mod shared;

pub use clients::{Ended, Http2Connection, Http2Limits, Http2Request, next_request};
pub use lost::Lost;
pub use nodes::{SharedConnections, Terms};
pub use shared::SharedConnection;

/// What a client may send ahead on one stream, as a node may, and on all of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What a body may have waiting for the peer's window; a read of one.
const SEND_BUFFER: usize = 64 * 1024;

/// One exchange of a connection, as bytes of bodies in both directions.
pub struct Http2Stream {
    coming: RefCell<Coming>,
    going: RefCell<Going>,
}

#[derive(Default)]
struct Coming {
    /// None before the head of a node's response is there.
    body: Option<RecvStream>,
    /// Read and not taken yet.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether the last byte was read, and whether that was told.
    ended: bool,
    /// Who knows whether a client's trailers are malformed, and that they are.
    watch: Option<Rc<RefCell<Watch>>>,
    malformed: bool,
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
    fn new(
        body: RecvStream,
        respond: SendResponse<Bytes>,
        ended: bool,
        watch: Rc<RefCell<Watch>>,
    ) -> Http2Stream {
        let coming = Coming { body: Some(body), ended, watch: Some(watch), ..Coming::default() };
        let going = Going { peer: Peer::Client(respond), body: None };
        Http2Stream { coming: RefCell::new(coming), going: RefCell::new(going) }
    }

    /// The stream of a request to a node, whose head went out; there is no `body` if that was all.
    fn to_node(
        response: ResponseFuture,
        body: Option<SendStream<Bytes>>,
        place: shared::Place,
    ) -> Http2Stream {
        let coming = Coming::default();
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
        self.poll_piece(cx, &mut self.coming.borrow_mut())
    }

    /// As [`Coming::poll_piece`]; a client whose trailers are malformed is told so (RFC 9113, 8.1.1).
    fn poll_piece(&self, cx: &mut Context<'_>, coming: &mut Coming) -> Poll<io::Result<()>> {
        let was_malformed = coming.malformed;
        let polled = coming.poll_piece(cx);
        if coming.malformed && !was_malformed {
            self.reset_for(Reason::PROTOCOL_ERROR);
        }
        polled
    }

    /// Takes bytes of the body; 0 at its end.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let coming = &mut *self.coming.borrow_mut();
        ready!(self.poll_piece(cx, coming))?;
        let before = buffer.len();
        // All that is there: else a body in single bytes would be as many writes to the other side.
        while !coming.piece.is_empty() && buffer.len() < buffer.capacity() {
            let room = buffer.capacity() - buffer.len();
            buffer.extend_from_slice(&coming.piece.split_to(room.min(coming.piece.len())));
            if coming.piece.is_empty() {
                // An error comes again with the next call.
                let _more = self.poll_piece(cx, coming);
            }
        }
        let taken = buffer.len() - before;
        // Only now may the peer send as much again.
        if let Some(body) = &mut coming.body {
            body.flow_control().release_capacity(taken).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(taken))
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
        self.reset_for(Reason::INTERNAL_ERROR);
    }

    /// The same, and what a client is told as the reason.
    fn reset_for(&self, reason: Reason) {
        let going = &mut *self.going.borrow_mut();
        match (&mut going.body, &mut going.peer) {
            (Some(body), Peer::Client(_)) => body.send_reset(reason),
            (None, Peer::Client(respond)) => respond.send_reset(reason),
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
        if self.malformed {
            return Poll::Ready(Err(io::Error::other(Malformed::FieldName)));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        while !self.piece.has_remaining() && !self.ended {
            match ready!(body.poll_data(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    self.trailers = ready!(body.poll_trailers(cx)).map_err(io::Error::other)?;
                    self.ended = true;
                    let stream = body.stream_id().as_u32();
                    self.malformed = self.trailers.is_some()
                        && self.watch.as_ref().is_some_and(|watch| watch.borrow_mut().take_malformed(stream));
                    if self.malformed {
                        return Poll::Ready(Err(io::Error::other(Malformed::FieldName)));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
