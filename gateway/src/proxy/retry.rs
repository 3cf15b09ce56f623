//! After an attempt: is the request sent again, to another node?
//!
//! Only if that cannot do anything twice, or doing it twice is doing it once; only while no byte of an answer has reached
//! the client; and only as often as the pool's budget allows. [`permission`] is the whole rule.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::error::Error;
use super::exchange::Exchange;
use super::forward::skip_body;
use super::node_connection::NodeResponse;
use super::transfer::Transfer;
use crate::http::BodyLength;
use crate::telemetry::{RetryReason, RetryRefusal};

mod budget;

/// How often a request that waits looks whether its node was taken out: little against the second that clients bear.
pub(super) const EJECTION_LOOK: Duration = Duration::from_millis(100);

pub(super) use budget::{Allowance, Budget};

/// How much of the request nodes may have seen, and whether it could be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// No byte of it.
    Nothing,
    /// Some, and all that was sent is still at hand.
    AtHand,
    /// Some, and a part is gone.
    Gone,
}

/// What a retry hangs on, beside the budget.
#[derive(Clone, Copy, Debug)]
struct Attempted {
    sent: Sent,
    /// Whether doing it twice is doing it once (RFC 9110, 9.2.2).
    idempotent: bool,
    /// Whether the client has a part of an answer, be it an informational one.
    begun: bool,
    attempts_left: bool,
    /// Whether a node is left that was not tried.
    another_node: bool,
}

/// Whether the request may be sent again, as far as the budget allows; or the first reason why not.
fn permission(attempted: Attempted) -> Result<(), RetryRefusal> {
    let Attempted { sent, idempotent, begun, attempts_left, another_node } = attempted;
    if sent != Sent::Nothing && !idempotent {
        Err(RetryRefusal::Method)
    } else if sent == Sent::Gone {
        Err(RetryRefusal::Body)
    } else if begun {
        Err(RetryRefusal::Begun)
    } else if !attempts_left {
        Err(RetryRefusal::Attempts)
    } else if !another_node {
        Err(RetryRefusal::NoNode)
    } else {
        Ok(())
    }
}

/// What came of an attempt that is tried again, for the log.
enum Failure<'a> {
    Error(&'a Error),
    Status(u16),
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => error.fmt(f),
            Failure::Status(status) => write!(f, "the node answered with {status}"),
        }
    }
}

