//! Ten thousand idle client connections, in the clear or under TLS: the memory that a proxy keeps for each.
//!
//! Each connection has carried one request before it idles, since that is what a kept connection is. Only the proxy's own
//! memory counts; the kernel's socket buffers are the same for all.

use super::configuration::Front;
use super::process;
use super::servers::{Ground, MOST_CONNECTIONS, Proxy};
use super::table::Table;
use super::tls;
use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Measures each proxy by itself, one after the other.
///
/// # Errors
/// When a server does not start, or refuses a connection.
pub(crate) fn measure(ground: &Ground, proxies: &[Proxy], front: Front) -> Result<Table> {
    let connections = ground.connections;
    ensure!(connections > 0, "too few files may be open: raise the limit with `ulimit -n 21000`");
    let mut table = Table {
        title: match front {
            Front::Tls => format!("{connections} idle client connections under TLS"),
            Front::Http | Front::Tcp => format!("{connections} idle client connections"),
        },
        head: vec!["proxy", "KB a connection", "MB before", "MB with them"],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    if connections < MOST_CONNECTIONS {
        let remark = format!(
            "The limit of open files allows no more here; `ulimit -n 21000` as root allows {MOST_CONNECTIONS}."
        );
        table.remarks.push(remark);
    }
    for proxy in proxies {
        eprintln!("{}: {}", table.title, proxy.title());
        let server = ground.start(*proxy, front)?;
        // What a proxy allocates once, with its first requests, is no connection's.
        drop(open(ground, front, server.port, 64)?);
        let before = process::memory_kib(server.pid(), "VmRSS")?;
        let held = open(ground, front, server.port, connections)?;
        let with_them = process::memory_kib(server.pid(), "VmRSS")?;
        drop(held);
        let each = with_them.saturating_sub(before) as f64 / connections as f64;
        table.rows.push(vec![
            proxy.title().to_owned(),
            format!("{each:.2}"),
            format!("{:.1}", before as f64 / 1024.0),
            format!("{:.1}", with_them as f64 / 1024.0),
        ]);
    }
    Ok(table)
}

/// A client's connection, of whatever kind.
trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Opens connections, each of which has carried one request.
fn open(ground: &Ground, front: Front, port: u16, count: u64) -> Result<Vec<Box<dyn Wire>>> {
    // Nobody resumes here, and the clients' memory is this program's.
    let client = ground.certificate.client(Resumption::disabled())?;
    let one = || -> Result<Box<dyn Wire>> {
        let mut wire: Box<dyn Wire> = match front {
            Front::Tls => Box::new(tls::connect(&client, port)?),
            Front::Http | Front::Tcp => Box::new(plain(port)?),
        };
        carry(&mut wire)?;
        Ok(wire)
    };
    (1..=count).map(|number| one().with_context(|| format!("connection {number} of {count}"))).collect()
}

fn plain(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn carry(wire: &mut dyn Wire) -> Result<()> {
    wire.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    // The nodes' answer is far below this and comes in one write, so one read tells that it is there.
    let mut answer = [0; 4096];
    let length = wire.read(&mut answer)?;
    ensure!(answer[..length].starts_with(b"HTTP/1.1 200"), "the proxy answered something else than 200");
    Ok(())
}
