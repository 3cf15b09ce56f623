//! A byte stream and its two halves, so that both directions of an exchange can make progress at once.
//!
//! It is plain or under TLS; nothing above names tokio's or rustls' types, and plain streams pay a comparison.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, tcp};

use super::tls::Secure;

/// A connection to a client or to a node.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    /// Boxed, so that plain connections stay small.
    Secure(Box<Secure>),
}

/// The half that reads.
pub struct Reader<'a>(ReaderKind<'a>);

enum ReaderKind<'a> {
    Plain(tcp::ReadHalf<'a>),
    Secure(&'a Secure),
}

/// The half that writes.
pub struct Writer<'a>(WriterKind<'a>);

enum WriterKind<'a> {
    Plain(tcp::WriteHalf<'a>),
    Secure(&'a Secure),
}

impl Stream {
    /// Takes a connected socket; small writes leave at once (TCP_NODELAY).
    ///
    /// # Errors
    /// The socket is gone already.
    pub fn new(tcp: TcpStream) -> io::Result<Stream> {
        tcp.set_nodelay(true)?;
        Ok(Stream(Kind::Plain(tcp)))
    }

    pub(super) fn secure(secure: Secure) -> Stream {
        Stream(Kind::Secure(Box::new(secure)))
    }

    /// Both halves, to be used at once.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match &mut self.0 {
            Kind::Plain(tcp) => {
                let (read, write) = tcp.split();
                (Reader(ReaderKind::Plain(read)), Writer(WriterKind::Plain(write)))
            }
            Kind::Secure(secure) => {
                let secure = &**secure;
                (Reader(ReaderKind::Secure(secure)), Writer(WriterKind::Secure(secure)))
            }
        }
    }

    /// Whether there is something to read, or the peer closed; else the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Plain(tcp) => tcp.poll_read_ready(cx),
            Kind::Secure(secure) => secure.poll_readable(cx),
        }
    }

    /// Closes with a reset, so that the peer cannot take what it got for the whole.
    pub fn reset(self) {
        let now = Some(std::time::Duration::ZERO);
        // A socket that is gone already needs no reset.
        let _ = match &self.0 {
            Kind::Plain(tcp) => socket2::SockRef::from(tcp).set_linger(now),
            Kind::Secure(secure) => secure.with_socket(|tcp| socket2::SockRef::from(tcp).set_linger(now)),
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
            Kind::Secure(_) => false,
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

    /// The same by asking the kernel: a socket that was just accepted counts as readable before anything came.
    ///
    /// # Errors
    /// The connection was reset.
    pub async fn arrived(&mut self) -> io::Result<()> {
        match &mut self.0 {
            ReaderKind::Plain(tcp) => tcp.peek(&mut [0]).await.map(drop),
            ReaderKind::Secure(secure) => poll_fn(|cx| secure.poll_readable(cx)).await,
        }
    }

    /// Whether there is something to read, or the peer closed; else the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            ReaderKind::Plain(tcp) => tcp.as_ref().poll_read_ready(cx),
            ReaderKind::Secure(secure) => secure.poll_readable(cx),
        }
    }
}

impl Writer<'_> {
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
        match &self.0 {
            WriterKind::Plain(_) => Poll::Ready(Ok(())),
            // What it took may still wait to be sent.
            WriterKind::Secure(secure) => secure.poll_flush(cx),
        }
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match (&mut self.0, pieces) {
            (WriterKind::Plain(tcp), [piece]) => Pin::new(tcp).poll_write(cx, piece),
            (WriterKind::Plain(tcp), pieces) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            (WriterKind::Secure(secure), pieces) => secure.poll_write(cx, pieces),
        }
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
        match &mut self.0 {
            WriterKind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            WriterKind::Secure(secure) => secure.poll_shutdown(cx),
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
