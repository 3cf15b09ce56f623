//! Listening sockets: one for each worker and address, so that the kernel spreads connections without a lock.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted; the kernel cuts it to its own `somaxconn`.
const BACKLOG: i32 = 4096;

/// Listens on an address that other workers' sockets may share (SO_REUSEPORT).
///
/// # Errors
/// Whatever the system refuses: the address is in use by another process, or is not one of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Tells whether another process listens on the address already, which SO_REUSEPORT would hide.
///
/// # Errors
/// The error of binding without SO_REUSEPORT.
pub fn claim(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}
