//! Fifth step: send the request to the node and await the head of its response.
//!
//! The request's body goes up while the response is awaited, so that an early response is seen; a client that
//! leaves is noticed, and the attempt dropped with it.

use std::future::poll_fn;
use std::task::{Context as Task, Poll};
use std::time::Instant;

use super::error::Error;
use super::exchange::Exchange;
use super::node_connection::{NodeConnection, NodeResponse, poll_response};
use super::retry::EJECTION_LOOK;
use super::timeouts::Limit;
use super::transfer::{Failure, Transfer};
use crate::http::BodyLength;
use crate::http::forwarded::Forwarded;
use crate::http::h1::{self, BodyDecoder, BodyEncoder, RequestEncoding, ResponseFraming};
use crate::http::head::RequestHead;
use crate::node::live::{AttemptResult, InFlight};
use crate::plugin::Outcome;
use crate::snapshot::HostPolicy;
use crate::transport::buffers::Buffers;
use crate::transport::dial::NodeProtocol;
use crate::transport::stream::Reader;

/// So many 1xx heads are passed on before the final one; a node that sends more never means to answer. Chosen.
const MOST_INFORMATIONAL: u32 = 32;

/// What the wait for a response head found.
enum Event {
    Head(ResponseFraming),
    /// It is time to look whether the node was taken out meanwhile.
    Look,
    /// It is time to look whether the body comes at a pace.
    Measure,
    /// Not in time, gone, or not to be understood.
    Failed(Error),
}

