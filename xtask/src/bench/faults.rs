//! `cargo xtask bench faults`: nodes fail, operators work; do clients notice?
//!
//! Each proxy stands before nodes of its own, under a load of its own, and the proxies of one row run side by side, so that
//! a noisy moment of the machine hits all of them. Nodes answer by a queue in numbers (`queue`), so neither they nor the load
//! (`load`) take the CPU that a real service would. Latencies count from when a request was due.

mod contender;
mod fault;
mod half_slow;
pub(super) mod load;
pub(super) mod nodes;
pub(super) mod ports;
mod queue;
mod running;
pub(super) mod seen;
mod stage;
mod texts;

use super::table::Table;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use contender::{Contender, Maker};
use fault::{BAD, Fault};
use nodes::Service;
use stage::{Ended, Plan, Stages};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `cargo xtask bench faults` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each fault lasts
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Only these faults; all if left out
    #[arg(long, value_enum, num_args = 1..)]
    only: Vec<Fault>,
    /// Only the proxies of these makers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Maker::Bascule, Maker::Nginx, Maker::Haproxy])]
    proxies: Vec<Maker>,
    /// Requests a second
    #[arg(long, default_value_t = 1_000)]
    pace: u32,
    /// Run the proxies one after the other: for a quiet look at one of them
    #[arg(long)]
    alone: bool,
    /// Print Markdown with the date, for docs/benchmarks.md
    #[arg(long)]
    pub(super) markdown: bool,
    /// Measure this binary, and do not build one
    #[arg(long)]
    pub(super) gateway: Option<PathBuf>,
}

/// What a node of the faults' pool can do: far more than it is asked for.
const SERVICE: Service = Service { places: 4, mean: Duration::from_millis(5) };

/// Measures all rows.
///
/// # Errors
/// When the limit of open files cannot be read, or an option makes no sense.
pub(super) fn measure(gateway: &Path, options: &Options) -> Result<Vec<Table>> {
    ensure!(options.seconds > 0 && options.pace > 0, "--seconds and --pace have to be at least 1");
    super::process::raise_open_files(20_000)?;
    let proxies: Vec<Contender> = taking_part(&options.proxies);
    let stages = Stages { gateway, alone: options.alone, seconds: options.seconds };
    let wanted = |fault: &Fault| options.only.is_empty() || options.only.contains(fault);
    let mut table = empty(options);
    let mut tables = Vec::new();
    for fault in Fault::value_variants().iter().copied().filter(wanted) {
        let concerned: Vec<_> = proxies.iter().copied().filter(|proxy| fault.concerns(*proxy)).collect();
        if fault == Fault::HalfSlow {
            tables.push(half_slow::measure(&stages, &concerned));
            continue;
        }
        let (serving, all) = fault.nodes();
        let services = vec![SERVICE; all];
        let plan = Plan { fault, services: &services, serving, pace: options.pace.into(), overload: false };
        for (proxy, ended) in stages.run(&plan, &concerned) {
            let row = row(fault, proxy, &ended);
            eprintln!("    {}", row[1..].join(" | ")); // a long run shows how it goes
            table.rows.push(row);
            table.remarks.extend(remarks(fault.title(), proxy, &ended));
        }
    }
    if !table.rows.is_empty() {
        tables.insert(0, table);
    }
    Ok(tables)
}

/// Those that are wanted and installed; says who is not.
fn taking_part(makers: &[Maker]) -> Vec<Contender> {
    let wanted = Contender::ALL.into_iter().filter(|proxy| makers.contains(&proxy.maker()));
    let there = |proxy: &Contender| match proxy.missing() {
        Some(why) => {
            eprintln!("{} stays out: {why}", proxy.title());
            false
        }
        None => true,
    };
    wanted.filter(there).collect()
}

fn empty(options: &Options) -> Table {
    Table {
        title: format!("{} requests a second for {} s, 11 nodes", options.pace, options.seconds),
        head: vec![
            "what happens",
            "proxy",
            "requests",
            "within 1 s, %",
            "failed",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "to the bad node, %",
            "aim",
        ],
        rows: Vec::new(),
        remarks: Vec::new(),
    }
}

