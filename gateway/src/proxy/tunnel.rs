//! Another protocol on both connections, once the node has agreed to it (RFC 9110, 7.8; RFC 8441).
//!
//! Bytes pass both ways as they come, and nobody looks into them. A tunnel ends when both sides said that they are done, when one
//! of them is lost, or when nothing moves for too long; one that is quiet holds no buffer.

use std::future::poll_fn;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use super::connection::After;
use super::exchange::Exchange;
use super::node_connection::{NodeConnection, NodeResponse};
use super::timeouts::Timeouts;
use super::transfer::{Failure, Transfer};
use crate::http::fields::Span;
use crate::http::h1::{BodyDecoder, BodyEncoder, ResponseFraming};
use crate::http::{BodyLength, websocket};
use crate::telemetry::ErrorKind;
use crate::transport::dial::NodeProtocol;
use crate::transport::http2::Http2Stream;

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides said that nothing more comes.
    Done,
    Client,
    Node,
    /// Nothing moved for too long, or its listener drained for as long as it may.
    Late,
}

impl End {
    /// The same for the log.
    pub(super) fn story(self, drains: bool) -> &'static str {
        match self {
            End::Done => "both sides ended it",
            End::Client => "the client is gone",
            End::Node => "the node is gone",
            End::Late if drains => "its listener drained for as long as it may",
            End::Late => "nothing moved for too long",
        }
    }
}

/// The two directions of a tunnel.
pub(super) struct Ways {
    down: Transfer,
    up: Transfer,
    /// Whether nothing more passes, and the receiver was told so.
    down_over: bool,
    up_over: bool,
}

impl Ways {
    /// Nothing passed yet, and no trailers will (RFC 9113, 8.5); `first` goes down before anything of the node's, of whose buffer so many bytes were taken.
    pub(super) fn new(first: Vec<u8>, taken: usize) -> Ways {
        let raw = || BodyDecoder::new(BodyLength::Unknown, false);
        Ways {
            down: Transfer::new(first, raw(), BodyEncoder::UntilClose).behind(taken).leaving_open(),
            up: Transfer::new(Vec::new(), raw(), BodyEncoder::UntilClose).leaving_open(),
            down_over: false,
            up_over: false,
        }
    }

    /// Whether both sides may still send, and all that they sent was taken.
    fn are_quiet(&self) -> bool {
        !self.down_over && !self.up_over && self.down.is_starved() && self.up.is_starved()
    }

    pub(super) fn progress(&self) -> u64 {
        self.down.progress() + self.up.progress()
    }

    /// Bytes up and down.
    pub(super) fn bytes(&self) -> [u64; 2] {
        [self.up.body_bytes(), self.down.body_bytes()]
    }
}

