//! Thousands of clients that send their heads byte by byte (slowloris), and what a well-behaved one notices.
//!
//! Each sends a piece of a field every second and never an end, and comes again when it is sent away. That is the attack as its
//! tools make it. The well-behaved client asks at a steady pace meanwhile.

use super::configuration::Front;
use super::paced::{self, Paced};
use super::process;
use super::servers::{Ground, Proxy, Server};
use super::table::Table;
use anyhow::{Result, ensure};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// How many attack.
const ATTACKERS: u64 = 5_000;
/// What the well-behaved client asks a second.
const RATE: u64 = 200;

/// Measures each proxy by itself, one after the other: without attackers, then with them.
///
/// # Errors
/// When a server does not start.
pub(crate) fn measure(ground: &Ground, proxies: &[Proxy], seconds: u32) -> Result<Table> {
    ensure!(
        ground.connections >= ATTACKERS,
        "too few files may be open: raise the limit with `ulimit -n 21000`"
    );
    let mut table = Table {
        title: format!("{ATTACKERS} clients that send a byte of their heads each second, {RATE} requests a second beside them"),
        head: vec!["proxy", "attackers", "held", "sent away", "failed", "p50 ms", "p99 ms", "KB each"],
        rows: Vec::new(),
        remarks: vec![
            "held: connections of attackers that were open at the end; sent away: those that were closed before. The aim is a p99 below 20 ms."
                .to_owned(),
        ],
    };
    for proxy in proxies {
        eprintln!("{}: {}", table.title, proxy.title());
        for attackers in [0, ATTACKERS] {
            let server = ground.start(*proxy, Front::Http)?;
            table.rows.push(row(*proxy, &server, attackers, seconds)?);
        }
    }
    Ok(table)
}

fn row(proxy: Proxy, server: &Server, attackers: u64, seconds: u32) -> Result<Vec<String>> {
    let duration = Duration::from_secs(seconds.into());
    let behaved = || paced::run(server.port, RATE, duration, &AtomicBool::new(false), |_| &[]);
    // What a proxy allocates once is no connection's.
    drop(paced::run(server.port, RATE, Duration::from_secs(1), &AtomicBool::new(false), |_| &[]));
    let before = process::memory_kib(server.pid(), "VmRSS")?;
    let (stop, sent_away, full) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicBool::new(attackers == 0));
    let (held, memory, paced) = thread::scope(|scope| {
        let attack = scope.spawn(|| attack(server.port, attackers, &stop, &full, &sent_away));
        while !full.load(Relaxed) {
            thread::yield_now();
        }
        let paced = behaved();
        let memory = process::memory_kib(server.pid(), "VmRSS");
        stop.store(true, Relaxed);
        (attack.join().expect("the attack does not panic"), memory, paced)
    });
    let Paced { requests, failed, plain, .. } = paced;
    let each = memory?.saturating_sub(before) as f64 / attackers.max(1) as f64;
    let millis = |share| format!("{:.2}", paced::percentile(&plain, share) as f64 / 1_000.0);
    Ok(vec![
        proxy.title().to_owned(),
        attackers.to_string(),
        held.to_string(),
        sent_away.load(Relaxed).to_string(),
        format!("{failed} of {requests}"),
        millis(0.5),
        millis(0.99),
        if attackers == 0 { String::new() } else { format!("{each:.2}") },
    ])
}

/// Attacks until it shall stop; `full` when all are there. How many were held at the end.
#[allow(clippy::disallowed_methods, reason = "an attacker waits a second between two bytes")]
fn attack(port: u16, count: u64, stop: &AtomicBool, full: &AtomicBool, sent_away: &AtomicU64) -> usize {
    let mut held: Vec<Option<TcpStream>> = (0..count).map(|_| begin(port)).collect();
    full.store(true, Relaxed);
    while !stop.load(Relaxed) {
        for slot in &mut held {
            if !slot.as_mut().is_some_and(goes_on) {
                sent_away.fetch_add(1, Relaxed);
                *slot = begin(port);
            }
        }
        thread::sleep(Duration::from_secs(1));
    }
    held.iter_mut().filter_map(Option::as_mut).filter_map(|stream| goes_on(stream).then_some(())).count()
}

fn begin(port: u16) -> Option<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Sends one more byte; false if the proxy ended the connection, or answered.
fn goes_on(stream: &mut TcpStream) -> bool {
    let is_silent = matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    is_silent && stream.write(b"x").is_ok()
}
