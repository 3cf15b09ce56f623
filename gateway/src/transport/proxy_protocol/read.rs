//! Reads a header from a socket, and not a byte that stands behind it: that is TLS's or HTTP's.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Header, Malformed, parse};

/// Any but the rarest header is there with the first look.
const LOOK: usize = 536;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// What came is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The connection ended before it did.
    #[error("the connection ended before the end of its PROXY header")]
    Gone(#[from] io::Error),
}

/// Takes the header at the front of what comes. The caller sets the time limit; the parser limits the memory.
///
/// # Errors
/// What came is no header, or the connection ended.
pub async fn read(tcp: &mut TcpStream) -> Result<Header, Unread> {
    let mut header = Vec::with_capacity(LOOK);
    loop {
        // Looked at first, and taken only as far as it is the header's.
        let taken = header.len();
        header.resize(taken + LOOK, 0);
        let seen = tcp.peek(&mut header[taken..]).await?;
        if seen == 0 {
            return Err(Unread::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        header.truncate(taken + seen);
        let parsed = parse(&header)?;
        let end = parsed.map_or(header.len(), |header| header.length);
        tcp.read_exact(&mut header[taken..end]).await?;
        if let Some(parsed) = parsed {
            return Ok(parsed);
        }
    }
}