impl Exchange<'_> {
    /// One attempt, on the picked node; or two, if that one takes long and the pool hedges.
    pub(super) async fn attempt(&mut self) -> Result<NodeResponse, Error> {
        let in_flight = self.count_attempt()?;
        let (mut in_flight, result) = if self.may_hedge() {
            // Boxed: few pools hedge, and the others' requests shall not be larger for it.
            Box::pin(self.race(in_flight)).await
        } else {
            let result = self.send_and_await(&in_flight).await;
            (in_flight, result)
        };
        let ended =
            [Limit::Connect, Limit::FirstByte, Limit::Hedge, Limit::Ejected, Limit::Attempt, Limit::Pace];
        self.timeouts.stop(&ended, &self.connection.deadline);
        self.tell(&mut in_flight, result.as_ref().err()).await;
        self.in_flight = Some(in_flight);
        result
    }

    /// Counts an attempt on the picked node, and starts its time.
    pub(super) fn count_attempt(&mut self) -> Result<InFlight, Error> {
        let counted = self.in_flight_next.take();
        let picked = self.picked.ok_or(Error::NoNode)?;
        let context = self.context_mut();
        let candidate = context.selection.candidate(picked).ok_or(Error::NoNode)?;
        let node = candidate.node.clone();
        let in_flight = counted.unwrap_or_else(|| node.begin(context.now));
        context.node = Some(node);
        let limit = self.view.pool(self.pool).attempt_timeout;
        self.timeouts.start(Limit::Attempt, limit, &self.connection.deadline);
        Ok(in_flight)
    }

    /// Tells the node, and the plugins that watch, how an attempt went: it ended in this error, or its answer is in the
    /// context.
    pub(super) async fn tell(&mut self, in_flight: &mut InFlight, error: Option<&Error>) {
        let now = Instant::now();
        self.context_mut().now = now;
        if error.is_none() {
            self.take_load_report();
        }
        let is_unavailable = error.is_none() && self.is_unavailable();
        let context = self.context_mut();
        context.outcome = Outcome {
            status: error.is_none().then_some(context.response.status),
            latency: now.duration_since(in_flight.started()),
            error: error.and_then(Error::node_error),
        };
        match context.outcome {
            Outcome { status: Some(_), .. } if is_unavailable => {
                in_flight.observe(now, AttemptResult::ServerError);
            }
            Outcome { status: Some(500..), .. } => in_flight.observe(now, AttemptResult::ServerError),
            Outcome { status: Some(_), .. } => in_flight.observe(now, AttemptResult::Ok),
            Outcome { error: Some("connect"), .. } => in_flight.observe(now, AttemptResult::Unreachable),
            Outcome { error: Some(_), .. } => in_flight.observe(now, AttemptResult::Failed),
            // The client is to blame: it says nothing about the node.
            Outcome { status: None, error: None, .. } => {}
        }
        if error.is_none() || context.outcome.error.is_some() {
            self.observe_attempt().await;
        }
    }

    /// The same of an attempt that came to a connection, where that is all that is asked of it.
    pub(super) async fn tell_reached(&mut self, in_flight: &mut InFlight) {
        let now = Instant::now();
        let context = self.context_mut();
        context.now = now;
        context.outcome =
            Outcome { status: None, latency: now.duration_since(in_flight.started()), error: None };
        in_flight.observe(now, AttemptResult::Ok);
        self.observe_attempt().await;
    }

    /// Encodes the head, which is the same for every node of a pool; the body follows as it comes. In HTTP/2 the head goes
    /// another way.
    pub(super) fn start_upload(&mut self) {
        let is_http2 = self.view.pool(self.pool).protocol == NodeProtocol::Http2;
        let mut out = self.worker.buffers.head();
        let encoder = if is_http2 {
            BodyEncoder::unframed(self.framing.body)
        } else {
            self.with_encoding(|head, options| h1::encode_request(head, options, &mut out));
            BodyEncoder::for_request(self.framing.body)
        };
        let chunked = self.framing.body == BodyLength::Unknown && self.connection.stream.as_http2().is_none();
        let decoder = BodyDecoder::new(self.framing.body, chunked);
        let most = self.route.and_then(|route| route.max_body).unwrap_or(u64::MAX);
        let mut upload = Transfer::new(out, decoder, encoder).keeping(self.replay_limit()).at_most(most);
        if self.framing.upgrade {
            // What the client sends next is the other protocol's, if the node agrees.
            upload = upload.leaving_open();
        }
        // A client that waits for 100 sends its body when the node wants it, not before.
        upload.hold(self.framing.expect_continue && self.connection.buffer.is_empty());
        self.upload = Some(upload);
    }

    /// Lends the request's head, and what nodes are told beside it.
    pub(super) fn with_encoding<T>(&self, encode: impl FnOnce(&RequestHead, &RequestEncoding<'_>) -> T) -> T {
        let view = self.view;
        let context = self.context();
        let authority = context.request.authority();
        let host = match &view.pool(self.pool).host {
            HostPolicy::Keep => authority,
            HostPolicy::Name(name) => name,
        };
        let peer = self.connection.peer.ip();
        let forwarded = Forwarded {
            peer,
            peer_trusted: view.snapshot.settings.trusts(peer),
            proto: if context.secure { "https" } else { "http" },
            host: authority,
            certificate: self.connection.secure.as_ref().and_then(|secure| secure.certificate_field()),
        };
        let options = RequestEncoding {
            body: self.framing.body,
            host,
            forwarded: &forwarded,
            request_id: context.id.as_str(),
            upgrade: self.forwards_upgrade(),
        };
        encode(&context.request, &options)
    }

    /// Sends the request, passes on informational heads, and reads the final one into the context.
    pub(super) async fn await_head(
        &mut self,
        node: &mut NodeConnection,
        attempt: &InFlight,
    ) -> Result<ResponseFraming, Error> {
        let look = self.may_leave_node().then_some(EJECTION_LOOK);
        self.timeouts.start(Limit::Ejected, look, &self.connection.deadline);
        self.start_upload_pace();
        for _ in 0..=MOST_INFORMATIONAL {
            let framing = loop {
                match poll_fn(|cx| self.poll_head(cx, node)).await {
                    Event::Head(framing) => break framing,
                    Event::Look if attempt.is_forsaken() && self.can_leave_node() => {
                        return Err(Error::Late(Limit::Ejected));
                    }
                    Event::Look => {
                        let deadline = &self.connection.deadline;
                        self.timeouts.start(Limit::Ejected, Some(EJECTION_LOOK), deadline);
                    }
                    Event::Measure => self.measure_upload()?,
                    Event::Failed(error) => return Err(error),
                }
            };
            let framing = match node.stream.as_http2() {
                Some(stream) => self.take_switch(stream, framing),
                None => framing,
            };
            if self.is_final(node).await? {
                return Ok(framing);
            }
        }
        Err(Error::BadResponse(h1::Malformed::StatusLine))
    }

    fn poll_head(&mut self, cx: &mut Task<'_>, node: &mut NodeConnection) -> Poll<Event> {
        let client = &mut *self.connection;
        let context = self.context.as_mut().expect("no plugin is being called");
        let buffers = &self.worker.buffers;
        let pool = self.view.pool(self.pool);
        let (mut client_reader, _) = client.stream.split();
        if let Some(upload) = &mut self.upload
            && !upload.is_over()
        {
            let (_, mut node_writer) = node.stream.split();
            let taken = upload.body_bytes();
            let polled = upload.poll(cx, &mut client_reader, &mut client.buffer, &mut node_writer, buffers);
            // The time for the answer starts with the end of the request; until then each piece has as much.
            if upload.body_bytes() != taken {
                let route = self.route.map(|route| route.timeout);
                self.timeouts.start(Limit::Answer, route, &client.deadline);
                self.timeouts.start(Limit::Attempt, pool.attempt_timeout, &client.deadline);
            }
            if upload.is_over() {
                self.timeouts.start(Limit::FirstByte, pool.first_byte_timeout, &client.deadline);
            }
            match polled {
                Poll::Ready(Err(Failure::Read)) => return Poll::Ready(Event::Failed(Error::ClientGone)),
                Poll::Ready(Err(Failure::Malformed(malformed))) => {
                    return Poll::Ready(Event::Failed(Error::BadRequest(malformed)));
                }
                // The node may have answered before it stopped to listen: what it sent decides.
                Poll::Ready(Err(Failure::Write) | Ok(())) | Poll::Pending => {}
            }
        }
        match poll_response(cx, node, context, buffers) {
            Poll::Ready(Ok(framing)) => return Poll::Ready(Event::Head(framing)),
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Failed(error)),
            Poll::Pending => {}
        }
        if !node.buffer.is_empty() && self.timeouts.is_running(Limit::FirstByte) {
            self.timeouts.stop(&[Limit::FirstByte], &client.deadline);
        }
        let is_sent = self.upload.as_ref().is_none_or(Transfer::is_over);
        if is_sent
            && self.framing.keep_alive
            && poll_gone(cx, &mut client_reader, &mut client.buffer, buffers).is_ready()
        {
            return Poll::Ready(Event::Failed(Error::ClientGone));
        }
        let waits_for_client = self.upload.as_ref().is_some_and(|up| !up.is_over() && up.is_starved());
        client.deadline.poll_elapsed(cx).map(|()| match self.timeouts.first(&client.deadline) {
            Limit::Ejected => Event::Look,
            Limit::Pace => Event::Measure,
            _ if waits_for_client => Event::Failed(Error::BodyLate),
            limit => Event::Failed(Error::Late(limit)),
        })
    }
}

