//! TLS on a connection (RFC 8446, RFC 5246): the stream itself. What a side shows and believes stands in `server` and
//! `client`.
//!
//! Both halves of a stream share one state, which is borrowed for the length of a poll: they are used by one task.

mod certificate;
mod challenges;
mod client;
mod hello;
mod names;
mod server;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::crypto::CryptoProvider;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

pub use certificate::{Certificate, Facts};
pub use challenges::{Challenges, HTTP_PATH};
pub use client::ClientTls;
pub use hello::{Greeting, Hello};
pub use names::Names;
pub use server::{Accepted, Asked, ServerTls, Terms, Tickets, Unknown};

/// Both versions that are safe, and what they are made of.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A connection under TLS, after its handshake.
#[derive(Debug)]
pub(super) struct Secure(RefCell<TlsStream<TcpStream>>);

impl Secure {
    fn new(stream: impl Into<TlsStream<TcpStream>>) -> Secure {
        Secure(RefCell::new(stream.into()))
    }

    fn with<T>(&self, act: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> T) -> T {
        // Never borrowed for longer than a poll, and no poll calls another.
        act(Pin::new(&mut self.0.borrow_mut()))
    }

    /// Lends the socket below.
    pub(super) fn with_socket<T>(&self, act: impl FnOnce(&TcpStream) -> T) -> T {
        act(self.0.borrow().get_ref().0)
    }

    /// Whether there is plain text to read, or its end; records without any are taken on the way.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_fill_buf(cx).map_ok(drop))
    }

    pub(super) fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        self.with(|mut stream| pin!(stream.read_buf(buffer)).poll(cx))
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, buffer))
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, pieces))
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    /// Says that nothing more will come (RFC 8446, 6.1), so that an end cannot be forged.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
