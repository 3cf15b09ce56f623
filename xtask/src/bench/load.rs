//! Scenarios under load: what a request costs in CPU time, and how long it takes.
//!
//! A load is made by the tool that can make it: wrk, h2load for HTTP/2, and clients of our own where sessions of TLS are resumed.

mod h2load;
mod resumed;
pub(crate) mod wrk;

use super::configuration::Front;
use super::process;
use super::servers::{Ground, Proxy, Server};
use super::table::{Table, median};
use super::tls;
use anyhow::Result;

/// What a run of the load saw.
#[derive(Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    a_second: f64,
    /// What the tool tells of it.
    latency: Option<Latency>,
    /// On failed requests, if there were any: the tool's own words.
    trouble: Option<String>,
    /// How many handshakes resumed a session, if anybody counted.
    resumed: Option<u64>,
}

/// In microseconds.
#[derive(Debug, PartialEq)]
struct Latency {
    p50: f64,
    p99: f64,
}

/// One shape of load.
pub(crate) struct Shape {
    title: &'static str,
    /// What to ask for; the nodes answer `/b` with a body of 100 KB, all else with a line.
    target: &'static str,
    front: Front,
    clients: Clients,
}

/// How clients come.
#[derive(Clone, Copy)]
enum Clients {
    /// So many connections, kept.
    Kept(u32),
    /// So many at a time, a new one for each request.
    New(u32),
    /// The same, and each resumes a session of TLS.
    Resume,
    /// Connections of HTTP/2, and requests at a time on each.
    Http2(u32, u32),
}

pub(crate) const SMALL: Shape = Shape {
    title: "HTTP/1.1, 64 kept connections, tiny response",
    target: "/",
    front: Front::Http,
    clients: Clients::Kept(64),
};
pub(crate) const BODY_100K: Shape =
    Shape { title: "HTTP/1.1, 64 kept connections, a body of 100 KB", target: "/b", ..SMALL };
pub(crate) const CLOSE: Shape =
    Shape { title: "HTTP/1.1, a new connection for each request", clients: Clients::New(64), ..SMALL };
pub(crate) const TLS: Shape =
    Shape { title: "HTTP/1.1 under TLS, 64 kept connections, tiny response", front: Front::Tls, ..SMALL };
pub(crate) const TLS_CLOSE: Shape = Shape {
    title: "HTTP/1.1 under TLS, a full handshake for each request",
    clients: Clients::New(64),
    ..TLS
};
pub(crate) const TLS_RESUMED: Shape = Shape {
    title: "HTTP/1.1 under TLS, a resumed session for each request",
    clients: Clients::Resume,
    ..TLS
};
pub(crate) const H2: Shape = Shape {
    title: "HTTP/2 under TLS, 8 connections x 32 streams, tiny response",
    clients: Clients::Http2(8, 32),
    ..TLS
};
pub(crate) const PASSTHROUGH: Shape = Shape {
    title: "TLS passed through by SNI, 64 kept connections, tiny response",
    front: Front::Tcp,
    ..SMALL
};
pub(crate) const PASSTHROUGH_100K: Shape = Shape {
    title: "TLS passed through by SNI, 64 kept connections, a body of 100 KB",
    target: "/b",
    ..PASSTHROUGH
};

/// What one proxy did in one round.
struct Round {
    /// CPU microseconds a request.
    cost: f64,
    load: Load,
}

/// Measures all proxies, interleaved. Round 0 warms up and does not count.
///
/// # Errors
/// When a server does not start, or wrk fails.
pub(crate) fn measure(
    ground: &Ground,
    proxies: &[Proxy],
    shape: &Shape,
    rounds: u32,
    seconds: u32,
) -> Result<Table> {
    let servers: Vec<Server> =
        proxies.iter().map(|proxy| ground.start(*proxy, shape.front)).collect::<Result<_>>()?;
    let mut results: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        eprintln!(
            "{}: {}",
            shape.title,
            if round == 0 { "warming up".into() } else { format!("round {round} of {rounds}") }
        );
        for (server, results) in servers.iter().zip(&mut results) {
            let seconds = if round == 0 { 2 } else { seconds };
            let result = one(ground, server, shape, seconds)?;
            if round > 0 {
                results.push(result);
            }
        }
    }
    let peaks: Vec<u64> =
        servers.iter().map(|server| process::memory_kib(server.pid(), "VmHWM")).collect::<Result<_>>()?;
    Ok(tabulate(shape, proxies, &results, &peaks))
}