/// Ready when the client closed while it should wait. A next request that is there already hides the end behind it;
/// then, and for a client that said that it sends nothing more, nobody looks.
pub(super) fn poll_gone(
    cx: &mut Task<'_>,
    reader: &mut Reader<'_>,
    buffer: &mut Vec<u8>,
    buffers: &Buffers,
) -> Poll<()> {
    if let Some(abandoned) = reader.poll_abandoned(cx) {
        return abandoned;
    }
    if !buffer.is_empty() || reader.poll_readable(cx).is_pending() {
        return Poll::Pending;
    }
    if buffer.capacity() == 0 {
        *buffer = buffers.head();
    }
    match reader.poll_fill(cx, buffer) {
        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
        Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
    }
}

/// Whether a request's whole body is in `buffer`, so that an answer of our own can skip it.
pub(super) fn skip_body(body: BodyLength, buffer: &mut Vec<u8>) -> bool {
    match body {
        BodyLength::Empty => true,
        BodyLength::Known(length) if length <= buffer.len() as u64 => {
            buffer.drain(..length as usize);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_skipped_only_when_it_is_there_whole() {
        let mut buffer = b"bodyGET /".to_vec();
        assert!(!skip_body(BodyLength::Known(10), &mut buffer));
        assert!(!skip_body(BodyLength::Unknown, &mut buffer));
        assert!(skip_body(BodyLength::Known(4), &mut buffer));
        assert_eq!(buffer, b"GET /");
        assert!(skip_body(BodyLength::Empty, &mut buffer));
    }
}
