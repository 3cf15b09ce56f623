//! Many nodes at once, each on an address of its own, all on one thread: a hundred threads of [`super::TestNode`]s would
//! take the processor from what is under test.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Nodes that answer every request without a body with 200 and their number. They stop when this value is dropped.
pub struct Crowd {
    addresses: Vec<SocketAddr>,
    runtime: Option<Runtime>,
}

impl Crowd {
    /// So many nodes, with the numbers from 0 on.
    pub fn of(count: usize) -> Crowd {
        Crowd::on_ports(count, |_| 0)
    }

    /// The same, all on one port, for registries that tell addresses only.
    pub fn on_one_port(count: usize) -> Crowd {
        // The first takes a free one, which is taken on no other address of ours but by chance.
        Crowd::on_ports(count, |listening| listening.first().map_or(0, SocketAddr::port))
    }

    fn on_ports(count: usize, port: impl Fn(&[SocketAddr]) -> u16) -> Crowd {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut addresses = Vec::new();
        for number in 0..count {
            let ip = Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8);
            let listener = runtime.block_on(TcpListener::bind((ip, port(&addresses)))).expect("a free port");
            addresses.push(listener.local_addr().expect("it is bound"));
            runtime.spawn(serve(listener, number));
        }
        Crowd { addresses, runtime: Some(runtime) }
    }

    /// Where the node with this number listens.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number]
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.runtime.take().expect("it is taken once").shutdown_background();
    }
}

async fn serve(listener: TcpListener, number: usize) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, number));
    }
}

async fn answer(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
    let body = number.to_string();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut buffer = Vec::new();
    while stream.read_buf(&mut buffer).await? > 0 {
        while let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            buffer.drain(..end + 4);
            stream.write_all(response.as_bytes()).await?;
        }
    }
    Ok(())
}
