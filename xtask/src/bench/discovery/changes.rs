//! Nodes appear, change their weight and vanish, one by one: how soon each change serves.

use super::stage::Stage;
use super::{Options, aim, milliseconds};
use crate::bench::table::Table;
use anyhow::Result;
use std::time::Duration;

/// A change serves within this.
const AIM: Duration = Duration::from_millis(250);

pub(super) fn empty(options: &Options) -> Table {
    Table {
        title: format!(
            "{} nodes appear, change their weight and vanish, at {} requests a second",
            options.nodes, options.pace
        ),
        head: vec![
            "registry",
            "what",
            "changes",
            "median ms",
            "p99 ms",
            "slowest ms",
            "requests",
            "failed",
            "aim",
        ],
        rows: Vec::new(),
        remarks: Vec::new(),
    }
}

/// Adds three rows.
///
/// # Errors
/// When the registry refuses a change, or the gateway never shows one.
pub(super) fn measure(stage: &mut Stage, table: &mut Table) -> Result<()> {
    let numbers = 1..=stage.count();
    type Change = fn(&mut Stage, usize) -> Result<Duration>;
    let steps: [(&str, Change); 3] = [
        ("appear", |stage, number| {
            stage.put(number, 1)?;
            stage.until_serves(number, 1)
        }),
        ("change weight", |stage, number| {
            stage.put(number, 3)?;
            stage.until_serves(number, 3)
        }),
        ("vanish", |stage, number| {
            stage.registry.remove(&format!("n{number}"))?;
            stage.until_gone(number)
        }),
    ];
    for (what, change) in steps {
        let all = |stage: &mut Stage| numbers.clone().map(|number| change(stage, number)).collect();
        let (seen, mut times): (_, Vec<Duration>) = stage.under_load(all)?;
        times.sort_unstable();
        let share = |share: f64| times[((times.len() as f64 * share).ceil() as usize).max(1) - 1];
        let met = share(1.0) <= AIM && seen.failed() == 0;
        let mut row = vec![stage.registry.title().to_owned(), what.to_owned(), times.len().to_string()];
        row.extend([0.5, 0.99, 1.0].map(|part| milliseconds(share(part))));
        row.extend([seen.requests().to_string(), seen.failed().to_string(), aim("250 ms, 0 failed", met)]);
        eprintln!("    {}", row[1..].join(" | ")); // a long run shows how it goes
        table.rows.push(row);
        table.remarks.extend(seen.trouble().map(|why| format!("{}, {what}: {why}", stage.registry.title())));
    }
    Ok(())
}
