//! How long a request waits for a plugin that waits, or for a stream to its node: as long as its client does, and within its
//! own time limits.
//!
//! For a plugin only where it decides what becomes of the request. What it thinks of a response or of an attempt has no other limit
//! than the plugin's own, since the request's may be over by then.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::connection::Connection;
use super::error::Error;
use super::exchange::Exchange;
use super::forward::poll_gone;
use super::timeouts::Timeouts;
use crate::plugin::Context;
use crate::transport::buffers::Buffers;

/// Who waits.
pub(super) struct Patience<'a> {
    client: &'a mut Connection,
    timeouts: &'a Timeouts,
    buffers: &'a Buffers,
    /// Whether the client may be looked after: else the end of what it sends is no sign that it left.
    looks: bool,
}

impl Exchange<'_> {
    /// What a call is lent, and who waits for it.
    #[inline]
    pub(super) fn lend(&mut self) -> (&mut Option<Box<Context>>, Patience<'_>) {
        let patience = Patience {
            client: &mut *self.connection,
            timeouts: &self.timeouts,
            buffers: &self.worker.buffers,
            looks: self.framing.keep_alive,
        };
        (&mut self.context, patience)
    }
}

impl Patience<'_> {
    /// Awaits a call, or whatever else. It is dropped if the client leaves or a limit is over; most calls are over when they
    /// get here.
    #[inline]
    pub(super) async fn outlast<F: Future + Unpin>(self, mut awaited: F) -> Result<F::Output, Error> {
        let Patience { client, timeouts, buffers, looks } = self;
        poll_fn(|cx| {
            if let Poll::Ready(answer) = Pin::new(&mut awaited).poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            let (mut reader, _) = client.stream.split();
            if looks && poll_gone(cx, &mut reader, &mut client.buffer, buffers).is_ready() {
                return Poll::Ready(Err(Error::ClientGone));
            }
            client.deadline.poll_elapsed(cx).map(|()| Err(Error::late(timeouts.first(&client.deadline))))
        })
        .await
    }
}
