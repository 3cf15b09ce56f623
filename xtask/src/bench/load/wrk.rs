//! Runs wrk and reads what it prints.

use super::{Latency, Load};
use crate::bench::servers::LOAD_CORE;
use anyhow::{Context, Result};
use std::process::Command;

/// Puts a load on a URL, from one thread on the load's core.
///
/// # Errors
/// When wrk fails or prints something else than expected.
pub(super) fn run(url: &str, connections: u32, seconds: u32, close: bool) -> Result<Load> {
    run_with(url, connections, seconds, if close { &["Connection: close"] } else { &[] })
}

/// The same with these header fields.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_with(url: &str, connections: u32, seconds: u32, fields: &[&str]) -> Result<Load> {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, "wrk", "--threads", "1", "--latency"]);
    command.args([format!("--connections={connections}"), format!("--duration={seconds}s")]);
    command.args(fields.iter().flat_map(|field| ["--header", field]));
    let text = crate::tools::output(command.arg(url))?;
    parse(&text).with_context(|| format!("wrk printed something unexpected:\n{text}"))
}

fn parse(text: &str) -> Option<Load> {
    let lines = || text.lines().map(str::trim);
    let value = |name: &str| lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let requests = lines().find(|line| line.contains(" requests in "))?.split(' ').next()?.parse().ok()?;
    let trouble = lines().find(|line| line.starts_with("Non-2xx") || line.starts_with("Socket errors"));
    Some(Load {
        requests,
        a_second: value("Requests/sec:")?.parse().ok()?,
        latency: Some(Latency { p50: microseconds(value("50%")?)?, p99: microseconds(value("99%")?)? }),
        trouble: trouble.map(str::to_owned),
        resumed: None,
    })
}

fn microseconds(text: &str) -> Option<f64> {
    let (number, factor) = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 6e7)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "Running 5s test @ http://127.0.0.1:8101/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.14ms  120.12us   4.65ms   91.46%
    Req/Sec    56.36k     2.53k   60.28k    80.00%
  Latency Distribution
     50%  812.00us
     75%    1.18ms
     90%    1.23ms
     99%    1.47ms
  280451 requests in 5.00s, 44.13MB read
Requests/sec:  56089.66
Transfer/sec:      8.83MB
";

    #[test]
    fn a_clean_run_is_read() {
        let load = parse(PRINTED).expect("wrk's own output");
        let latency = Some(Latency { p50: 812.0, p99: 1470.0 });
        let expected = Load { requests: 280_451, a_second: 56_089.66, latency, trouble: None, resumed: None };
        assert_eq!(load, expected);
    }

    #[test]
    fn trouble_is_kept_in_wrks_words() {
        let printed = PRINTED.replace("Requests/sec", "  Non-2xx or 3xx responses: 12\nRequests/sec");
        assert_eq!(parse(&printed).expect("read").trouble.as_deref(), Some("Non-2xx or 3xx responses: 12"));
    }

    #[test]
    fn each_unit_of_time_is_known() {
        let read = ["250.00us", "1.5ms", "2.00s", "1.00m", "7 apples"].map(microseconds);
        assert_eq!(read, [Some(250.0), Some(1500.0), Some(2e6), Some(6e7), None]);
    }

    #[test]
    fn another_text_is_nothing() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused"), None);
    }
}