fn row(fault: Fault, proxy: Contender, ended: &Ended) -> Vec<String> {
    let seen = &ended.seen;
    let mut row = vec![fault.title().to_owned(), proxy.title().to_owned(), seen.requests().to_string()];
    row.extend([percent(seen.in_time()), seen.failed().to_string()]);
    row.extend([0.5, 0.99, 0.999].map(|share| milliseconds(seen.percentile(share))));
    let to_the_bad = fault.has_a_bad_node().then(|| ended.share(BAD..=BAD));
    row.push(to_the_bad.map_or("–".to_owned(), percent));
    row.push(match proxy.maker() {
        Maker::Bascule => aim(fault, ended, to_the_bad),
        _ => "–".to_owned(),
    });
    row
}

/// The aim, and whether it was reached.
fn aim(fault: Fault, ended: &Ended, to_the_bad: Option<f64>) -> String {
    let most = fault.most_to_the_bad().zip(to_the_bad);
    let met = ended.trouble.is_none()
        && ended.seen.in_time() >= fault.aim()
        && most.is_none_or(|(most, share)| share <= most);
    let also = most.map_or(String::new(), |(most, _)| format!(", bad node {most}"));
    format!("{}{also}: {}", fault.aim(), if met { "met" } else { "missed" })
}

/// What a reader has to know beside the figures.
fn remarks(what: &str, proxy: Contender, ended: &Ended) -> Vec<String> {
    let Ended { seen, trouble, .. } = ended;
    let of = |text: String| format!("{what}, {}: {text}", proxy.title());
    let stopped = trouble.as_ref().map(|trouble| of(format!("not played to the end: {trouble}")));
    let late = seen
        .late()
        .map(|lag| of(format!("the load itself was late by up to {} ms: a noisy run", lag.as_millis())));
    [stopped, seen.trouble().map(of), late].into_iter().flatten().collect()
}

fn percent(value: f64) -> String {
    // Never rounded up to what was not reached.
    format!("{:.3}", (value * 1e3).floor() / 1e3)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::load::{Failure, Request};
    use super::seen::Seen;
    use super::*;

    /// The outcome of a run in which so many requests were served, and so many reached each node.
    fn ended(served: u64, failed: u64, asked: Vec<u64>) -> Ended {
        let mut seen = Seen::default();
        for number in 0..served + failed {
            let ending = if number < served { Ok(()) } else { Err(Failure::Status(502)) };
            seen.add(Request { lag: Duration::ZERO, latency: Duration::from_millis(5), ending });
        }
        Ended { seen, asked, trouble: None }
    }

    #[test]
    fn a_row_says_whether_the_aim_was_met() {
        let asked = |bad| (0..11).map(|number| if number == BAD { bad } else { 100 }).collect();
        let cell = |fault, proxy, ended: &Ended| row(fault, proxy, ended).pop().expect("cells");
        let all = ended(1000, 0, asked(1));
        assert_eq!(cell(Fault::Slow, Contender::Prequal, &all), "99.95: met");
        assert_eq!(cell(Fault::Slow, Contender::NginxRoundRobin, &all), "–");
        assert_eq!(cell(Fault::Failing, Contender::Prequal, &all), "100, bad node 0.1: met");
        let too_many = ended(1000, 0, asked(100));
        assert_eq!(cell(Fault::Failing, Contender::Prequal, &too_many), "100, bad node 0.1: missed");
        let lost = ended(999, 1, asked(0));
        assert_eq!(cell(Fault::Reload, Contender::LeastConnections, &lost), "100: missed");
        let broken = Ended { trouble: Some("no such pool".to_owned()), ..all };
        assert_eq!(cell(Fault::Rolling, Contender::LeastConnections, &broken), "100: missed");
    }

    #[test]
    fn a_share_is_not_rounded_up_to_all() {
        assert_eq!((percent(99.9999).as_str(), percent(100.0).as_str()), ("99.999", "100.000"));
    }
}
