//! What a session that a gateway does not know adds to a request: one question to Redis. Beside it, what the same question takes
//! a client that does nothing else.

use super::visitors::{Visitor, come};
use super::{Options, sticky};
use crate::bench::faults::nodes::{Nodes, Service};
use crate::bench::faults::ports::Ports;
use crate::bench::gateways::Place;
use crate::bench::paced::percentile;
use crate::bench::table::Table;
use crate::client::Connection;
use anyhow::{Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use test_servers::Redis;

const SERVICE: Service = Service { places: 64, mean: Duration::ZERO };
/// Enough for a median; one after the other, so that nobody waits for anybody.
const MOST: usize = 2_000;

/// # Errors
/// When a server does not start, or a request fails.
pub(super) fn measure(gateway: &Path, redis: &Redis, options: &Options) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("bascule-cluster-").tempdir()?;
    let place = Place { program: gateway, folder: folder.path() };
    let mut ports = Ports::new();
    let nodes = Nodes::start(&mut ports, &[SERVICE; 2], 1)?;
    let tables = sticky(redis, &nodes.ports());
    let (first, second) =
        (place.start("first", &mut ports, &tables)?, place.start("second", &mut ports, &tables)?);
    let clients = come(&[first.port()], options.sessions.min(MOST))?;
    let mut connection = Connection::open(second.port())?;
    // Makes its connections to the nodes.
    (0..20).try_for_each(|_| connection.get("/", &[]).map(|_| ()))?;
    let mut bare = Bare::connect(redis)?;
    let mut times = [const { Vec::new() }; 4];
    for Visitor { cookie, .. } in &clients {
        let mut ask = || timed(|| connection.get("/", &[("Cookie", cookie)]).map(|_| ()));
        times[0].push(ask()?);
        times[1].push(ask()?);
        times[2].push(timed(|| bare.look_up())?);
        times[3].push(timed(|| bare.ping())?);
    }
    Ok(table(times))
}

/// Microseconds.
fn timed(act: impl FnOnce() -> Result<()>) -> Result<u64> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed().as_micros() as u64)
}

/// A client of Redis that waits for each answer.
struct Bare(TcpStream);

/// As long as a session's key; nothing in it matters but its length.
const KEY: &str = "bascule:s:sticky-session:AAAAAAAAAAAAAAAAAAAAAA";

impl Bare {
    /// Connects, and writes what is looked up later.
    fn connect(redis: &Redis) -> Result<Bare> {
        let stream = TcpStream::connect(redis.address())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut bare = Bare(stream);
        bare.ask(&format!("SET {KEY} 127.0.0.1:8080 PX 3600000\r\n"), 1)?;
        Ok(bare)
    }

    fn ping(&mut self) -> Result<()> {
        self.ask("PING\r\n", 1)
    }

    /// A session's node and the rest of its life, asked for as the gateway does.
    fn look_up(&mut self) -> Result<()> {
        self.ask(&format!("GET {KEY}\r\nPTTL {KEY}\r\n"), 3)
    }

    /// Sends commands, and waits for an answer of so many lines.
    fn ask(&mut self, commands: &str, lines: usize) -> Result<()> {
        self.0.write_all(commands.as_bytes())?;
        let mut answer = Vec::with_capacity(256);
        while answer.iter().filter(|byte| **byte == b'\n').count() < lines {
            let mut piece = [0; 256];
            let length = self.0.read(&mut piece)?;
            ensure!(length > 0 && !answer.starts_with(b"-"), "Redis does not answer {commands:?}");
            answer.extend_from_slice(&piece[..length]);
        }
        Ok(())
    }
}

fn table(mut times: [Vec<u64>; 4]) -> Table {
    times.iter_mut().for_each(|times| times.sort_unstable());
    let rows = [
        "a session that is not known here",
        "the same again",
        "the same question to Redis by a client that does nothing else",
        "a PING to Redis",
    ];
    let row = |(what, times): (&str, &Vec<u64>)| {
        let [half, most] = [0.5, 0.99].map(|share| percentile(times, share).to_string());
        vec![what.to_owned(), times.len().to_string(), half, most]
    };
    let [miss, hit, bare] = [&times[0], &times[1], &times[2]].map(|times| percentile(times, 0.5) as i64);
    Table {
        title: "A question to Redis, one request after the other".to_owned(),
        head: vec!["request", "count", "p50 us", "p99 us"],
        rows: rows.into_iter().zip(&times).map(row).collect(),
        remarks: vec![format!(
            "By the medians a session that is not known here takes {} us more than one that is; the same question takes a client that does nothing else {bare} us.",
            miss - hit
        )],
    }
}