impl Exchange<'_> {
    /// Whether the client asked by a CONNECT of HTTP/2, where every 2xx means that there is a tunnel.
    pub(super) fn is_extended_connect(&self) -> bool {
        self.framing.upgrade && self.connection.stream.as_http2().is_some()
    }

    /// Whether the client's wish for another protocol goes on to the node. HTTP/2 has a way for WebSocket's handshake alone.
    pub(super) fn forwards_upgrade(&self) -> bool {
        self.framing.upgrade
            && (!self.speaks_http2_to_nodes() || websocket::is_handshake(&self.context().request))
    }

    fn speaks_http2_to_nodes(&self) -> bool {
        self.view.pool(self.pool).protocol == NodeProtocol::Http2
    }

    /// Takes what a node of HTTP/2 says to an upgrade as one of HTTP/1.1 would have said it, so that plugins, and the client,
    /// see one thing whatever the node speaks: that the tunnel is open (2xx) is a 101 (RFC 8441, 5).
    pub(super) fn take_switch(&mut self, stream: &Http2Stream, framing: ResponseFraming) -> ResponseFraming {
        let status = self.context().response.status;
        if status < 200 || !self.forwards_upgrade() {
            return framing;
        }
        if status >= 300 {
            // Nothing will be sent on it. A node that left already needs to be told nothing.
            let _gone = stream.finish(None);
            return framing;
        }
        let context = self.context_mut();
        let key = context.request.fields.get(websocket::KEY).unwrap_or_default();
        let accept = websocket::accept(key);
        let response = &mut context.response;
        response.status = 101;
        response.reason = Span::default();
        response.fields.set(b"upgrade", websocket::PROTOCOL.as_bytes());
        response.fields.set(websocket::ACCEPT.as_bytes(), accept.as_bytes());
        ResponseFraming { body: BodyLength::Empty, ..framing }
    }

    /// Whether the 101 in the context is what was asked for. A client of HTTP/1.1 sees that for itself; for one of HTTP/2 the
    /// gateway asked, and has to.
    pub(super) fn is_switch_agreed(&self) -> bool {
        if !self.is_extended_connect() {
            return self.framing.upgrade;
        }
        let context = self.context();
        let fields = &context.response.fields;
        let key = context.request.fields.get(websocket::KEY).unwrap_or_default();
        let names_it = |value: &[u8]| value.eq_ignore_ascii_case(websocket::PROTOCOL.as_bytes());
        fields.get("upgrade").is_some_and(names_it)
            && fields.get(websocket::ACCEPT) == Some(websocket::accept(key).as_bytes())
    }

    /// Becomes a tunnel until that ends.
    pub(super) async fn tunnel(&mut self, mut response: NodeResponse) -> After {
        // Its time is that to the switch: how long people stay says nothing of how fast they are served.
        self.count_answer();
        let mut ways = self.open_tunnel(&response);
        // A response with a last byte is what the other limits are for.
        self.timeouts = Timeouts::none();
        let mut seen = (ways.progress(), ways.are_quiet());
        let mut counted = [0, 0];
        self.connection.deadline.set(self.tunnel_patience(seen.1));
        let end = poll_fn(|cx| {
            if let Poll::Ready(end) = self.poll_ways(cx, &mut response.connection, &mut ways) {
                return Poll::Ready(end);
            }
            let now = (ways.progress(), ways.are_quiet());
            if now != seen {
                seen = now;
                self.connection.deadline.set(self.tunnel_patience(seen.1));
                self.count_bytes(&mut counted, ways.bytes());
            }
            self.connection.deadline.poll_elapsed(cx).map(|()| End::Late)
        })
        .await;
        self.count_bytes(&mut counted, ways.bytes());
        self.tell_end(end, counted);
        self.put_back_ways(ways, response.connection);
        // In HTTP/1.1 a reset could destroy what is on its way; in HTTP/2 it is how a lost connection is told (RFC 8441, 5).
        let is_lost = end == End::Node && self.connection.stream.as_http2().is_some();
        if is_lost { After::Abort } else { After::Gone }
    }

    /// Tells the client that the node agreed.
    fn open_tunnel(&mut self, response: &NodeResponse) -> Ways {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.became_tunnel();
        }
        if let Some(upload) = self.upload.take() {
            self.worker.buffers.put(upload.into_buffer());
        }
        let mut head = self.worker.buffers.head();
        let _same_for_all = self.encode_head(BodyLength::Empty, true, &mut head);
        Ways::new(head, response.connection.taken)
    }

    /// For how long nothing may move. Both sides may be silent for long; one that takes nothing, or whose other side is gone, not.
    fn tunnel_patience(&self, is_quiet: bool) -> Duration {
        let pool = self.view.pool(self.pool);
        if is_quiet { pool.tunnel_timeout } else { pool.between_bytes_timeout.min(pool.tunnel_timeout) }
    }

    /// Passes on what there is; ready when nothing more can pass.
    pub(super) fn poll_ways(
        &mut self,
        cx: &mut Task<'_>,
        node: &mut NodeConnection,
        ways: &mut Ways,
    ) -> Poll<End> {
        let client = &mut *self.connection;
        let buffers = &self.worker.buffers;
        let (mut client_reader, mut client_writer) = client.stream.split();
        let (mut node_reader, mut node_writer) = node.stream.split();
        if !ways.down_over {
            match ways.down.poll(cx, &mut node_reader, &mut node.buffer, &mut client_writer, buffers) {
                Poll::Ready(Ok(())) => ways.down_over = client_writer.poll_shutdown(cx).is_ready(),
                Poll::Ready(Err(Failure::Write)) => return Poll::Ready(End::Client),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Node),
                Poll::Pending => {}
            }
        }
        if !ways.up_over {
            match ways.up.poll(cx, &mut client_reader, &mut client.buffer, &mut node_writer, buffers) {
                Poll::Ready(Ok(())) => ways.up_over = node_writer.poll_shutdown(cx).is_ready(),
                // The node may have said its last before it stopped to listen, and that is still to come.
                Poll::Ready(Err(Failure::Write)) => ways.up_over = true,
                Poll::Ready(Err(_)) => return Poll::Ready(End::Client),
                Poll::Pending => {}
            }
        }
        if ways.down_over && ways.up_over { Poll::Ready(End::Done) } else { Poll::Pending }
    }

    /// Gives the buffers back.
    pub(super) fn put_back_ways(&self, ways: Ways, node: NodeConnection) {
        for buffer in [ways.down.into_buffer(), ways.up.into_buffer(), node.buffer] {
            self.worker.buffers.put(buffer);
        }
    }

    pub(super) fn count_bytes(&self, counted: &mut [u64; 2], now: [u64; 2]) {
        if let Some(route) = self.route {
            let metrics = &self.view.routes[route.index as usize].metrics;
            metrics.bytes_in.add(now[0] - counted[0]);
            metrics.bytes_out.add(now[1] - counted[1]);
        }
        *counted = now;
    }

    fn tell_end(&self, end: End, [up, down]: [u64; 2]) {
        let drains = self.connection.listener.is_draining();
        let how = end.story(drains);
        match end {
            End::Node => self.count_error(ErrorKind::Reset),
            End::Late if !drains => self.count_error(ErrorKind::TunnelTimeout),
            _ => {}
        }
        let context = self.context();
        tracing::debug!(
            request_id = context.id.as_str(),
            pool = &*context.pool,
            node = context.node.as_ref().map(|node| &*node.spec.id),
            up,
            down,
            seconds = self.started.elapsed().as_secs(),
            "a tunnel ended: {how}"
        );
    }
}
