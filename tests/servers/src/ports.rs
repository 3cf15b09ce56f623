//! Free ports for servers that must be told theirs.

use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that the kernel gives to connections (32768 and up), so that a server finds its port free when it starts
/// again; and the ports of a Redis cluster's nodes among themselves, 10,000 higher, are below these too.
const FIRST: u16 = 10_000;
const LAST: u16 = 22_000;

/// A port on which nothing listened just now. Another process may be faster: whoever starts a server there tries again.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let free = |port: &u16| {
        // Redis takes the other one for itself in a cluster.
        [*port, *port + 10_000].into_iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    };
    let mut draws = std::iter::repeat_with(|| fastrand::u16(FIRST..=LAST)).take(1000);
    draws.find(free).expect("one in a thousand ports is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_can_listen_on_a_free_port_and_do_so_again() {
        let port = free_port();
        for _ in 0..2 {
            drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free"));
        }
    }
}
