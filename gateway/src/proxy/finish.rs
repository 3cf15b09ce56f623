//! Last step: send the answer. The only place where an error becomes a status.

use std::future::poll_fn;
use std::task::{Context as Task, Poll};

use super::connection::After;
use super::error::Error;
use super::exchange::{Answer, Exchange};
use super::forward::{poll_gone, skip_body};
use super::node_connection::NodeResponse;
use super::refused::refused;
use super::timeouts::Limit;
use super::transfer::{Failure, Transfer};
use crate::http::BodyLength;
use crate::http::error_body::write_error_body;
use crate::http::fields::Known;
use crate::http::h1::{self, ResponseEncoding};
use crate::http::h2;
use crate::http::head::{Method, ResponseHead};
use crate::telemetry::ErrorKind;
use crate::transport::http2::Http2Stream;

/// Sends a response's head in HTTP/2; tells how its body leaves: as bare bytes, since frames are h2's.
fn begin_http2(stream: &Http2Stream, head: &ResponseHead, options: &ResponseEncoding<'_>) -> h1::BodyEncoder {
    let encoder = match options.body_encoder(head.status) {
        h1::BodyEncoder::Chunked => h1::BodyEncoder::UntilClose,
        h1::BodyEncoder::Empty if head.status == 101 => h1::BodyEncoder::UntilClose,
        encoder => encoder,
    };
    let ended = matches!(encoder, h1::BodyEncoder::Empty | h1::BodyEncoder::Known { left: 0 });
    // Who is gone is found gone when the body is written, or needs to be told nothing.
    let _gone = stream.send_head(h2::response(head, options), ended);
    encoder
}

/// By which a site says that it is under HTTPS only (RFC 6797).
const HSTS: &str = "strict-transport-security";

/// Where the answer's body comes from.
enum Body {
    Node(NodeResponse),
    Own(Vec<u8>),
}

