//! Listening sockets: one for each worker and address, so that the kernel spreads connections without a lock.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

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

/// Takes a socket into a worker's event loop, to be accepted on. What is accepted sends small writes at once: TCP_NODELAY is
/// handed down, which spares a system call for each connection.
///
/// # Errors
/// The socket is gone, or there is no event loop.
pub fn accepting(socket: TcpListener) -> io::Result<tokio::net::TcpListener> {
    SockRef::from(&socket).set_tcp_nodelay(true)?;
    tokio::net::TcpListener::from_std(socket)
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

/// Drops the first packet of each new connection from now on, and lets handshakes end that are under way.
///
/// Closing a listening socket resets whatever waits in its queue. After this the queue can be emptied for good: who
/// tries to connect hears nothing, tries again after a second, and meets whoever listens then, or a refusal.
///
/// # Errors
/// The system has no socket filters.
pub fn refuse_new(socket: &impl AsFd) -> io::Result<()> {
    const FLAGS: u32 = 13; // where they are in a TCP header (RFC 9293, 3.1), which is where the filter begins
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    // Classic BPF: the four instructions, with their codes from linux/bpf_common.h.
    let load_byte = SockFilter::new(0x30, 0, 0, FLAGS);
    let and = SockFilter::new(0x54, 0, 0, SYN_AND_ACK);
    let unless_syn_skip_one = SockFilter::new(0x15, 0, 1, SYN);
    let (drop, pass) = (SockFilter::new(0x06, 0, 0, 0), SockFilter::new(0x06, 0, 0, u32::MAX));
    SockRef::from(socket).attach_filter(&[load_byte, and, unless_syn_skip_one, drop, pass])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_is_accepted_sends_small_writes_at_once() {
        let socket = accepting(listen("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
        let _client = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        let (accepted, _) = socket.accept().await.unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn a_socket_that_refuses_new_connections_keeps_those_that_wait() {
        let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).unwrap();
        refuse_new(&socket).unwrap();
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(50)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "it hears nothing, and no refusal yet");
        socket.accept().unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(socket);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