impl Exchange<'_> {
    /// Settles the attempt: what came of it, or that another node shall be picked. It decides before it lets go of an
    /// answer, so the client gets that one if there is no other.
    pub(super) fn settle(
        &mut self,
        result: Result<NodeResponse, Error>,
    ) -> ControlFlow<Result<NodeResponse, Error>, Option<Error>> {
        let Some(reason) = self.reason_to_retry(&result) else {
            return ControlFlow::Break(result);
        };
        let view = self.view;
        let metrics = &view.pools[self.pool as usize].metrics;
        if let Err(why) = self.permit_retry(reason) {
            metrics.retry_refused(why);
            return ControlFlow::Break(result);
        }
        metrics.retry(reason);
        self.note_failure(result.as_ref().err());
        self.leave_out_picked();
        // The node is free of it before the next one is picked.
        self.in_flight = None;
        let failed = result.map(|response| self.discard(response)).err();
        if let Some(upload) = &mut self.upload {
            upload.rewind();
        }
        ControlFlow::Continue(failed)
    }

    /// The log's line on an attempt that another node makes good: it ended in this error, or in an answer that is one.
    pub(super) fn note_failure(&self, error: Option<&Error>) {
        let context = self.context();
        let failure = error.map_or(Failure::Status(context.response.status), Failure::Error);
        if let Some(node) = &context.node {
            self.worker.notices.another_is_tried(node, &context.pool, &failure, context.now);
        }
    }

    /// Leaves the picked node out of the picks to come.
    pub(super) fn leave_out_picked(&mut self) {
        if let Some(picked) = self.picked.take() {
            self.context_mut().selection.next_attempt(picked);
        }
    }

    /// Whether an attempt could be made on a node that was not picked yet.
    pub(super) fn has_another_node(&self) -> bool {
        let selection = &self.context().selection;
        match self.picked {
            Some(picked) => selection.has_other(picked, |candidate| self.has_room_on(candidate)),
            None => selection.any(|candidate| self.has_room_on(candidate)),
        }
    }

    /// Why this result is one to try again, if it is.
    fn reason_to_retry(&self, result: &Result<NodeResponse, Error>) -> Option<RetryReason> {
        let rules = &self.view.pool(self.pool).retry;
        match result {
            Ok(_) => rules.covers_status(self.context().response.status).then_some(RetryReason::Status),
            Err(error) => error.retry_reason().filter(|reason| rules.covers(*reason)),
        }
    }

    fn permit_retry(&mut self, reason: RetryReason) -> Result<(), RetryRefusal> {
        let attempted = self.attempted();
        permission(attempted)?;
        // What no node has seen is no load for the pool, however often it is tried.
        let is_free = attempted.sent == Sent::Nothing && reason != RetryReason::Status;
        if is_free || self.withdraw_retry() { Ok(()) } else { Err(RetryRefusal::Budget) }
    }

    fn attempted(&self) -> Attempted {
        let context = self.context();
        let sent = match &self.upload {
            None => Sent::Nothing,
            Some(upload) if upload.is_untouched() => Sent::Nothing,
            Some(upload) if upload.is_whole() => Sent::AtHand,
            Some(_) => Sent::Gone,
        };
        Attempted {
            sent,
            idempotent: context.request.method.is_idempotent(),
            begun: self.begun,
            attempts_left: self.attempts < self.view.pool(self.pool).attempts,
            another_node: self.has_another_node(),
        }
    }

    /// Whether the request may ever leave a node that it waits for.
    pub(super) fn may_leave_node(&self) -> bool {
        let pool = self.view.pool(self.pool);
        pool.retry.covers(RetryReason::Timeout)
            && self.attempts < pool.attempts
            && self.context().request.method.is_idempotent()
    }

    /// Whether it may leave this one now. Where it may not, waiting on is better than an error.
    pub(super) fn can_leave_node(&self) -> bool {
        let pool = &self.view.pools[self.pool as usize];
        let now = Instant::now();
        permission(self.attempted()).is_ok() && pool.budget.borrow_mut().has_room(now, self.allowance())
    }

    /// Takes a retry out of the pool's budget, if there is one.
    pub(super) fn withdraw_retry(&self) -> bool {
        let pool = &self.view.pools[self.pool as usize];
        pool.budget.borrow_mut().withdraw(self.context().now, self.allowance())
    }

    fn allowance(&self) -> Allowance {
        let rules = &self.view.pool(self.pool).retry;
        Allowance { percent: rules.budget, floor: rules.floor, workers: self.worker.workers }
    }

    /// Lets go of a response that the client does not get. Its connection lives on if its whole body is here already.
    pub(super) fn discard(&mut self, mut response: NodeResponse) {
        let buffer = &mut response.connection.buffer;
        buffer.drain(..response.connection.taken);
        response.connection.taken = 0;
        let body = response.framing.body;
        let is_read = body != BodyLength::Unknown && skip_body(body, buffer);
        let is_sent = self.upload.as_ref().is_none_or(Transfer::is_done);
        self.keep_connection(response, is_read && is_sent);
    }

    /// How many bytes of the request's body are kept in case that it is sent again.
    pub(super) fn replay_limit(&self) -> u64 {
        let pool = self.view.pool(self.pool);
        let may_repeat = pool.attempts > 1 && self.context().request.method.is_idempotent();
        if may_repeat && !pool.retry.is_empty() { pool.retry.buffer } else { 0 }
    }
}

#[cfg(test)]
mod tests;
