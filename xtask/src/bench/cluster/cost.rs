//! What a session that a gateway knows adds to the CPU time of a request: the same load with a cookie on gateways whose
//! sessions are in Redis and in memory, and on one without sessions.
//!
//! Measured as `cargo xtask bench` measures proxies: one worker on one core, the load and nginx's nodes on another, rounds
//! interleaved, and differences taken within a round.

use super::{Options, aim};
use crate::bench::load::wrk;
use crate::bench::process;
use crate::bench::servers::{Ground, Server};
use crate::bench::table::{Table, median};
use crate::{client, plugins, tools};
use anyhow::{Context, Result};
use std::path::Path;
use test_servers::Redis;

const CONNECTIONS: u32 = 32;
/// What a request with a session that is known may cost above one without.
const AIM: f64 = 0.5;

/// A gateway that is measured.
struct Case {
    title: &'static str,
    server: Server,
    cookie: Option<String>,
}

/// # Errors
/// When a program is missing, or a server does not start.
pub(super) fn measure(gateway: &Path, redis: &Redis, options: &Options) -> Result<Table> {
    for (program, package) in [("nginx", "nginx-light"), ("wrk", "wrk"), ("taskset", "util-linux")] {
        tools::require(program, "the cost is measured with it", &format!("apt-get install {package}"))?;
    }
    let ground = Ground::prepare(gateway.to_owned())?;
    let stores = format!("[redis]\nservers = [\"{}\"]\n[sessions]\nstore = \"redis\"\n", redis.url());
    let sticky = "policy = [\"sticky-session\", \"least-connections\"]";
    let start = |title, tables: &str, policy: &str| -> Result<Case> {
        let server = ground.bascule_with(&plugins::folder(), tables, policy, "")?;
        let answer = client::get(server.port, "/", &[])?;
        let cookie = answer.header("set-cookie").and_then(|line| line.split(';').next()).map(str::to_owned);
        Ok(Case { title, server, cookie })
    };
    let cases = [
        start("no sessions: least-connections alone", "", "policy = \"least-connections\"")?,
        start("sticky-session, in memory", "", sticky)?,
        start("sticky-session, in Redis, known here", &stores, sticky)?,
    ];
    for sticky in &cases[1..] {
        sticky.cookie.as_ref().with_context(|| format!("{}: a first answer sets no cookie", sticky.title))?;
    }
    let mut costs = vec![Vec::new(); cases.len()];
    for round in 0..=options.rounds {
        eprintln!("    round {round} of {}", options.rounds);
        for (case, costs) in cases.iter().zip(&mut costs) {
            let cost = one(case, if round == 0 { 1 } else { options.seconds })?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(table(&cases, &costs))
}

/// CPU microseconds a request.
fn one(case: &Case, seconds: u32) -> Result<f64> {
    let url = format!("http://127.0.0.1:{}/", case.server.port);
    // All send one, so that all heads are as long.
    let cookie = case.cookie.as_deref().unwrap_or("bascule-session=0123456789abcdef0123456789abcdef");
    let before = process::cpu_nanoseconds(case.server.pid())?;
    let load = wrk::run_with(&url, CONNECTIONS, seconds, &[&format!("Cookie: {cookie}")])?;
    let used = process::cpu_nanoseconds(case.server.pid())?.saturating_sub(before);
    Ok(used as f64 / 1e3 / load.requests.max(1) as f64)
}

fn table(cases: &[Case], costs: &[Vec<f64>]) -> Table {
    let above = |costs: &[f64], base: &[f64]| median(costs.iter().zip(base).map(|(cost, base)| cost - base));
    let row = |(case, own): (&Case, &Vec<f64>)| {
        let more = above(own, &costs[0]);
        let aim = if case.cookie.is_some() { aim("0.5 more", more <= AIM) } else { "–".to_owned() };
        let cost = median(own.iter().copied());
        vec![case.title.to_owned(), format!("{cost:.2}"), format!("{more:+.2}"), aim]
    };
    Table {
        title: "A request with a session".to_owned(),
        head: vec!["gateway", "CPU us/request", "more than without sessions", "aim"],
        rows: cases.iter().zip(costs).map(row).collect(),
        remarks: vec![format!(
            "Redis against memory, where both know the session: {:+.2} us.",
            above(&costs[2], &costs[1])
        )],
    }
}
