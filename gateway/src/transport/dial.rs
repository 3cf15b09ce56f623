//! Connections to nodes.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub use super::protocol::NodeProtocol;
use super::stream::Stream;
use super::tls::ClientTls;

/// Where a connection leads, and how it was made: what one may be used for that another made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    address: SocketAddr,
    /// Which TLS; 0 for none.
    tls: u32,
}

impl Way {
    /// The way to a node of a pool with this TLS.
    pub fn new(address: SocketAddr, tls: Option<&ClientTls>) -> Way {
        Way { address, tls: tls.map_or(0, ClientTls::id) }
    }

    /// Where it leads.
    pub(super) fn address(self) -> SocketAddr {
        self.address
    }
}

/// Connects to a node, and speaks TLS if its pool has it; `first` goes out before anything else. The caller sets the time limit.
///
/// # Errors
/// The system's: refused, unreachable, out of descriptors. Or the node is not whom it has to be.
pub async fn dial(address: SocketAddr, tls: Option<&ClientTls>, first: &[u8]) -> io::Result<Stream> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.write_all(first).await?;
    tcp.set_nodelay(true)?;
    match tls {
        None => Ok(Stream::new(tcp)),
        // Boxed: a handshake's state is large, and most nodes are spoken to in the clear.
        Some(tls) => Box::pin(tls.connect(tcp, address)).await,
    }
}