impl Exchange<'_> {
    /// Turns whatever came of the request into a response and sends it.
    pub(super) async fn finish(&mut self, result: Result<Answer, Error>) -> After {
        let mut body = match result {
            Ok(Answer::Node(response)) => Body::Node(response),
            Ok(Answer::Plugin(status)) => Body::Own(self.reply(status)),
            Err(Error::ClientGone) => {
                self.count_error(ErrorKind::ClientGone);
                return After::Gone;
            }
            Err(error) => Body::Own(self.explain(&error)),
        };
        match self.filter_response().await {
            Ok(None) => {}
            Ok(Some(status)) => body = Body::Own(self.reply(status)),
            Err(error) => body = Body::Own(self.explain(&error)),
        }
        if self.is_extended_connect() && matches!(self.context().response.status, 200..300) {
            body = Body::Own(self.explain(&Error::NotSwitched));
        }
        let after = match body {
            Body::Own(bytes) => self.send_own(bytes).await,
            // Boxed: a tunnel's state shall not make other requests larger.
            Body::Node(response) if self.context().response.status == 101 => {
                return Box::pin(self.tunnel(response)).await;
            }
            Body::Node(response) => self.send_response(response).await,
        };
        self.count_answer();
        if let (Some(route), Some(upload)) = (self.route, &self.upload) {
            self.view.routes[route.index as usize].metrics.bytes_in.add(upload.body_bytes());
        }
        after
    }

    /// Counts the request on its route, with the time that it took until now.
    pub(super) fn count_answer(&self) {
        if let Some(route) = self.route {
            let metrics = &self.view.routes[route.index as usize].metrics;
            metrics.answered(self.context().response.status, self.started.elapsed());
        }
    }

    /// Makes the response's head of what a plugin left as its reply; returns the body.
    fn reply(&mut self, status: u16) -> Vec<u8> {
        let context = self.context_mut();
        // No node gave this answer: no plugin may take it for one's.
        context.node = None;
        context.response.clear();
        context.response.status = status;
        for (name, value) in context.reply.fields.drain(..) {
            context.response.fields.add(&name, &value);
        }
        std::mem::take(&mut context.reply.body)
    }

    /// Makes the response's head of an error; returns a body that says no more than the client may know.
    fn explain(&mut self, error: &Error) -> Vec<u8> {
        self.count(error);
        let status = error.status();
        let context = self.context.as_mut().expect("no plugin is being called");
        let id = context.id;
        // No node gave this answer: no plugin may take it for one's.
        let node = context.node.take();
        // What a policy refuses is its decision and no failure, and may be many; so may be those that find a pool full, or
        // whose sessions cannot be asked for, which the store itself tells. A client can ask for what is not supported (501)
        // as often as it likes.
        let may_be_many = matches!(
            error,
            Error::Refused(_) | Error::Overloaded(_) | Error::SessionLost | Error::BadRequest(_)
        );
        if status >= 500 && !may_be_many {
            let node = node.as_ref().map(|node| &*node.spec.id);
            tracing::warn!(request_id = id.as_str(), pool = &*context.pool, node, status, "{error}");
        } else {
            tracing::debug!(request_id = id.as_str(), status, "{error}");
        }
        if self.speaks_grpc() {
            self.explain_to_grpc(error);
            return Vec::new();
        }
        let context = self.context_mut();
        let mut body = Vec::new();
        let accept = context.request.fields.known_all(Known::Accept);
        let content_type = write_error_body(status, accept, id.as_str(), &mut body);
        context.response.clear();
        context.response.status = status;
        context.response.fields.add(b"content-type", content_type.as_bytes());
        context.response.fields.add(b"x-request-id", id.as_str().as_bytes());
        if let Some(seconds) = error.retry_after() {
            context.response.fields.add(b"retry-after", seconds.to_string().as_bytes());
        }
        body
    }

    fn count(&self, error: &Error) {
        self.count_error(error.kind());
        if let Some(what) = refused(error) {
            self.worker.metrics.refused(what);
        }
    }

    pub(super) fn count_error(&self, kind: ErrorKind) {
        match self.route {
            Some(route) => self.view.routes[route.index as usize].metrics.error(kind),
            None => self.worker.metrics.error(kind),
        }
    }

    /// Encodes the response's head behind what is in `out`; tells how the body is framed and what comes after it.
    pub(super) fn encode_head(
        &self,
        body: BodyLength,
        keep_alive: bool,
        out: &mut Vec<u8>,
    ) -> (h1::BodyEncoder, After) {
        let context = self.context();
        let status = context.response.status;
        let is_debug = self.view.snapshot.settings.debug_headers;
        let attempt =
            if is_debug && context.attempt > 0 { context.attempt.to_string() } else { String::new() };
        let mut extra = if is_debug { self.debug_fields(&attempt) } else { Vec::new() };
        if let Some(hsts) = self.connection.secure.as_ref().and_then(|secure| secure.tls.hsts.as_deref())
            && context.response.fields.get(HSTS).is_none()
        {
            extra.push((HSTS, hsts));
        }
        let options = ResponseEncoding {
            body,
            client_version: context.request.version,
            keep_alive: keep_alive && self.framing.keep_alive && !self.connection.is_at_its_last(),
            head_request: context.request.method == Method::Head,
            upgrade: status == 101,
            date: &self.worker.date(),
            extra: &extra,
        };
        if let Some(stream) = self.connection.stream.as_http2() {
            return (begin_http2(stream, &context.response, &options), After::KeepAlive);
        }
        h1::encode_response(&context.response, &options, out);
        let after = match options.keeps_alive(status) {
            true => After::KeepAlive,
            false if self.framing.is_last() => After::Last,
            false => After::Close,
        };
        (options.body_encoder(status), after)
    }

    /// Who had to do with the answer, as far as the request came.
    fn debug_fields<'f>(&'f self, attempt: &'f str) -> Vec<(&'static str, &'f [u8])> {
        let node = self.in_flight.as_ref().map_or("", |attempt| &*attempt.node().spec.id);
        let fields = [
            ("x-bascule-pool", &*self.context().pool),
            ("x-bascule-node", node),
            ("x-bascule-policy", self.policy),
            ("x-bascule-attempt", attempt),
        ];
        let told = fields.into_iter().filter(|(_, value)| !value.is_empty());
        told.map(|(name, value)| (name, value.as_bytes())).collect()
    }

    /// Sends an answer of the gateway or of a plugin.
    async fn send_own(&mut self, body: Vec<u8>) -> After {
        let is_read = match &self.upload {
            Some(upload) if upload.is_read() || upload.body_bytes() > 0 => upload.is_read(),
            _ if self.connection.stream.as_http2().is_some() => true,
            // Nothing of it was taken, as after an attempt that came to no connection.
            _ => skip_body(self.framing.body, &mut self.connection.buffer),
        };
        let mut out = self.worker.buffers.head();
        let length = if body.is_empty() { BodyLength::Empty } else { BodyLength::Known(body.len() as u64) };
        let (encoder, after) = self.encode_head(length, is_read, &mut out);
        if encoder != h1::BodyEncoder::Empty {
            out.extend_from_slice(&body);
        }
        // Whatever limits the request was under, its answer has time to be taken.
        self.connection.deadline.set(self.view.snapshot.settings.idle_timeout);
        let (_, mut writer) = self.connection.stream.split();
        if after != After::KeepAlive {
            writer.end_with_next();
        }
        let sent = self.connection.deadline.race(writer.write_all(&out)).await;
        self.worker.buffers.put(out);
        if sent.is_err() {
            self.count(&Error::ClientStalled);
        }
        let ended = self.connection.stream.as_http2().map_or(Ok(()), |stream| stream.finish(None));
        if matches!((sent, ended), (Ok(Ok(())), Ok(()))) { after } else { After::Gone }
    }

    /// Sends a node's response, while the rest of the request still goes up.
    async fn send_response(&mut self, mut response: NodeResponse) -> After {
        let is_sent = self.upload.as_ref().is_none_or(Transfer::is_done);
        let mut out = self.worker.buffers.head();
        let framing = response.framing;
        let (encoder, after) = self.encode_head(framing.body, is_sent, &mut out);
        let download = Transfer::new(out, framing.decoder(), encoder).behind(response.connection.taken);
        let mut download = download.last_if(after != After::KeepAlive);
        if let Some(upload) = &mut self.upload {
            upload.keep_no_more();
        }
        self.timeouts.stop(&[Limit::Answer], &self.connection.deadline);
        let limit = Some(self.view.pool(self.pool).between_bytes_timeout);
        self.timeouts.start(Limit::BetweenBytes, limit, &self.connection.deadline);
        let mut progress = 0;
        let copied = poll_fn(|cx| {
            let polled = self.poll_copy(cx, &mut response, &mut download);
            // A node that began to answer may go on when it has the rest of the request.
            let moved = download.progress() + self.upload.as_ref().map_or(0, Transfer::body_bytes);
            // Responses that are sent at once pay nothing for it.
            if polled.is_pending() && !self.timeouts.is_running(Limit::Pace) {
                self.start_pace(download.taken());
            }
            if polled.is_pending() && moved != progress {
                progress = moved;
                self.timeouts.start(Limit::BetweenBytes, limit, &self.connection.deadline);
                // The deadline moved, so it has to be asked again to wake this task.
                let _ = self.connection.deadline.poll_elapsed(cx);
            }
            polled
        })
        .await;
        if let Some(route) = self.route {
            self.view.routes[route.index as usize].metrics.bytes_out.add(download.body_bytes());
        }
        self.worker.buffers.put(download.into_buffer());
        if let Err(error) = copied {
            self.worker.buffers.put(response.connection.buffer);
            return self.cut_off(&error, encoder);
        }
        let is_sent = self.upload.as_ref().is_none_or(Transfer::is_done);
        self.keep_connection(response, is_sent);
        if is_sent { after } else { After::Close }
    }

    /// What becomes of a client's connection whose response came to an early end.
    fn cut_off(&self, error: &Error, encoder: h1::BodyEncoder) -> After {
        if matches!(error, Error::ClientGone) {
            return After::Gone;
        }
        self.count(error);
        let context = self.context();
        let node = context.node.as_ref().map(|node| &*node.spec.id);
        tracing::warn!(
            request_id = context.id.as_str(),
            pool = &*context.pool,
            node,
            "a response is cut off: {error}"
        );
        // Where the end of the connection is the end of the body, only a reset tells that this is not all of it; in HTTP/2
        // it always does. Elsewhere the framing tells, and a reset could destroy what is on its way.
        let is_http2 = self.connection.stream.as_http2().is_some();
        if encoder == h1::BodyEncoder::UntilClose && self.end_with(error) {
            return After::Gone;
        }
        if encoder == h1::BodyEncoder::UntilClose || is_http2 { After::Abort } else { After::Gone }
    }

    fn poll_copy(
        &mut self,
        cx: &mut Task<'_>,
        response: &mut NodeResponse,
        download: &mut Transfer,
    ) -> Poll<Result<(), Error>> {
        let client = &mut *self.connection;
        let node = &mut response.connection;
        let buffers = &self.worker.buffers;
        let (mut client_reader, mut client_writer) = client.stream.split();
        let (mut node_reader, mut node_writer) = node.stream.split();
        match download.poll(cx, &mut node_reader, &mut node.buffer, &mut client_writer, buffers) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(Failure::Write)) => return Poll::Ready(Err(Error::ClientGone)),
            Poll::Ready(Err(Failure::Read)) => return Poll::Ready(Err(Error::NodeClosed)),
            Poll::Ready(Err(Failure::Malformed(malformed))) => {
                return Poll::Ready(Err(Error::BadResponse(malformed)));
            }
            Poll::Pending => {}
        }
        match &mut self.upload {
            Some(upload) if !upload.is_over() => {
                let polled =
                    upload.poll(cx, &mut client_reader, &mut client.buffer, &mut node_writer, buffers);
                if matches!(polled, Poll::Ready(Err(Failure::Read))) {
                    return Poll::Ready(Err(Error::ClientGone));
                }
            }
            _ if self.framing.keep_alive
                && poll_gone(cx, &mut client_reader, &mut client.buffer, buffers).is_ready() =>
            {
                return Poll::Ready(Err(Error::ClientGone));
            }
            _ => {}
        }
        while self.connection.deadline.poll_elapsed(cx).is_ready() {
            let waits_for_client = !download.is_starved();
            match self.timeouts.first(&self.connection.deadline) {
                Limit::Pace if self.is_too_slow(download.taken(), waits_for_client) => {}
                // The next span began.
                Limit::Pace => continue,
                Limit::BetweenBytes if waits_for_client => {}
                limit => return Poll::Ready(Err(Error::Late(limit))),
            }
            return Poll::Ready(Err(Error::ClientStalled));
        }
        Poll::Pending
    }

    /// Keeps the node's connection for the next request, if both sides are at the end of a message.
    pub(super) fn keep_connection(&mut self, response: NodeResponse, is_sent: bool) {
        let NodeResponse { connection, framing } = response;
        let is_clean = framing.keep_alive && is_sent && connection.buffer.is_empty();
        let pool = self.view.pool(self.pool);
        // One that began with a PROXY header is this client's alone.
        if is_clean && !self.worker.is_draining() && pool.proxy_protocol.is_none() {
            let now = self.context().now;
            self.worker.idle.put(
                connection.way,
                connection.stream,
                pool.idle_connections,
                pool.idle_timeout,
                now,
            );
        }
        self.worker.buffers.put(connection.buffer);
    }
}
