//! One attempt on one node, on as many connections as that takes: a kept one may turn out to be gone just as it is used.
//!
//! That is no failure of the node, and no retry: the same node is asked again, once, if that cannot do anything twice.

use super::error::Error;
use super::exchange::Exchange;
use super::node_connection::NodeResponse;
use super::timeouts::Limit;
use super::transfer::Transfer;
use crate::node::live::InFlight;
use crate::telemetry::RetryReason;

impl Exchange<'_> {
    /// Sends the request to the attempt's node, and awaits the head of its answer.
    pub(super) async fn send_and_await(&mut self, attempt: &InFlight) -> Result<NodeResponse, Error> {
        let address = attempt.node().spec.address;
        // An earlier attempt's is at its start again.
        if self.upload.is_none() {
            self.start_upload();
        }
        let mut connection = match self.take_idle(address) {
            Some(connection) => connection,
            None => self.connect(address).await?,
        };
        let mut is_last = false;
        loop {
            let error = match self.await_head(&mut connection, attempt).await {
                Ok(framing) => return Ok(NodeResponse { connection, framing }),
                Err(error) => error,
            };
            let again = match &error {
                // The node closed an idle connection just as it was used again. That is no failure of the node:
                // the same attempt goes on, on a fresh connection, if that cannot do anything twice.
                Error::NodeClosed => connection.was_idle() && self.may_resend(),
                // The node said goodbye just as the connection was used. It takes what it did not look at on the next.
                Error::Unseen { leaving } => self.upload.as_mut().is_some_and(Transfer::rewind) && *leaving,
                _ => false,
            };
            if !again || is_last {
                self.worker.buffers.put(connection.buffer);
                return Err(error);
            }
            self.timeouts.stop(&[Limit::FirstByte, Limit::Ejected, Limit::Pace], &self.connection.deadline);
            connection = self.connect(address).await?;
            // In HTTP/2 a connection may be another's idle one again.
            is_last = connection.stream.as_http2().is_some();
        }
    }

    /// Whether the request can go out again: the node has seen nothing of it, or may see it twice. Then it is at its
    /// start again.
    fn may_resend(&mut self) -> bool {
        let may_be_seen_twice = self.context().request.method.is_idempotent() && !self.begun;
        let Some(upload) = &self.upload else { return false };
        if !upload.is_untouched() {
            if !may_be_seen_twice || !upload.is_whole() || !self.withdraw_retry() {
                return false;
            }
            self.view.pools[self.pool as usize].metrics.retry(RetryReason::Reused);
        }
        self.upload.as_mut().is_some_and(Transfer::rewind)
    }
}
