//! First step: read the request's head.

use std::time::Instant;

use super::error::Error;
use super::exchange::Exchange;
use crate::http::forwarded::client_address;
use crate::http::h1::{self, HeadLimits};
use crate::plugin::RequestId;
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
        let (mut reader, _) = connection.stream.split();
        connection.deadline.set(settings.head_timeout);
        loop {
            let buffer = &mut connection.buffer;
            let parsed = h1::parse_request(buffer, &mut context.request, &limits, settings.edge);
            if let Some(framing) = parsed.map_err(Error::BadRequest)? {
                self.framing = framing;
                break;
            }
            if buffer.capacity() == 0 {
                *buffer = self.worker.buffers.head();
            } else if buffer.len() == buffer.capacity() {
                buffer.reserve(MORE);
            }
            match connection.deadline.race(reader.fill(buffer)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return Ok(false),
                Err(Elapsed) if buffer.is_empty() => return Ok(false),
                Err(Elapsed) => return Err(Error::RequestLate),
            }
        }
        self.started = Instant::now();
        context.now = self.started;
        context.secure = connection.secure.is_some();
        let peer = connection.peer.ip();
        context.client = Some(client_address(&context.request, peer, |address| settings.trusts(address)));
        Ok(true)
    }
}
