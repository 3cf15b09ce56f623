//! First step: read the request's head.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::error::Error;
use super::exchange::Exchange;
use crate::http::forwarded::client_address;
use crate::http::h1::{self, Edge, HeadLimits, RequestFraming};
use crate::http::h2;
use crate::http::head::RequestHead;
use crate::plugin::RequestId;
use crate::transport::buffers::Buffers;
use crate::transport::deadline::Elapsed;

/// Room for the next read when a head fills its buffer.
const MORE: usize = 16 * 1024;

impl Exchange<'_> {
    /// Reads a head into the context; false if the client closed without sending one.
    pub(super) async fn read_head(&mut self) -> Result<bool, Error> {
        let settings = &self.view.snapshot.settings;
        let limits = HeadLimits { max_bytes: settings.max_head, max_fields: settings.max_headers };
        let context = self.context.as_mut().expect("no plugin was called yet");
        // Before anything can fail: the answer to a malformed request names it, too.
        context.id = RequestId::new(fastrand::u64(..));
        let connection = &mut *self.connection;
        if let Some(asked) = connection.asked.take() {
            let taken =
                h2::take_request(&asked.parts, asked.ended, &mut context.request, &limits, settings.edge);
            self.framing = taken.map_err(Error::BadRequest)?;
        } else {
            let read = read_http1(
                connection,
                &mut context.request,
                (&limits, settings.edge),
                settings.head_timeout,
                &self.worker.buffers,
            );
            match read.await? {
                Some(framing) => self.framing = framing,
                None => return Ok(false),
            }
        }
        self.started = Instant::now();
        context.now = self.started;
        connection.requests_left = connection.requests_left.saturating_sub(1);
        context.secure = connection.secure.is_some();
        context.certificate = connection.secure.as_ref().and_then(|secure| secure.certificate.clone());
        let peer = connection.peer.ip();
        context.client = Some(client_address(&context.request, peer, |address| settings.trusts(address)));
        Ok(true)
    }
}

/// Reads a head of HTTP/1.1; none if the client closed without sending one.
async fn read_http1(
    connection: &mut Connection,
    head: &mut RequestHead,
    (limits, edge): (&HeadLimits, Edge),
    timeout: Duration,
    buffers: &Buffers,
) -> Result<Option<RequestFraming>, Error> {
    let (mut reader, _) = connection.stream.split();
    connection.deadline.set(timeout);
    loop {
        let buffer = &mut connection.buffer;
        let parsed = h1::parse_request(buffer, head, limits, edge);
        if let Some(framing) = parsed.map_err(Error::BadRequest)? {
            return Ok(Some(framing));
        }
        if buffer.capacity() == 0 {
            *buffer = buffers.head();
        } else if buffer.len() == buffer.capacity() {
            buffer.reserve(MORE);
        }
        match connection.deadline.race(reader.fill(buffer)).await {
            Ok(Ok(count)) if count > 0 => {}
            Ok(_) => return Ok(None),
            Err(Elapsed) if buffer.is_empty() => return Ok(None),
            Err(Elapsed) => return Err(Error::HeadLate),
        }
    }
}
