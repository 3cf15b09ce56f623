//! Nodes go: one loses power, so that its lease ends; another one leaves politely before it closes its port.

use super::stage::Stage;
use super::{Options, aim, milliseconds};
use crate::bench::faults::nodes::Manner;
use crate::bench::table::Table;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The shortest lease that etcd grants.
const TTL: Duration = Duration::from_secs(2);
/// A node whose lease ends is gone so long after that.
const AIM: Duration = Duration::from_secs(1);
/// What a node that has left waits before it closes its port, as `bascule register --leave-wait` has it.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// Other nodes that stay.
const OTHERS: usize = 3;

pub(super) fn empty(options: &Options) -> Table {
    Table {
        title: format!(
            "Nodes go, {} of them each time, at {} requests a second",
            options.leases, options.pace
        ),
        head: vec!["registry", "what", "median ms", "slowest ms", "requests", "failed", "aim"],
        rows: Vec::new(),
        remarks: Vec::new(),
    }
}

/// Adds a row for leases, where the registry has them, and one for those who leave.
///
/// # Errors
/// When the registry refuses a change, or the gateway never shows one.
pub(super) fn measure(stage: &mut Stage, options: &Options, table: &mut Table) -> Result<()> {
    let others = OTHERS.min(stage.count() - 1);
    for number in 1..=others {
        stage.put(number, 1)?;
        stage.until_serves(number, 1)?;
    }
    let number = others + 1;
    if stage.registry.has_leases() {
        ends_of_leases(stage, number, options, table)?;
    }
    polite_leaves(stage, number, options, table)?;
    (1..=others).try_for_each(|number| stage.registry.remove(&format!("n{number}")))
}

fn ends_of_leases(stage: &mut Stage, number: usize, options: &Options, table: &mut Table) -> Result<()> {
    let one = |stage: &mut Stage| {
        let announced = stage.announced(number, 1);
        stage.registry.put_leased(&announced, TTL)?;
        let granted = Instant::now();
        stage.until_serves(number, 1)?;
        stage.until_gone(number)?;
        Ok(granted.elapsed())
    };
    let all = |stage: &mut Stage| (0..options.leases).map(|_| one(stage)).collect();
    let (seen, times): (_, Vec<Duration>) = stage.under_load(all)?;
    // Its server goes on here, so what fails would be the gateway's doing.
    let what = format!("a lease of {} s ends", TTL.as_secs());
    let met = |slowest| slowest <= TTL + AIM && seen.failed() == 0;
    row(stage, &what, times, &seen, ("TTL + 1 s, 0 failed", &met), table);
    Ok(())
}

fn polite_leaves(stage: &mut Stage, number: usize, options: &Options, table: &mut Table) -> Result<()> {
    let one = |stage: &mut Stage| {
        stage.put(number, 1)?;
        stage.until_serves(number, 1)?;
        stage.registry.remove(&format!("n{number}"))?;
        let left = Instant::now();
        let gone = stage.until_gone(number)?;
        pause((left + LEAVE_WAIT).saturating_duration_since(Instant::now()));
        stage.set_manner(number, Manner::Stopped);
        pause(Duration::from_millis(300)); // requests that should not come would fail now
        stage.set_manner(number, Manner::Well);
        pause(Duration::from_millis(300)); // it listens again
        Ok(gone)
    };
    let all = |stage: &mut Stage| (0..options.leases).map(|_| one(stage)).collect();
    let (seen, times): (_, Vec<Duration>) = stage.under_load(all)?;
    let met = |_| seen.failed() == 0;
    row(stage, "leaves, and closes its port 1 s later", times, &seen, ("0 failed", &met), table);
    Ok(())
}

type Aim<'a> = (&'a str, &'a dyn Fn(Duration) -> bool);

fn row(
    stage: &Stage,
    what: &str,
    mut times: Vec<Duration>,
    seen: &crate::bench::faults::seen::Seen,
    (text, met): Aim<'_>,
    table: &mut Table,
) {
    times.sort_unstable();
    let slowest = times.last().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let row = vec![
        stage.registry.title().to_owned(),
        what.to_owned(),
        milliseconds(median),
        milliseconds(slowest),
        seen.requests().to_string(),
        seen.failed().to_string(),
        aim(text, met(slowest)),
    ];
    eprintln!("    {}", row[1..].join(" | "));
    table.rows.push(row);
    table.remarks.extend(seen.trouble().map(|why| format!("{}, {what}: {why}", stage.registry.title())));
}

#[allow(clippy::disallowed_methods, reason = "a node waits before it closes its port")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
