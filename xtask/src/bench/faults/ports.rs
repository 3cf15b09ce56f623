//! Free ports below those that the kernel gives to clients: what is down for a while must find its port again, and with
//! thousands of clients' connections the others are soon taken.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Where the ports of clients begin, unless the kernel is told otherwise.
const CLIENTS: u16 = 32_768;

/// Ports that are handed out once.
pub(in crate::bench) struct Ports(std::ops::Range<u16>);

impl Ports {
    pub(in crate::bench) fn new() -> Ports {
        // Two runs side by side begin at different ones.
        Ports(fastrand::u16(10_000..28_000)..CLIENTS)
    }

    /// Listens on the next one that is free.
    ///
    /// # Errors
    /// When none is left, or no descriptor.
    pub(in crate::bench) fn listen(&mut self) -> Result<TcpListener> {
        let listener = self.0.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        listener.context("no port is free, or too few files may be open: see `ulimit -n`")
    }

    /// A free one, for another program to listen on.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub(in crate::bench) fn free(&mut self) -> Result<u16> {
        Ok(self.listen()?.local_addr()?.port())
    }
}
