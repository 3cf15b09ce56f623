//! Clients that come back: a TLS connection for each request, whose handshake resumes the session of the one before.
//!
//! wrk and h2load do not resume. These clients count how many of their handshakes did, so that the figure is one of resumption
//! and of nothing else.

use super::{Latency, Load};
use crate::bench::paced;
use crate::bench::servers::LOAD_CORE;
use crate::bench::tls::{self, Certificate};
use crate::tools;
use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Clients that ask at the same time, a thread for each: enough to keep the proxy's core busy.
const CLIENTS: usize = 16;

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Latencies in microseconds.
    answered: Vec<u64>,
    resumed: u64,
    trouble: Option<String>,
}

/// Asks for `target` for so long, on the load's core.
///
/// # Errors
/// When this thread cannot be pinned, or the first request of a client fails.
pub(super) fn run(certificate: &Certificate, port: u16, target: &str, seconds: u32) -> Result<Load> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", tls::NAME);
    let end = Instant::now() + Duration::from_secs(seconds.into());
    // A thread of its own is pinned, and what else this program does is not.
    let clients = || {
        pin()?;
        all(certificate, port, request.as_bytes(), end)
    };
    let all =
        thread::scope(|scope| scope.spawn(clients).join().expect("who starts the clients does not panic"))?;
    Ok(sum(all, seconds))
}

fn all(certificate: &Certificate, port: u16, request: &[u8], end: Instant) -> Result<Vec<Seen>> {
    let client = || {
        let client = certificate.client(Resumption::in_memory_sessions(1))?;
        until(end, || exchange(&client, port, request))
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect()
    })
}

/// Binds this thread, and those that it starts, to the load's core.
fn pin() -> Result<()> {
    let thread = std::fs::read_link("/proc/thread-self")?;
    let number = thread.file_name().context("the kernel does not name this thread")?;
    tools::output(Command::new("taskset").args(["-c", "-p", LOAD_CORE]).arg(number)).map(drop)
}

/// Repeats an exchange. One that fails is trouble; the first one is an error, since then all will fail.
fn until(end: Instant, one: impl Fn() -> Result<HandshakeKind>) -> Result<Seen> {
    let mut seen = Seen::default();
    while Instant::now() < end {
        let start = Instant::now();
        match one() {
            Ok(kind) => {
                seen.answered.push(start.elapsed().as_micros() as u64);
                seen.resumed += u64::from(kind == HandshakeKind::Resumed);
            }
            Err(error) if seen.answered.is_empty() => return Err(error),
            Err(error) => drop(seen.trouble.get_or_insert(format!("{error:#}"))),
        }
    }
    Ok(seen)
}

/// One connection, with one request; how its handshake went.
fn exchange(client: &Arc<ClientConfig>, port: u16, request: &[u8]) -> Result<HandshakeKind> {
    let mut stream = tls::connect(client, port)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // An end without TLS's own farewell: the answer says by itself how long it is.
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
        _ => ensure!(answer.starts_with(b"HTTP/1.1 200"), "the proxy answered something else than 200"),
    }
    stream.conn.handshake_kind().context("a request was answered before its handshake was done")
}

fn sum(all: Vec<Seen>, seconds: u32) -> Load {
    let resumed = all.iter().map(|seen| seen.resumed).sum();
    let trouble = all.iter().find_map(|seen| seen.trouble.clone());
    let mut answered: Vec<u64> = all.into_iter().flat_map(|seen| seen.answered).collect();
    answered.sort_unstable();
    let at = |share| paced::percentile(&answered, share) as f64;
    let requests = answered.len() as u64;
    let latency = Some(Latency { p50: at(0.5), p99: at(0.99) });
    Load {
        requests,
        a_second: requests as f64 / f64::from(seconds),
        latency,
        trouble,
        resumed: Some(resumed),
    }
}
