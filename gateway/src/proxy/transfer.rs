//! A body on its way from one side of an exchange to the other, with whatever head goes before it.
//!
//! It is a state that is polled, not a future, so that both directions of an exchange advance in one task and
//! share its two streams. It reads no more than it can write at once (backpressure), and holds no buffer while
//! it waits for data.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use crate::http::fields::Fields;
use crate::http::h1::{BodyDecoder, BodyEncoder, Malformed, Piece};
use crate::transport::buffers::Buffers;
use crate::transport::stream::{Reader, Writer};

/// Pieces up to this size are copied behind the head and leave in its write; larger ones are written from where
/// they were read, unless they are kept. Head and piece together then fit into one head's buffer.
const SMALL: usize = 8 * 1024;

/// Why a transfer ended early, and by whose fault.
#[derive(Debug)]
pub(super) enum Failure {
    /// The sender closed or reset its connection before the body's end.
    Read,
    /// The receiver is gone.
    Write,
    /// The sender's framing makes no sense.
    Malformed(Malformed),
}

impl Failure {
    /// A stream of HTTP/2 may have ended in a way that makes no sense: its framing is not the decoder's.
    fn of_reading(error: &io::Error) -> Failure {
        let malformed = error.get_ref().and_then(|error| error.downcast_ref());
        malformed.map_or(Failure::Read, |malformed| Failure::Malformed(*malformed))
    }
}

/// What is left to do of one message.
pub(super) struct Transfer {
    decoder: BodyDecoder,
    encoder: BodyEncoder,
    /// Head and framed small pieces that wait to be written; `written` bytes of it are.
    out: Vec<u8>,
    written: usize,
    /// A large piece in the input that goes out behind `out`, and what frames its end.
    large: Range<usize>,
    suffix: &'static [u8],
    /// How much of the input was taken.
    position: usize,
    /// Whether everything is in `out` or written.
    ended: bool,
    /// Whether the message is at hand from its first byte on, in `out` and the large piece.
    whole: bool,
    /// Whether the receiver got the head, otherwise than in bytes.
    told: bool,
    /// It is kept so while its body has no more bytes than this.
    kept: u64,
    /// More body bytes than this are refused.
    most: u64,
    /// Body bytes passed on so far.
    body_bytes: u64,
    /// Writes that went out, so that a stall can be told from slowness.
    writes: u64,
    /// Whether the body waits although there may be input.
    held: bool,
    /// Whether the receiver stopped to listen.
    failed: bool,
    /// Whether the receiver's stream stays open behind it, and is ended by others.
    open: bool,
    /// Whether the receiver's connection is closed behind it, at once.
    last: bool,
    /// What stood behind the body, once that is read.
    trailers: Option<Box<Fields>>,
}

impl Transfer {
    /// A message whose head is in `out` already.
    pub(super) fn new(out: Vec<u8>, decoder: BodyDecoder, encoder: BodyEncoder) -> Transfer {
        Transfer {
            decoder,
            encoder,
            out,
            written: 0,
            large: 0..0,
            suffix: b"",
            position: 0,
            ended: false,
            whole: true,
            told: false,
            kept: 0,
            most: u64::MAX,
            body_bytes: 0,
            writes: 0,
            held: false,
            failed: false,
            open: false,
            last: false,
            trailers: None,
        }
    }

    /// Leaves out so many bytes at the front of the input: the sender's head.
    pub(super) fn behind(self, head: usize) -> Transfer {
        Transfer { position: head, ..self }
    }

    /// Keeps what was sent for another receiver while the body has no more than so many bytes.
    pub(super) fn keeping(self, most: u64) -> Transfer {
        Transfer { kept: most, ..self }
    }

    /// Refuses a body of more than so many bytes.
    pub(super) fn at_most(self, most: u64) -> Transfer {
        Transfer { most, ..self }
    }

    /// Does not end the receiver's stream in HTTP/2 with the message's end.
    pub(super) fn leaving_open(self) -> Transfer {
        Transfer { open: true, ..self }
    }

    /// Has the receiver's connection closed behind it, at once: what is written last leaves together with that end.
    pub(super) fn last_if(self, last: bool) -> Transfer {
        Transfer { last, ..self }
    }

    /// Keeps nothing any more: this receiver is the last one.
    pub(super) fn keep_no_more(&mut self) {
        self.kept = 0;
    }

