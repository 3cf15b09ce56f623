//! Clients' connections of HTTP/2: the greeting, the requests, and the end of those who overdo it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};
use http::request::Parts;

use super::watched::{Watch, Watched};
use super::{CONNECTION_WINDOW, Http2Stream, SEND_BUFFER, STREAM_WINDOW};
use crate::telemetry::Refused;
use crate::transport::deadline::Deadline;
use crate::transport::stream::Stream;

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
    /// From a head's first byte to its last.
    pub head_timeout: Duration,
}

/// A client's connection.
pub struct Http2Connection {
    connection: Connection<Watched, Bytes>,
    watch: Rc<RefCell<Watch>>,
    head_timeout: Duration,
    /// When a head that is under way has to be whole, and the number of the one for which it is set.
    late: Deadline,
    timed: u64,
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
    /// Greets a client, of whom these bytes were read already. The caller sets the time limit for that; `late` is for heads.
    ///
    /// # Errors
    /// The client does not speak HTTP/2.
    pub async fn accept(
        stream: Stream,
        begun: Vec<u8>,
        limits: Http2Limits,
        late: Deadline,
    ) -> Result<Http2Connection, Ended> {
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
        let (stream, watch) = Watched::new(stream, begun, Instant::now());
        let connection = builder.handshake(stream).await.map_err(|error| ended(error, &watch))?;
        let head_timeout = limits.head_timeout;
        Ok(Http2Connection { connection, watch, head_timeout, late, timed: 0, told: None })
    }

    /// The next request; none when the connection is over. It also moves all streams, so it has to be polled as long as
    /// there are any.
    pub fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Http2Request, Ended>>> {
        let accepted = self.connection.poll_accept(cx);
        self.poll_late(cx);
        let found = self.watch.borrow().found();
        if let Some(found) = found {
            return self.poll_end(cx, found).map(|ended| Some(Err(ended)));
        }
        Poll::Ready(ready!(accepted).map(|accepted| {
            let (request, respond) = accepted.map_err(|error| ended(error, &self.watch))?;
            let (parts, body) = request.into_parts();
            let ended = body.is_end_stream();
            let stream = Stream::http2(Http2Stream::new(body, respond, ended, self.watch.clone()));
            Ok(Http2Request { parts, ended, stream })
        }))
    }

    /// Takes note if a head takes too long. All others wait for it, since nothing may come before its end.
    fn poll_late(&mut self, cx: &mut Context<'_>) {
        let Some(block) = self.watch.borrow().coming_block() else { return };
        if self.timed != block {
            self.timed = block;
            self.late.set(self.head_timeout);
        }
        if self.late.poll_elapsed(cx).is_ready() {
            self.watch.borrow_mut().is_late();
        }
    }

    /// Tells a client that overdid something to go away (GOAWAY, ENHANCE_YOUR_CALM), and gives all its streams up.
    fn poll_end(&mut self, cx: &mut Context<'_>, found: Refused) -> Poll<Ended> {
        if self.told.replace(found).is_none() {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
        // It ends when that is sent, or cannot be.
        let _end = ready!(self.connection.poll_closed(cx));
        let error = match found {
            Refused::SlowHead => "a head takes too long",
            Refused::Http2Protocol => "trailers with pseudo-fields come one after the other",
            _ => "the client sends too many frames that ask for nothing",
        };
        Poll::Ready(Ended { refused: Some(found), error: io::Error::other(error) })
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
