//! A connection's stream as h2 reads and writes it, with an eye on its frames.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::blocks::Blocks;
use super::floods::Floods;
use super::frames::{Frames, Passed, kind};
use crate::telemetry::Refused;
use crate::transport::stream::Stream;

/// What h2 writes into a GOAWAY that it sends of itself, since some other bound of its was passed.
const SAID: [(&[u8], Refused); 5] = [
    (b"too_many_resets", Refused::Http2Resets),
    (b"too_many_internal_resets", Refused::Http2ProvokedResets),
    (b"too_many_data_frames", Refused::Http2Data),
    (b"too_many_continuations", Refused::Http2Continuations),
    (b"header_list_way_too_large", Refused::Http2HeadTooLarge),
];

/// What is known of a connection's frames.
#[derive(Debug)]
pub(super) struct Watch {
    floods: Floods,
    blocks: Blocks,
    coming: Frames,
    going: Frames,
    /// Bytes that the client was sent.
    sent: u64,
    /// Which of its bounds h2 told the client of.
    said: Option<Refused>,
    /// What else it is ended for.
    given_up: Option<Refused>,
}

impl Watch {
    /// What the client overdid, if it did.
    pub(super) fn found(&self) -> Option<Refused> {
        self.floods.found().or(self.given_up)
    }

    /// The number of the head that is under way, or of the trailers, if some are.
    pub(super) fn coming_block(&self) -> Option<u64> {
        self.blocks.coming()
    }

    /// The client took too long with a head.
    pub(super) fn is_late(&mut self) {
        self.given_up = Some(Refused::SlowHead);
    }

    /// Whether a stream's trailers were malformed in a way that h2 does not tell; it is told once.
    pub(super) fn take_malformed(&mut self, stream: u32) -> bool {
        self.blocks.take_malformed(stream)
    }

    /// Which of its bounds h2 told the client of, if it did.
    pub(super) fn said(&self) -> Option<Refused> {
        self.said
    }

    /// Bytes that the client was sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }
}

/// The stream.
pub(super) struct Watched {
    stream: Stream,
    /// What was read of it already.
    begun: Vec<u8>,
    watch: Rc<RefCell<Watch>>,
}

impl Watched {
    /// A connection that began with these bytes; what is seen of it is told by the second.
    pub(super) fn new(stream: Stream, begun: Vec<u8>, now: Instant) -> (Watched, Rc<RefCell<Watch>>) {
        let (coming, going) = (Frames::of_client(), Frames::of_server());
        let (floods, blocks) = (Floods::new(now), Blocks::default());
        let watch = Watch { floods, blocks, coming, going, sent: 0, said: None, given_up: None };
        let watch = Rc::new(RefCell::new(watch));
        (Watched { stream, begun, watch: watch.clone() }, watch)
    }
}

impl Watched {
    fn give_begun(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.begun.len().min(buffer.remaining());
        buffer.put_slice(&self.begun[..count]);
        self.begun.drain(..count);
        if self.begun.is_empty() {
            // The connection may be a long one.
            self.begun = Vec::new();
        }
    }
}

impl AsyncRead for Watched {
    /// Nothing more is read of a client that floods.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.watch.borrow().found().is_some() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if self.begun.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        } else {
            self.give_begun(buffer);
        }
        let Watch { floods, blocks, coming, given_up, .. } = &mut *self.watch.borrow_mut();
        floods.look(Instant::now());
        coming.follow(&buffer.filled()[before..], |passed| match passed {
            Passed::Frame(frame) => {
                floods.came(frame);
                blocks.came(frame);
            }
            Passed::Payload(bytes) => blocks.payload(bytes),
        });
        if blocks.is_overfull() {
            *given_up = Some(Refused::Http2Protocol);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        let Watch { floods, going, sent, said, .. } = &mut *self.watch.borrow_mut();
        *sent += count as u64;
        let mut left = count;
        for piece in pieces {
            let (written, _) = piece.split_at(left.min(piece.len()));
            let mut says_goodbye = false;
            going.follow(written, |passed| {
                let Passed::Frame(frame) = passed else { return };
                floods.went(frame);
                says_goodbye |= frame.kind == kind::GOAWAY;
            });
            if says_goodbye {
                *said = said_in(written);
            }
            left -= written.len();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Which bound a GOAWAY among these bytes tells of.
fn said_in(bytes: &[u8]) -> Option<Refused> {
    let is_in = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    SAID.into_iter().find(|(text, _)| is_in(text)).map(|(_, refused)| refused)
}