    /// Whether the sender's last byte was taken and the receiver got everything.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.written == self.out.len() && self.large.is_empty()
    }

    /// Whether the sender's last byte was read.
    pub(super) fn is_read(&self) -> bool {
        self.ended
    }

    /// Whether nothing more will be passed on: all is, or the receiver stopped to listen.
    pub(super) fn is_over(&self) -> bool {
        self.failed || self.is_done()
    }

    /// Holds the body back, or lets it go. A sender that does not wait lets it go as well.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether everything that was read is passed on, and the sender owes more.
    pub(super) fn is_starved(&self) -> bool {
        !self.ended && !self.held && self.written == self.out.len() && self.large.is_empty()
    }

    /// Grows whenever something moves.
    pub(super) fn progress(&self) -> u64 {
        self.body_bytes + self.writes
    }

    /// Whether nothing was written yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.whole && self.written == 0 && !self.told
    }

    /// The head, of which there are no bytes, went out.
    pub(super) fn head_went_out(&mut self) {
        self.told = true;
    }

    /// Whether all that was taken so far can be sent again.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Body bytes passed on so far.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Body bytes that the receiver took, more or less: what frames them counts as bytes, too.
    pub(super) fn taken(&self) -> u64 {
        let waiting = (self.out.len() + self.large.len()).saturating_sub(self.written);
        self.body_bytes.saturating_sub(waiting as u64)
    }

    /// Starts again on another connection; tells whether it can, since all of the message is still at hand.
    pub(super) fn rewind(&mut self) -> bool {
        if self.whole {
            self.written = 0;
            self.told = false;
            self.failed = false;
        }
        self.whole
    }

    /// All of a message without a body, for those who write it in place of [`Transfer::poll`] and then say how much of it
    /// [`went_out`](Transfer::went_out).
    pub(super) fn bodiless(&mut self) -> &[u8] {
        debug_assert!(self.encoder == BodyEncoder::Empty, "a body would be left behind");
        self.ended = true;
        &self.out
    }

    /// So many bytes of the message were written.
    pub(super) fn went_out(&mut self, written: usize) {
        self.written = written;
    }

    /// Gives the buffer back.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.out
    }

    /// Goes on until the message is passed on, or there is nothing to read, or no room to write. `input` is what
    /// was read from `from` and not taken yet.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Reader<'_>,
        input: &mut Vec<u8>,
        to: &mut Writer<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Failure>> {
        loop {
            self.held = self.held && input.is_empty() && from.poll_readable(cx).is_pending();
            let mut needs_more = self.held;
            let mut malformed = None;
            while !self.ended && !needs_more && malformed.is_none() && self.has_room() {
                match self.take(input) {
                    Ok(taken) => needs_more = !taken,
                    Err(failure) => malformed = Some(failure),
                }
            }
            ready!(self.poll_write(cx, input, to)).map_err(|_| {
                self.failed = true;
                Failure::Write
            })?;
            // What came before it is whole, and the receiver shall have it.
            if let Some(failure) = malformed {
                return Poll::Ready(Err(failure));
            }
            if self.ended {
                input.drain(..self.position);
                self.position = 0;
                let told = if self.open { Ok(()) } else { to.end(self.trailers.as_deref()) };
                self.failed = told.is_err();
                return Poll::Ready(told.map_err(|_| Failure::Write));
            }
            if self.held {
                return Poll::Pending;
            }
            if needs_more {
                ready!(self.poll_read(cx, from, input, buffers))?;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.out.len().saturating_sub(self.written) < SMALL && self.large.is_empty()
    }

    /// Takes one piece of the input; false when more input is needed first.
    fn take(&mut self, input: &[u8]) -> Result<bool, Failure> {
        match self.decoder.decode(&input[self.position..]).map_err(Failure::Malformed)? {
            Piece::Data { range, consumed } => {
                let data = self.position + range.start..self.position + range.end;
                self.position += consumed;
                self.body_bytes += data.len() as u64;
                if self.body_bytes > self.most {
                    return Err(Failure::Malformed(Malformed::BodyTooLarge));
                }
                let is_kept = self.whole && self.body_bytes <= self.kept;
                let frame = self.encoder.frame(data.len()).map_err(Failure::Malformed)?;
                self.out.extend_from_slice(frame.prefix());
                if data.len() <= SMALL || is_kept {
                    self.out.extend_from_slice(&input[data]);
                    self.out.extend_from_slice(frame.suffix());
                } else {
                    self.large = data;
                    self.suffix = frame.suffix();
                }
                Ok(true)
            }
            Piece::More { consumed } => {
                self.position += consumed;
                Ok(false)
            }
            Piece::End { consumed } => {
                self.position += consumed;
                self.end(None)?;
                Ok(true)
            }
        }
    }

    fn end(&mut self, behind: Option<Box<Fields>>) -> Result<(), Failure> {
        self.ended = true;
        self.trailers = self.decoder.trailers().or(behind);
        self.encoder.finish(self.trailers.as_deref(), &mut self.out).map_err(Failure::Malformed)
    }

    /// Writes everything that is framed. What was written is dropped, unless the message may be needed again.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        input: &[u8],
        to: &mut Writer<'_>,
    ) -> Poll<io::Result<()>> {
        let large = &input[self.large.clone()];
        let suffix = if large.is_empty() { b"" } else { self.suffix };
        if self.ended && self.last {
            to.end_with_next();
        }
        ready!(to.poll_write(cx, [&self.out, large, suffix], &mut self.written))?;
        let is_kept = self.ended || (self.whole && self.body_bytes <= self.kept);
        if !is_kept && self.written > 0 {
            self.writes += 1;
            self.whole = false;
            self.out.clear();
            self.written = 0;
            self.large = 0..0;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more input behind what framing left of it; without any, it holds no buffer until there is some.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Reader<'_>,
        input: &mut Vec<u8>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Failure>> {
        input.drain(..self.position);
        self.position = 0;
        if input.is_empty() {
            if from.poll_readable(cx).is_pending() {
                buffers.put(std::mem::take(input));
                return Poll::Pending;
            }
            buffers.make_body(input);
        } else if input.len() == input.capacity() {
            input.reserve(SMALL);
        }
        match ready!(from.poll_fill(cx, input)) {
            Err(error) => Poll::Ready(Err(Failure::of_reading(&error))),
            Ok(0) => {
                self.decoder.close().map_err(|_| Failure::Read)?;
                Poll::Ready(self.end(from.take_trailers()))
            }
            Ok(_) => Poll::Ready(Ok(())),
        }
    }
}
