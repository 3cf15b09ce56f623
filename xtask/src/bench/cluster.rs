//! `cargo xtask bench cluster`: what several gateways that share one Redis promise, with a real one.
//!
//! Sessions that any gateway honours, also when a gateway or Redis dies; a rate limit that all gateways count together;
//! and what both cost. Everything runs on this machine, so latencies are those of loopback.

mod cost;
mod limit;
mod miss;
mod sessions;
mod visitors;

use super::table::Table;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_servers::{Program, Redis};

/// What `cargo xtask bench cluster` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these parts; all if left out
    #[arg(long, value_enum, num_args = 1..)]
    only: Vec<Part>,
    /// How many clients have sessions
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// How long Redis is gone, the rate limit is under load, and each round of the cost takes
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Requests a second that the limit is offered; it allows a fifth of them
    #[arg(long, default_value_t = 5_000)]
    pace: u32,
    /// Rounds of the cost
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Print Markdown with the date, for docs/benchmarks.md
    #[arg(long)]
    pub(super) markdown: bool,
    /// Measure this binary, and do not build one
    #[arg(long)]
    pub(super) gateway: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Sessions stay, whichever gateway is asked, and whoever dies
    Sessions,
    /// Three gateways count requests together
    Limit,
    /// What a session that is not known here adds to a request's latency
    Miss,
    /// What a session that is known here adds to a request's CPU time
    Cost,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// Measures all parts.
///
/// # Errors
/// When this machine has no Redis, or an option makes no sense. What breaks in one part is told, and the others go on.
pub(super) fn measure(gateway: &Path, options: &Options) -> Result<Vec<Table>> {
    ensure!(options.sessions > 0 && options.seconds > 0, "--sessions and --seconds have to be at least 1");
    ensure!(options.pace >= 5, "--pace has to be at least 5");
    let missing =
        "this machine has no redis-server: install it, on Debian with `apt-get install redis-server`";
    crate::servers::prepare(&[Program::Redis]);
    Program::Redis.find().context(missing)?;
    super::process::raise_open_files(20_000)?;
    let mut tables = Vec::new();
    for part in Part::value_variants() {
        if !options.only.is_empty() && !options.only.contains(part) {
            continue;
        }
        let redis = Redis::start().context(missing)?;
        let measured = match part {
            Part::Sessions => sessions::measure(gateway, &redis, options),
            Part::Limit => limit::measure(gateway, &redis, options),
            Part::Miss => miss::measure(gateway, &redis, options),
            Part::Cost => cost::measure(gateway, &redis, options),
        };
        tables.push(measured.unwrap_or_else(|error| broken(*part, &error)));
    }
    Ok(tables)
}

fn broken(part: Part, error: &anyhow::Error) -> Table {
    let name = part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let remarks = vec![format!("not measured to the end: {error:#}")];
    Table { title: name, head: Vec::new(), rows: Vec::new(), remarks }
}

/// Sessions in this Redis, and a pool of these nodes whose clients stay.
fn sticky(redis: &Redis, nodes: &[u16]) -> String {
    let nodes: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(number, port)| format!("{{ id = \"n{number}\", address = \"127.0.0.1:{port}\" }}"))
        .collect();
    format!(
        "[gateway]\ndebug_headers = true\n[redis]\nservers = [\"{}\"]\n[sessions]\nstore = \"redis\"\n[route.bench]\npool = \"bench\"\n\
         [pool.bench]\npolicy = [\"sticky-session\", \"power-of-two\"]\nnodes = [{}]\n",
        redis.url(),
        nodes.join(", ")
    )
}

/// The aim, and whether it was reached.
fn aim(text: &str, met: bool) -> String {
    format!("{text}: {}", if met { "met" } else { "missed" })
}
