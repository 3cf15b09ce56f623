//! A byte stream and its two halves, so that both directions of an exchange can make progress at once.
//!
//! It is plain or under TLS; nothing above names tokio's or rustls' types, and plain streams pay a comparison.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use rustix::net::{self, SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, tcp};

use super::http2::Http2Stream;
use super::tls::Secure;
use crate::http::fields::Fields;

/// A connection to a client or to a node.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    /// Boxed, so that plain connections stay small.
    Secure(Box<Secure>),
    /// One exchange of a connection that has many.
    Http2(Box<Http2Stream>),
}

/// The half that reads.
pub struct Reader<'a>(ReaderKind<'a>);

enum ReaderKind<'a> {
    Plain(tcp::ReadHalf<'a>),
    Secure(&'a Secure),
    Http2(&'a Http2Stream),
}

/// The half that writes.
pub struct Writer<'a> {
    kind: WriterKind<'a>,
    is_last: bool,
}

enum WriterKind<'a> {
    Plain(tcp::WriteHalf<'a>),
    Secure(&'a Secure),
    Http2(&'a Http2Stream),
}

impl Stream {
    /// Takes a connected socket. Its small writes should leave at once (TCP_NODELAY).
    pub fn new(tcp: TcpStream) -> Stream {
        Stream(Kind::Plain(tcp))
    }

    pub(super) fn secure(secure: Secure) -> Stream {
        Stream(Kind::Secure(Box::new(secure)))
    }

    pub(super) fn http2(stream: Http2Stream) -> Stream {
        Stream(Kind::Http2(Box::new(stream)))
    }

    /// The exchange that it is, if it is one of HTTP/2: heads go another way there, and its bytes are those of bodies.
    pub fn as_http2(&self) -> Option<&Http2Stream> {
        if let Kind::Http2(stream) = &self.0 { Some(stream) } else { None }
    }

    /// Whether it ends with its socket, and nothing has to be said before.
    pub fn is_plain(&self) -> bool {
        matches!(self.0, Kind::Plain(_))
    }

    /// The socket's own address; none for one exchange of a connection that has many.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Plain(tcp) => tcp.local_addr().ok(),
            Kind::Secure(secure) => secure.with_socket(|tcp| tcp.local_addr().ok()),
            Kind::Http2(_) => None,
        }
    }

    /// Both halves, to be used at once.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match &mut self.0 {
            Kind::Plain(tcp) => {
                let (read, write) = tcp.split();
                (Reader(ReaderKind::Plain(read)), Writer::new(WriterKind::Plain(write)))
            }
            Kind::Secure(secure) => {
                let secure = &**secure;
                (Reader(ReaderKind::Secure(secure)), Writer::new(WriterKind::Secure(secure)))
            }
            Kind::Http2(stream) => {
                let stream = &**stream;
                (Reader(ReaderKind::Http2(stream)), Writer::new(WriterKind::Http2(stream)))
            }
        }
    }

    /// Whether there is something to read, or the peer closed; else the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Plain(tcp) => tcp.poll_read_ready(cx),
            Kind::Secure(secure) => secure.poll_readable(cx),
            Kind::Http2(stream) => stream.poll_readable(cx),
        }
    }

    /// Closes with a reset, so that the peer cannot take what it got for the whole.
    pub fn reset(self) {
        let now = Some(std::time::Duration::ZERO);
        // A socket that is gone already needs no reset.
        let _ = match &self.0 {
            Kind::Plain(tcp) => socket2::SockRef::from(tcp).set_linger(now),
            Kind::Secure(secure) => secure.with_socket(|tcp| socket2::SockRef::from(tcp).set_linger(now)),
            Kind::Http2(stream) => {
                stream.reset();
                Ok(())
            }
        };
    }

    /// Whether nothing has arrived on a connection that should be silent. It asks the kernel only if there was
    /// an event, so that it costs nothing on the usual way.
    pub fn is_quiet(&self) -> bool {
        if self.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending() {
            return true;
        }
        match &self.0 {
            Kind::Plain(tcp) => {
                matches!(tcp.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            Kind::Secure(_) | Kind::Http2(_) => false,
        }
    }
}

impl Reader<'_> {
    /// Reads what is there into the buffer's spare room, of which there must be some; 0 at the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        debug_assert!(buffer.len() < buffer.capacity(), "a read needs room");
        match &mut self.0 {
            ReaderKind::Plain(tcp) => pin!(tcp.read_buf(buffer)).poll(cx),
            ReaderKind::Secure(secure) => secure.poll_fill(cx, buffer),
            ReaderKind::Http2(stream) => stream.poll_fill(cx, buffer),
        }
    }

    /// Reads what is there into the buffer's spare room, of which there must be some; 0 at the end.
    ///
    /// # Errors
    /// The connection was reset.
    pub async fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx, buffer)).await
    }

    /// Waits until there is something to read, or the peer closed; needs no buffer.
    ///
    /// # Errors
    /// The connection was reset.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Ready when the peer gave the exchange up; none where only reading tells.
    pub fn poll_abandoned(&self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        if let ReaderKind::Http2(stream) = &self.0 { Some(stream.poll_abandoned(cx)) } else { None }
    }

    /// What stood behind a body that was read to its end, where that is not a part of its bytes.
    pub fn take_trailers(&self) -> Option<Box<Fields>> {
        if let ReaderKind::Http2(stream) = &self.0 { stream.take_trailers() } else { None }
    }

    /// Whether there is something to read, or the peer closed; else the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            ReaderKind::Plain(tcp) => tcp.as_ref().poll_read_ready(cx),
            ReaderKind::Secure(secure) => secure.poll_readable(cx),
            ReaderKind::Http2(stream) => stream.poll_readable(cx),
        }
    }
}

