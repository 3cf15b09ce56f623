//! What a session that a gateway knows adds to the CPU time of a request: the same load with cookies on gateways whose
//! sessions are in Redis and in memory, and on one without sessions.
//!
//! Measured as `cargo xtask bench` measures proxies: one worker on one core, the load and nginx's nodes on another, rounds
//! interleaved, and differences taken within a round. Once one client asks all the time, and once thousands ask in turn.

use super::visitors::cookie;
use super::{Options, aim};
use crate::bench::load::wrk;
use crate::bench::process;
use crate::bench::servers::{Ground, Server};
use crate::bench::table::{Table, median};
use crate::client::Connection;
use crate::{plugins, tools};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use test_servers::Redis;

const CONNECTIONS: u32 = 32;
/// Clients that ask in turn.
const MANY: usize = 5_000;
/// What a request with a session that is known may cost above one without.
const AIM: f64 = 0.5;

/// A gateway that is measured.
struct Case {
    title: &'static str,
    server: Server,
    /// wrk's scripts, of one client and of many.
    scripts: [PathBuf; 2],
    /// Whether its sessions are known without asking anybody.
    is_known: bool,
}

/// # Errors
/// When a program is missing, or a server does not start.
pub(super) fn measure(gateway: &Path, redis: &Redis, options: &Options) -> Result<Table> {
    for (program, package) in [("nginx", "nginx-light"), ("wrk", "wrk"), ("taskset", "util-linux")] {
        tools::require(program, "the cost is measured with it", &format!("apt-get install {package}"))?;
    }
    let ground = Ground::prepare(gateway.to_owned())?;
    let scripts = tempfile::Builder::new().prefix("bascule-cost-").tempdir()?;
    let in_redis = |believed: &str| {
        let server = redis.url();
        format!(
            "[redis]\nservers = [\"{server}\"]\n[sessions]\nstore = \"redis\"\nnear_cache = \"{believed}\"\n"
        )
    };
    let sticky = "policy = [\"sticky-session\", \"least-connections\"]";
    let none = "policy = \"least-connections\"";
    // In the order of the table, the first to compare the others with.
    let cases: Vec<Case> = [
        ("no sessions: least-connections alone", String::new(), none, false),
        ("sticky-session, in memory", String::new(), sticky, true),
        ("sticky-session, in Redis, known here", in_redis("1h"), sticky, true),
        ("sticky-session, in Redis, asked for again each second", in_redis("1s"), sticky, false),
    ]
    .into_iter()
    .map(|(title, tables, policy, is_known)| {
        let server = ground.bascule_with(&plugins::folder(), &tables, policy, "")?;
        start(server, title, is_known, scripts.path())
    })
    .collect::<Result<_>>()?;
    let mut costs = vec![[Vec::new(), Vec::new()]; cases.len()];
    for round in 0..=options.rounds {
        eprintln!("    round {round} of {}", options.rounds);
        for clients in [0, 1] {
            for (case, costs) in cases.iter().zip(&mut costs) {
                let cost = one(case, clients, if round == 0 { 1 } else { options.seconds })?;
                if round > 0 {
                    costs[clients].push(cost);
                }
            }
        }
    }
    Ok(table(&cases, &costs))
}

/// Lets the clients come for the first time, where there are sessions, and writes what they ask later.
fn start(server: Server, title: &'static str, is_known: bool, folder: &Path) -> Result<Case> {
    let mut connection = Connection::open(server.port)?;
    let has_sessions = cookie(&connection.get("/", &[])?).is_some();
    let cookies: Vec<String> = if has_sessions {
        let mut come = || cookie(&connection.get("/", &[])?).context("a first answer sets no cookie");
        (0..MANY).map(|_| come()).collect::<Result<_>>()?
    } else {
        // All send one, so that all heads are as long.
        (0..MANY).map(|number| format!("bascule-session={number:022}")).collect()
    };
    let script = |name: &str, cookies: &[String]| -> Result<PathBuf> {
        let path = folder.join(format!("{}-{name}.lua", server.port));
        std::fs::write(&path, lua(cookies)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let scripts = [script("one", &cookies[..1])?, script("many", &cookies)?];
    Ok(Case { title, server, scripts, is_known })
}

/// Requests with these cookies in turn, made before the load begins.
fn lua(cookies: &[String]) -> String {
    let cookies: Vec<String> = cookies.iter().map(|cookie| format!("{cookie:?}")).collect();
    format!(
        "local requests, at = {{}}, 0\n\
         local cookies = {{ {} }}\n\
         function init()\n\
           for place, cookie in ipairs(cookies) do\n\
             requests[place] = wrk.format(nil, nil, {{ Cookie = cookie }})\n\
           end\n\
         end\n\
         function request()\n\
           at = at % #requests + 1\n\
           return requests[at]\n\
         end\n",
        cookies.join(", ")
    )
}

/// CPU microseconds a request.
fn one(case: &Case, clients: usize, seconds: u32) -> Result<f64> {
    let url = format!("http://127.0.0.1:{}/", case.server.port);
    let before = process::cpu_nanoseconds(case.server.pid())?;
    let load = wrk::run_scripted(&url, CONNECTIONS, seconds, &case.scripts[clients])?;
    let used = process::cpu_nanoseconds(case.server.pid())?.saturating_sub(before);
    Ok(used as f64 / 1e3 / load.requests.max(1) as f64)
}

fn table(cases: &[Case], costs: &[[Vec<f64>; 2]]) -> Table {
    let above = |costs: &[f64], base: &[f64]| median(costs.iter().zip(base).map(|(cost, base)| cost - base));
    let row = |clients: usize, case: &Case, own: &[f64]| {
        let more = above(own, &costs[0][clients]);
        let aim = if case.is_known { aim("0.5 more", more <= AIM) } else { "–".to_owned() };
        let cost = median(own.iter().copied());
        let who = if clients == 0 { "one".to_owned() } else { MANY.to_string() };
        vec![case.title.to_owned(), who, format!("{cost:.2}"), format!("{more:+.2}"), aim]
    };
    let rows =
        |clients: usize| cases.iter().zip(costs).map(move |(case, own)| row(clients, case, &own[clients]));
    Table {
        title: "A request with a session".to_owned(),
        head: vec!["gateway", "clients in turn", "CPU us/request", "more than without sessions", "aim"],
        rows: rows(0).chain(rows(1)).collect(),
        remarks: vec![
            "The last gateway believes a session for a second (near_cache, as it is by default), the one before it for an hour: its \
             clients are looked for in Redis once."
                .to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_each_cookie_as_a_text() {
        let script = lua(&["a=1".to_owned(), "b=\"2\"".to_owned()]);
        assert!(script.contains(r#"local cookies = { "a=1", "b=\"2\"" }"#), "{script}");
    }
}
