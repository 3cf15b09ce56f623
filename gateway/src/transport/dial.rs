//! Connections to nodes.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::stream::Stream;

/// Connects to a node. The caller sets the time limit.
///
/// # Errors
/// The system's: refused, unreachable, out of descriptors.
pub async fn dial(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    Stream::new(stream)
}
