//! Plugin files that change under load: how soon one serves, what clients notice, and what a thousand reloads leave behind.

use super::paced::{self, percentile};
use super::process;
use super::servers::{Ground, Server};
use super::table::{Table, median};
use crate::client;
use crate::plugins;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Requests a second while files change.
const PACE: u64 = 1_000;
/// How long a change may take before this gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a reload is waited for with: small against what is measured.
const LOOK: Duration = Duration::from_millis(5);
/// Reloads that warm up: caches fill, the allocator takes what it will keep.
const FIRST: u32 = 100;

/// Good, bad and good files in a loop under load for so many seconds; then so many reloads, with memory and descriptors
/// before and after.
///
/// # Errors
/// When a server does not start, or a change is not taken in.
pub(crate) fn measure(ground: &Ground, seconds: u32, reloads: u32) -> Result<[Table; 2]> {
    let folder = tempfile::Builder::new().prefix("bascule-reloads-").tempdir()?;
    let good = std::fs::read(plugins::folder().join("round_robin.wasm"))?;
    let mut files = Files { folder: folder.path(), good, number: 0 };
    files.put_good()?;
    let server = ground.bascule_with(folder.path(), "", "policy = \"policy\"", "")?;
    Ok([under_load(&server, &mut files, seconds)?, slopes(&server, &mut files, reloads)?])
}

/// Writes the policy's file.
struct Files<'a> {
    folder: &'a Path,
    good: Vec<u8>,
    number: u32,
}

impl Files<'_> {
    /// Another good content: the same code with another custom section behind it.
    fn put_good(&mut self) -> Result<()> {
        self.number += 1;
        let mark = format!("reload-{:08}", self.number);
        let mut content = self.good.clone();
        content.extend([0, mark.len() as u8 + 1, mark.len() as u8]);
        content.extend(mark.as_bytes());
        self.put(&content)
    }

    fn put_bad(&mut self) -> Result<()> {
        self.number += 1;
        self.put(format!("no plugin, number {}", self.number).as_bytes())
    }

    fn put(&self, content: &[u8]) -> Result<()> {
        let new = self.folder.join("new");
        std::fs::write(&new, content)?;
        Ok(std::fs::rename(new, self.folder.join("policy.wasm"))?)
    }
}

/// The version that serves and the outcome of the newest file, as /snapshot tells them.
fn state(server: &Server) -> Result<(String, String)> {
    let text = client::get(server.admin, "/snapshot", &[])?.body;
    let snapshot: serde_json::Value = serde_json::from_str(&text)?;
    let row = snapshot["plugins"].as_array().and_then(|rows| rows.iter().find(|row| row["use"] == "policy"));
    let row = row.context("/snapshot shows no plugin")?;
    Ok((row["version"].to_string(), format!("{} {}", row["last"]["outcome"], row["last"]["version"])))
}

/// Waits until the state is another; how long that took.
#[allow(clippy::disallowed_methods, reason = "the gateway can only be asked again")]
fn change(server: &Server, before: &str, part: fn((String, String)) -> String) -> Result<Duration> {
    let start = Instant::now();
    loop {
        if part(state(server)?) != before {
            return Ok(start.elapsed());
        }
        if start.elapsed() > PATIENCE {
            bail!("a changed file was not taken in within {} s", PATIENCE.as_secs());
        }
        thread::sleep(LOOK);
    }
}

fn under_load(server: &Server, files: &mut Files<'_>, seconds: u32) -> Result<Table> {
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let stop = AtomicBool::new(false);
    let (load, times) = thread::scope(|scope| {
        let load = scope.spawn(|| paced::run(server.port, PACE, Duration::from_secs(3600), &stop, |_| &[]));
        let times = changes(server, files, end);
        stop.store(true, Relaxed);
        (load.join().expect("the load does not panic"), times)
    });
    let times = times?;
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(Table {
        title: format!(
            "Good, bad and good plugin files in a loop for {seconds} s, at {PACE} requests a second"
        ),
        head: vec![
            "good files",
            "ms to serving, median",
            "slowest",
            "requests",
            "failed",
            "p99 us",
            "p99.9 us",
        ],
        rows: vec![vec![
            times.len().to_string(),
            format!("{:.0}", median(times.iter().copied())),
            format!("{slowest:.0}"),
            load.requests.to_string(),
            load.failed.to_string(),
            percentile(&load.plain, 0.99).to_string(),
            percentile(&load.plain, 0.999).to_string(),
        ]],
        remarks: load.trouble.into_iter().collect(),
    })
}

/// Milliseconds from each good file to its serving.
fn changes(server: &Server, files: &mut Files<'_>, end: Instant) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let (version, _) = state(server)?;
        files.put_good()?;
        times.push(change(server, &version, |(version, _)| version)?.as_secs_f64() * 1e3);
        let (version, outcome) = state(server)?;
        files.put_bad()?;
        change(server, &outcome, |(_, outcome)| outcome)?;
        if state(server)?.0 != version {
            bail!("a bad file replaced a good one");
        }
    }
    Ok(times)
}

/// Memory and open files over many reloads.
fn slopes(server: &Server, files: &mut Files<'_>, reloads: u32) -> Result<Table> {
    let mut table = Table {
        title: format!("{reloads} reloads of one policy, a request after each"),
        head: vec!["reloads", "resident MB", "open files", "threads"],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    let mut seen = Vec::new();
    for number in 0..=reloads {
        if number > 0 {
            let (version, _) = state(server)?;
            files.put_good()?;
            change(server, &version, |(version, _)| version)?;
            client::get(server.port, "/", &[])?;
        }
        if number == FIRST.min(reloads) || number % (reloads / 10).max(1) == 0 {
            let memory = process::memory_kib(server.pid(), "VmRSS")?;
            let entries = |of: &str| {
                Ok::<_, std::io::Error>(std::fs::read_dir(format!("/proc/{}/{of}", server.pid()))?.count())
            };
            let (open, threads) = (entries("fd")?, entries("task")?);
            table.rows.push(vec![
                number.to_string(),
                format!("{:.1}", memory as f64 / 1024.0),
                open.to_string(),
                threads.to_string(),
            ]);
            if number >= FIRST.min(reloads) {
                seen.push((f64::from(number), memory as f64));
            }
        }
    }
    table.remarks.push(format!(
        "After the first {}: {:+.2} KiB of resident memory a reload (least squares).",
        FIRST.min(reloads),
        slope(&seen)
    ));
    Ok(table)
}

/// The slope of the line through these points with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if under == 0.0 { 0.0 } else { over / under }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_a_line() {
        assert_eq!(slope(&[(0.0, 5.0), (10.0, 25.0), (20.0, 45.0)]), 2.0);
        assert_eq!((slope(&[(3.0, 9.0)]), slope(&[])), (0.0, 0.0));
    }
}
