//! Runs h2load and reads what it prints.

use super::Load;
use crate::bench::servers::LOAD_CORE;
use anyhow::{Context, Result};
use std::process::Command;

/// Puts a load of HTTP/2 on a URL: so many connections with so many requests at a time on each, from one thread on the load's core.
///
/// # Errors
/// When h2load fails or prints something else than expected.
pub(super) fn run(url: &str, connections: u32, streams: u32, seconds: u32) -> Result<Load> {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, "h2load", "--threads=1", "--warm-up-time=0"]);
    command.args([format!("--clients={connections}"), format!("--max-concurrent-streams={streams}")]);
    let text = crate::tools::output(command.arg(format!("--duration={seconds}")).arg(url))?;
    parse(&text, seconds).with_context(|| format!("h2load printed something unexpected:\n{text}"))
}

/// h2load tells the least, the most and the mean of its latencies, but no percentile.
fn parse(text: &str, seconds: u32) -> Option<Load> {
    let line = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| {
        line.split(", ")
            .find_map(|part| part.strip_suffix(what))
            .and_then(|number| number.trim().parse().ok())
    };
    let requests: u64 = count("succeeded")?;
    let (failed, errored): (u64, u64) = (count("failed")?, count("errored")?);
    let trouble =
        (failed + errored > 0).then(|| format!("{failed} requests failed, of these {errored} with errors"));
    Some(Load {
        requests,
        a_second: requests as f64 / f64::from(seconds),
        latency: None,
        trouble,
        resumed: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "finished in 5.00s, 41036.40 req/s, 3.10MB/s
requests: 205182 total, 205438 started, 205182 done, 205182 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 205182 2xx, 0 3xx, 0 4xx, 0 5xx
";

    #[test]
    fn a_clean_run_is_read() {
        let load = parse(PRINTED, 5).expect("h2load's own output");
        assert_eq!((load.requests, load.a_second, load.trouble), (205_182, 41_036.4, None));
    }

    #[test]
    fn trouble_is_told() {
        let load = parse(&PRINTED.replace("0 failed, 0 errored", "3 failed, 2 errored"), 5).expect("read");
        assert_eq!(load.trouble.as_deref(), Some("3 requests failed, of these 2 with errors"));
        assert!(parse("could not connect", 5).is_none());
    }
}
