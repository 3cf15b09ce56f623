//! `cargo xtask bench discovery`: how soon a change in a registry serves, and what clients notice when the registry fails.
//!
//! The registries are real servers, found as the tests find them; what a machine lacks stays out, and it is said. Each has a
//! gateway of its own, under a bounded load: a node that is written in the configuration serves beside those that are found.
//! Times count from the registry's acknowledgement to the first /snapshot that shows the change, which is what the next
//! request meets.

mod changes;
mod leases;
mod outages;
mod registries;
mod stage;

use super::table::Table;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use registries::Kind;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_servers::Program;

/// What `cargo xtask bench discovery` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these registries; all that this machine has if left out
    #[arg(long, value_enum, num_args = 1..)]
    only: Vec<Kind>,
    /// How many nodes appear, change their weight and vanish, one by one
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// How long a registry is gone
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How many leases end, and how many nodes leave politely
    #[arg(long, default_value_t = 5)]
    leases: u32,
    /// Requests a second meanwhile
    #[arg(long, default_value_t = 200)]
    pace: u32,
    /// Print Markdown with the date, for docs/benchmarks.md
    #[arg(long)]
    pub(super) markdown: bool,
    /// Measure this binary, and do not build one
    #[arg(long)]
    pub(super) gateway: Option<PathBuf>,
}

impl Options {
    fn outage(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// Measures all registries.
///
/// # Errors
/// When an option makes no sense. What breaks with one registry is a remark, and the others go on.
pub(super) fn measure(gateway: &Path, options: &Options) -> Result<Vec<Table>> {
    ensure!(options.nodes > 0 && options.pace > 0, "--nodes and --pace have to be at least 1");
    super::process::raise_open_files(20_000)?;
    let wanted = |kind: &Kind| options.only.is_empty() || options.only.contains(kind);
    let kinds: Vec<Kind> = Kind::value_variants().iter().copied().filter(wanted).collect();
    let programs: Vec<Program> = kinds.iter().filter_map(|kind| kind.program()).collect();
    crate::servers::prepare(&programs);
    let mut tables = [changes::empty(options), outages::empty(options), leases::empty(options)];
    for kind in kinds {
        if let Some(program) = kind.program().filter(|program| program.find().is_none()) {
            eprintln!("{} stays out: this machine has no {}", kind.title(), program.name());
            continue;
        }
        eprintln!("{}", kind.title());
        if let Err(error) = one(gateway, kind, options, &mut tables) {
            tables[0].remarks.push(format!("{}: not measured to the end: {error:#}", kind.title()));
        }
    }
    Ok(tables.into_iter().filter(|table| !table.rows.is_empty() || !table.remarks.is_empty()).collect())
}

fn one(gateway: &Path, kind: Kind, options: &Options, tables: &mut [Table; 3]) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("bascule-discovery-").tempdir()?;
    let mut stage = Stage::set(gateway, folder.path(), kind, options.nodes, options.pace.into())?;
    let [changed, failed, left] = tables;
    changes::measure(&mut stage, changed)?;
    outages::measure(&mut stage, options, failed)?;
    leases::measure(&mut stage, options, left)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}

/// The aim, and whether it was reached.
fn aim(text: &str, met: bool) -> String {
    format!("{text}: {}", if met { "met" } else { "missed" })
}
