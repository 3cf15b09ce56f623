//! A connection to a node in use, and the head of the response that comes on it.

use std::task::{Context as Task, Poll, ready};

use super::error::Error;
use crate::http::h1::{self, HeadLimits, Malformed, ResponseFraming};
use crate::http::h2;
use crate::plugin::Context;
use crate::transport::buffers::Buffers;
use crate::transport::dial::Way;
use crate::transport::http2::{Http2Stream, Lost};
use crate::transport::stream::Stream;

/// What a response's head may hold. Nodes are ours, so it is wider than a request's.
const RESPONSE_LIMITS: HeadLimits = HeadLimits { max_bytes: 128 * 1024, max_fields: 128 };
/// Room for the next read when a head fills its buffer.
const MORE: usize = 16 * 1024;

/// A connection to a node, in use; in HTTP/2, one stream of it.
pub(super) struct NodeConnection {
    pub stream: Stream,
    pub way: Way,
    /// What was read and not used yet, but for the bytes that the last head took.
    pub buffer: Vec<u8>,
    /// How many bytes at the front of the buffer the last head took.
    pub taken: usize,
    /// Whether it served a request before.
    reused: bool,
}

impl NodeConnection {
    /// One that nothing came from yet.
    pub(super) fn new(stream: Stream, way: Way, reused: bool) -> NodeConnection {
        NodeConnection { stream, way, buffer: Vec::new(), taken: 0, reused }
    }

    /// Whether its end, come just now, tells nothing of the node: it may close an idle connection just as that is used
    /// again.
    pub(super) fn was_idle(&self) -> bool {
        self.reused && self.buffer.is_empty()
    }
}

/// A response whose head was read.
pub(super) struct NodeResponse {
    pub connection: NodeConnection,
    pub framing: ResponseFraming,
}

/// Reads until there is a whole head, and takes it into the context; tells how the message is framed. Until it is whole
/// the context stays as it is. Large bodies come right behind their heads, so the buffer is one for bodies; without data
/// the connection holds none.
pub(super) fn poll_response(
    cx: &mut Task<'_>,
    node: &mut NodeConnection,
    context: &mut Context,
    buffers: &Buffers,
) -> Poll<Result<ResponseFraming, Error>> {
    if let Some(stream) = node.stream.as_http2() {
        return poll_http2_response(cx, stream, context, buffers);
    }
    let method = context.request.method;
    let (mut reader, _) = node.stream.split();
    let buffer = &mut node.buffer;
    loop {
        if buffer.is_empty() {
            if reader.poll_readable(cx).is_pending() {
                buffers.put(std::mem::take(buffer));
                return Poll::Pending;
            }
            buffers.make_body(buffer);
        } else if let Some((framing, taken)) =
            h1::parse_response(buffer, &mut context.response, method, &RESPONSE_LIMITS)
                .map_err(Error::BadResponse)?
        {
            node.taken = taken;
            return Poll::Ready(Ok(framing));
        } else if buffer.len() == buffer.capacity() {
            buffer.reserve(MORE);
        }
        match ready!(reader.poll_fill(cx, buffer)) {
            Ok(count) if count > 0 => {}
            _ => return Poll::Ready(Err(Error::NodeClosed)),
        }
    }
}

fn poll_http2_response(
    cx: &mut Task<'_>,
    stream: &Http2Stream,
    context: &mut Context,
    buffers: &Buffers,
) -> Poll<Result<ResponseFraming, Error>> {
    let (head, ended) = ready!(stream.poll_head(cx))?;
    let method = context.request.method;
    let mut text = buffers.head();
    let taken = h2::take_response(&head, ended, &mut context.response, method, &RESPONSE_LIMITS, &mut text);
    buffers.put(text);
    Poll::Ready(taken.map_err(Error::BadResponse))
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Error {
        match lost {
            Lost::Leaving => Error::Unseen { leaving: true },
            Lost::Refused => Error::Unseen { leaving: false },
            Lost::Malformed => Error::BadResponse(Malformed::Http2),
            Lost::Broken => Error::NodeClosed,
        }
    }
}