impl<'a> Writer<'a> {
    fn new(kind: WriterKind<'a>) -> Writer<'a> {
        Writer { kind, is_last: false }
    }

    /// What is written from now on is the last thing before the stream is shut down or closed, which has to follow at once. A
    /// plain socket holds it back until then, so that bytes and end leave in one segment.
    pub fn end_with_next(&mut self) {
        self.is_last = true;
    }

    /// Writes three pieces as if they were one, less the `written` bytes that are out already.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: [&[u8]; 3],
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        while *written < total {
            let count = if pieces[0].len() == total {
                ready!(self.poll_some(cx, &[IoSlice::new(&pieces[0][*written..])]))?
            } else {
                let mut slices = pieces.map(IoSlice::new);
                let mut left = &mut slices[..];
                IoSlice::advance_slices(&mut left, *written);
                ready!(self.poll_some(cx, left))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count;
        }
        match &self.kind {
            WriterKind::Plain(_) | WriterKind::Http2(_) => Poll::Ready(Ok(())),
            // What it took may still wait to be sent.
            WriterKind::Secure(secure) => secure.poll_flush(cx),
        }
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match (&mut self.kind, pieces) {
            (WriterKind::Plain(tcp), pieces) if self.is_last => poll_send_last(tcp.as_ref(), cx, pieces),
            (WriterKind::Plain(tcp), [piece]) => Pin::new(tcp).poll_write(cx, piece),
            (WriterKind::Plain(tcp), pieces) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            (WriterKind::Secure(secure), pieces) => secure.poll_write(cx, pieces),
            (WriterKind::Http2(stream), pieces) => {
                let piece = pieces.iter().find(|piece| !piece.is_empty());
                stream.poll_write(cx, piece.map_or(&[], |piece| piece))
            }
        }
    }

    /// Ends a message's body with what stands behind it, where its end is not a part of its bytes.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn end(&self, trailers: Option<&Fields>) -> io::Result<()> {
        if let WriterKind::Http2(stream) = &self.kind { stream.finish(trailers) } else { Ok(()) }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        poll_fn(|cx| self.poll_write(cx, [bytes, b"", b""], &mut written)).await
    }

    /// Tells the peer that nothing more will come.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            WriterKind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            WriterKind::Secure(secure) => secure.poll_shutdown(cx),
            WriterKind::Http2(stream) => Poll::Ready(stream.finish(None)),
        }
    }

    /// Tells the peer that nothing more will come.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }
}

/// Sends bytes that wait in the kernel for those behind them, or for the connection's end (MSG_MORE): up to 200 ms, if neither comes.
fn poll_send_last(tcp: &TcpStream, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        let sent = tcp.try_io(Interest::WRITABLE, || match pieces {
            [piece] => Ok(net::send(tcp, piece, flags)?),
            pieces => Ok(net::sendmsg(tcp, pieces, &mut SendAncillaryBuffer::default(), flags)?),
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// For HTTP/2, which reads and writes the whole connection itself.
impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Kind::Secure(secure) => secure.poll_read(cx, buffer),
            Kind::Http2(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Kind::Secure(secure) => secure.poll_write(cx, pieces),
            Kind::Http2(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Secure(secure) => secure.poll_flush(cx),
            Kind::Plain(_) | Kind::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().split().1.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