fn one(ground: &Ground, server: &Server, shape: &Shape, seconds: u32) -> Result<Round> {
    let (port, target) = (server.port, shape.target);
    let url = match shape.front {
        Front::Http => format!("http://127.0.0.1:{port}{target}"),
        Front::Tls | Front::Tcp => format!("https://{}:{port}{target}", tls::NAME),
    };
    let before = process::cpu_nanoseconds(server.pid())?;
    let load = match shape.clients {
        Clients::Kept(count) => wrk::run(&url, count, seconds, false)?,
        Clients::New(count) => wrk::run(&url, count, seconds, true)?,
        Clients::Resume => resumed::run(&ground.certificate, port, target, seconds)?,
        Clients::Http2(count, streams) => h2load::run(&url, count, streams, seconds)?,
    };
    let used = process::cpu_nanoseconds(server.pid())?.saturating_sub(before);
    Ok(Round { cost: used as f64 / 1e3 / load.requests.max(1) as f64, load })
}

/// `results` holds for each proxy its rounds; nginx is the measure of the others.
fn tabulate(shape: &Shape, proxies: &[Proxy], results: &[Vec<Round>], peaks: &[u64]) -> Table {
    let mut table = Table {
        title: shape.title.to_owned(),
        head: vec!["proxy", "CPU us/request", "x nginx", "p50 us", "p99 us", "requests/s", "peak MB"],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    let nginx = proxies.iter().position(|proxy| *proxy == Proxy::Nginx).map(|place| &results[place]);
    for ((proxy, rounds), peak) in proxies.iter().zip(results).zip(peaks) {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
        let latency = |value: fn(&Latency) -> f64| {
            let known: Vec<f64> =
                rounds.iter().filter_map(|round| round.load.latency.as_ref().map(value)).collect();
            if known.is_empty() { "–".to_owned() } else { format!("{:.0}", median(known.into_iter())) }
        };
        let ratio =
            nginx.map(|nginx| median(rounds.iter().zip(nginx).map(|(round, nginx)| round.cost / nginx.cost)));
        table.rows.push(vec![
            proxy.title().to_owned(),
            format!("{:.2}", of(|round| round.cost)),
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
            format!("{:.0}", of(|round| round.load.a_second)),
            format!("{:.1}", *peak as f64 / 1024.0),
        ]);
        table
            .remarks
            .extend(remarks(rounds).into_iter().map(|remark| format!("{}: {remark}", proxy.title())));
    }
    table
}

/// How many handshakes were resumed, and what went wrong.
fn remarks(rounds: &[Round]) -> Vec<String> {
    let resumed = rounds.iter().filter_map(|round| round.load.resumed).reduce(|sum, more| sum + more);
    let requests: u64 = rounds.iter().map(|round| round.load.requests).sum();
    let resumed = resumed.map(|resumed| format!("{resumed} of {requests} handshakes resumed a session"));
    let troubles = rounds.iter().filter_map(|round| round.load.trouble.clone());
    resumed.into_iter().chain(troubles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cost: f64) -> Round {
        let latency = Some(Latency { p50: 10.0, p99: 20.0 });
        Round { cost, load: Load { requests: 2, a_second: 100.0, latency, trouble: None, resumed: None } }
    }

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        // The machine was twice as slow in the second round: the medians of the costs would say 1.5.
        let mut results =
            vec![vec![round(10.0), round(20.0), round(10.0)], vec![round(9.0), round(18.0), round(15.0)]];
        results[1][2].load.trouble = Some("Non-2xx or 3xx responses: 3".to_owned());
        let table = tabulate(&SMALL, &[Proxy::Nginx, Proxy::Bascule], &results, &[2048, 10240]);
        assert_eq!(table.rows[0], ["nginx", "10.00", "1.00", "10", "20", "100", "2.0"]);
        assert_eq!(table.rows[1][1..3], ["15.00", "0.90"]);
        assert_eq!(table.rows[1][6], "10.0");
        assert_eq!(table.remarks.len(), 1);
    }

    #[test]
    fn what_nobody_told_is_left_out() {
        let mut results = vec![vec![round(10.0), round(10.0)]];
        for round in &mut results[0] {
            round.load.latency = None;
            round.load.resumed = Some(1);
        }
        let table = tabulate(&SMALL, &[Proxy::Haproxy], &results, &[2048]);
        assert_eq!(table.rows[0], ["haproxy", "10.00", "–", "–", "–", "100", "2.0"]);
        assert_eq!(table.remarks, ["haproxy: 2 of 4 handshakes resumed a session"]);
    }
}
