//! Sessions stay with their nodes: from either gateway, when a gateway is killed, when Redis is killed, comes back, or comes
//! back empty.

use super::visitors::{self, Visitor, Visits, come, visit};
use super::{Options, aim, sticky};
use crate::bench::faults::load::{Load, during};
use crate::bench::faults::nodes::{Nodes, Service};
use crate::bench::faults::ports::Ports;
use crate::bench::faults::seen::Seen;
use crate::bench::gateways::{Gateway, Place};
use crate::bench::table::Table;
use crate::tools;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};
use test_servers::Redis;

const NODES: usize = 5;
/// Far more than is asked of a node.
const SERVICE: Service = Service { places: 64, mean: Duration::from_micros(100) };
/// New clients a second, while Redis is gone.
const PACE: f64 = 200.0;
/// How long stickiness may take to be whole again before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// # Errors
/// When a server does not start, or a first visit fails.
pub(super) fn measure(gateway: &Path, redis: &Redis, options: &Options) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("bascule-cluster-").tempdir()?;
    let place = Place { program: gateway, folder: folder.path() };
    let mut ports = Ports::new();
    let nodes = Nodes::start(&mut ports, &[SERVICE; NODES], 1)?;
    let tables = sticky(redis, &nodes.ports());
    let mut start = |name: &str| place.start(name, &mut ports, &tables);
    let (first, second) = (start("first")?, start("second")?);
    let mut clients = come(&[first.port(), second.port()], options.sessions)?;
    let mut table = Sheet(empty(options));

    table.add("each asks the first gateway", visit(&mut clients, first.port()), ALL);
    table.add("each asks the second gateway", visit(&mut clients, second.port()), ALL);
    first.kill();
    table.add("the first is killed (SIGKILL): the second", visit(&mut clients, second.port()), ALL);
    let third = start("third")?;
    table.add("a new gateway", visit(&mut clients, third.port()), ALL);

    // One that has seen nobody yet, when Redis dies.
    let cold = start("cold")?;
    let gone = without_redis(redis, options, &second, &cold, &mut clients, &mut table)?;
    table.0.remarks.push(format!(
        "While Redis was gone and came back, {} new clients came to the second gateway, {PACE} a second: {} failed.",
        gone.requests(),
        gone.failed()
    ));
    table.0.remarks.extend(gone.trouble());
    until_whole(&mut clients, &cold, &mut table)?;
    for (name, gateway) in
        [("the second", &second), ("the new one", &third), ("the one that knew nobody", &cold)]
    {
        let what = format!("Redis is back: {name}");
        table.add(&what, visit(&mut clients, gateway.port()), ALL);
    }

    redis.restart_empty();
    until_all_is_written_back(redis, &mut clients, &second, &mut table)?;
    table.add("Redis came back empty: the second", visit(&mut clients, second.port()), ALL);
    let last = start("last")?;
    table.add("then a gateway that knew nobody", visit(&mut clients, last.port()), ALL);
    Ok(table.0)
}

/// Redis is killed under load, gone for a time, and started again with what it knew.
fn without_redis(
    redis: &Redis,
    options: &Options,
    warm: &Gateway,
    cold: &Gateway,
    clients: &mut [Visitor],
    table: &mut Sheet,
) -> Result<Seen> {
    let load = Load { port: warm.port(), pace: PACE, seed: 7 };
    let gone = || {
        redis.kill();
        let killed = Instant::now();
        table.add("Redis is killed: the second, which knows them", visit(clients, warm.port()), ALL);
        table.add("a gateway that knows nobody", visit(clients, cold.port()), NONE_FAILS);
        pause(options.duration().saturating_sub(killed.elapsed()));
        redis.restart();
    };
    Ok(during(&load, gone)?.0)
}

/// Waits until a gateway that had no Redis honours sessions again; tells how long that took.
fn until_whole(clients: &mut [Visitor], gateway: &Gateway, table: &mut Sheet) -> Result<()> {
    let start = Instant::now();
    let honours = || all_stay(clients, gateway).then_some(());
    tools::poll(PATIENCE, honours).context("they are not honoured again")?;
    let remark =
        format!("Sessions were honoured again {} ms after Redis was back.", start.elapsed().as_millis());
    table.0.remarks.push(remark);
    Ok(())
}

/// Waits until a gateway has told an empty Redis all that it remembers, which it does when a client comes and it would ask.
fn until_all_is_written_back(
    redis: &Redis,
    clients: &mut [Visitor],
    gateway: &Gateway,
    table: &mut Sheet,
) -> Result<()> {
    let start = Instant::now();
    let known = || {
        visit(clients, gateway.port());
        let keys: usize = redis.ask(&["DBSIZE"]).parse().unwrap_or_default();
        (keys >= clients.len()).then_some(())
    };
    tools::poll(PATIENCE, known).context("what a gateway remembers does not come to an empty Redis")?;
    table.0.remarks.push(format!(
        "Redis knew all sessions again {} ms after it came back empty, while all clients came to one gateway.",
        start.elapsed().as_millis()
    ));
    Ok(())
}

/// Whether some of the clients meet their nodes: so many that it is no chance.
fn all_stay(clients: &mut [Visitor], gateway: &Gateway) -> bool {
    let some = clients.len().min(30);
    visit(&mut clients[..some], gateway.port()).stayed == some
}

#[allow(clippy::disallowed_methods, reason = "an outage lasts")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// What visits are to come to.
type Aim = (&'static str, fn(&Visits) -> bool);

const ALL: Aim = ("100 % stay", |visits| visits.stayed == visits.asked);
const NONE_FAILS: Aim = ("0 failed", |visits| visits.failed == 0);

/// The table, as it grows.
struct Sheet(Table);

impl Sheet {
    fn add(&mut self, what: &str, visits: visitors::Visits, (text, met): Aim) {
        let percent = 100.0 * visits.stayed as f64 / visits.asked.max(1) as f64;
        let row = vec![
            what.to_owned(),
            visits.asked.to_string(),
            visits.stayed.to_string(),
            // Never rounded up to what was not reached.
            format!("{:.2}", (percent * 100.0).floor() / 100.0),
            visits.failed.to_string(),
            aim(text, met(&visits)),
        ];
        eprintln!("    {}", row.join(" | ")); // a long run shows how it goes
        self.0.rows.push(row);
        self.0.remarks.extend(visits.trouble.map(|why| format!("{what}: {why}")));
    }
}

fn empty(options: &Options) -> Table {
    Table {
        title: format!("{} sessions, {NODES} nodes, gateways that share one Redis", options.sessions),
        head: vec!["what happens, and who is asked", "asked", "stay", "%", "failed", "aim"],
        rows: Vec::new(),
        remarks: Vec::new(),
    }
}
