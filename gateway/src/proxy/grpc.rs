//! What a client of gRPC gets that others do not: errors as it reads them, and an end to the time that it waits.
//!
//! Everything else of gRPC is HTTP/2. Nothing here is looked at for clients of HTTP/1.1, which cannot speak it.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderValue;

use super::error::Error;
use super::exchange::Exchange;
use super::timeouts::Limit;
use crate::http::fields::Fields;
use crate::http::grpc::{self, Code};
use crate::transport::dial::NodeProtocol;

impl Exchange<'_> {
    /// Whether the client speaks gRPC.
    pub(super) fn speaks_grpc(&self) -> bool {
        self.connection.stream.as_http2().is_some() && grpc::is_grpc(&self.context().request)
    }

    /// How long the whole exchange may take: as long as the route lets it, and its client waits.
    pub(super) fn total_limit(&self, route: Option<Duration>) -> Option<Duration> {
        let client = self.speaks_grpc().then(|| grpc::timeout(&self.context().request)).flatten();
        [route, client].into_iter().flatten().min()
    }

    /// Tells the node what is left of the time that the client waits.
    pub(super) fn pass_on_timeout(&self, fields: &mut HeaderMap) {
        if !fields.contains_key(grpc::TIMEOUT) || !self.speaks_grpc() {
            return;
        }
        let limit = self.total_limit(self.route.and_then(|route| route.total_timeout));
        let left = limit.map(|limit| grpc::timeout_value(limit.saturating_sub(self.started.elapsed())));
        // One that makes no sense stays as it is: it is the node's to refuse.
        if let Some(value) = left.and_then(|left| HeaderValue::try_from(left).ok()) {
            fields.insert(grpc::TIMEOUT, value);
        }
    }

    /// Whether the node's answer, which HTTP takes for a good one, says that it cannot serve.
    pub(super) fn is_unavailable(&self) -> bool {
        self.view.pool(self.pool).protocol == NodeProtocol::Http2
            && self.context().response.status == 200
            && self.speaks_grpc()
            && grpc::is_unavailable(&self.context().response.fields)
    }

    /// Makes the response's head of an error: all of the response, since a client of gRPC reads no other.
    pub(super) fn explain_to_grpc(&mut self, error: &Error) {
        let context = self.context_mut();
        let id = context.id;
        context.response.clear();
        context.response.status = 200;
        let fields = &mut context.response.fields;
        fields.add(b"content-type", grpc::CONTENT_TYPE.as_bytes());
        fields.add(b"x-request-id", id.as_str().as_bytes());
        grpc::tell(code(error), error.status(), fields);
    }

    /// Ends a response that was begun with an error, if its client can be told so.
    pub(super) fn end_with(&self, error: &Error) -> bool {
        let Some(stream) = self.connection.stream.as_http2() else { return false };
        if !self.speaks_grpc() {
            return false;
        }
        let mut trailers = Fields::default();
        grpc::tell(code(error), error.status(), &mut trailers);
        stream.finish(Some(&trailers)).is_ok()
    }
}

/// The table of gRPC, but that the end of the client's time has a code of its own.
fn code(error: &Error) -> Code {
    match error {
        Error::Late(Limit::Answer | Limit::Total) => Code::DeadlineExceeded,
        error => Code::of_status(error.status()),
    }
}
