//! The registry's server is killed, frozen, or comes back without memory, while requests go on.

use super::registries::Failing;
use super::stage::Stage;
use super::{Options, aim, milliseconds};
use crate::bench::faults::seen::Seen;
use crate::bench::table::Table;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// So many nodes are announced.
const NODES: usize = 10;
/// So long after a registry has come back empty its nodes announce themselves again.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) fn empty(options: &Options) -> Table {
    Table {
        title: format!(
            "A registry of {NODES} nodes is gone for {} s, at {} requests a second",
            options.seconds, options.pace
        ),
        head: vec![
            "registry",
            "what",
            "requests",
            "failed",
            "nodes, fewest",
            "follows again after ms",
            "aim",
        ],
        rows: Vec::new(),
        remarks: Vec::new(),
    }
}

type Outage = fn(&dyn Failing, Duration, &mut Stage, &mut usize) -> Result<()>;

const OUTAGES: [(&str, Outage); 3] = [
    ("killed, and started again", |server, duration, stage, fewest| {
        server.kill();
        look(stage, duration, fewest)?;
        server.restart();
        Ok(())
    }),
    ("frozen (SIGSTOP), and let go on", |server, duration, stage, fewest| {
        server.freeze();
        let looked = look(stage, duration, fewest);
        server.thaw();
        looked
    }),
    ("restarted empty; nodes announce themselves after 2 s", |server, _, stage, fewest| {
        server.restart_empty();
        look(stage, AGAIN, fewest)?;
        (1..=nodes(stage)).chain([stage.kept()]).try_for_each(|number| stage.put(number, 1))
    }),
];

/// Adds a row for each outage; none if the registry is the gateway's own, or a file.
///
/// # Errors
/// When the registry refuses a change, or the gateway does not follow it any more.
pub(super) fn measure(stage: &mut Stage, options: &Options, table: &mut Table) -> Result<()> {
    let Some(server) = stage.registry.server() else { return Ok(()) };
    announce(stage)?;
    for (what, outage) in OUTAGES {
        let mut fewest = usize::MAX;
        let (seen, follows) = stage.under_load(|stage| {
            outage(&*server, options.outage(), stage, &mut fewest)?;
            let follows = follow_again(stage)?;
            look(stage, AGAIN, &mut fewest)?; // what it says now must not cost a node either
            Ok(follows)
        })?;
        row(stage, what, &seen, fewest, follows, table);
    }
    (1..=nodes(stage)).try_for_each(|number| stage.registry.remove(&format!("n{number}")))
}

fn nodes(stage: &Stage) -> usize {
    NODES.min(stage.count())
}

fn announce(stage: &mut Stage) -> Result<()> {
    for number in 1..=nodes(stage) {
        stage.put(number, 1)?;
        stage.until_serves(number, 1)?;
    }
    Ok(())
}

/// A change is followed: how long after it was acknowledged.
fn follow_again(stage: &mut Stage) -> Result<Duration> {
    stage.put(1, 2)?;
    let time = stage.until_serves(1, 2).context("after the outage")?;
    stage.put(1, 1)?;
    stage.until_serves(1, 1)?;
    Ok(time)
}

/// Looks for so long how many nodes may be picked.
#[allow(clippy::disallowed_methods, reason = "an outage lasts, and the gateway can only be asked again")]
fn look(stage: &mut Stage, duration: Duration, fewest: &mut usize) -> Result<()> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        *fewest = stage.candidates()?.min(*fewest);
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn row(stage: &Stage, what: &str, seen: &Seen, fewest: usize, follows: Duration, table: &mut Table) {
    let all = nodes(stage) + 2; // the one in the configuration, and the one that always stays
    let met = seen.failed() == 0 && fewest == all;
    let row = vec![
        stage.registry.title().to_owned(),
        what.to_owned(),
        seen.requests().to_string(),
        seen.failed().to_string(),
        format!("{fewest} of {all}"),
        milliseconds(follows),
        aim("0 failed, all stay", met),
    ];
    eprintln!("    {}", row[1..].join(" | "));
    table.rows.push(row);
    table.remarks.extend(seen.trouble().map(|why| format!("{}, {what}: {why}", stage.registry.title())));
}
