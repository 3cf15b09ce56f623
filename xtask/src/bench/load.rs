//! Scenarios under load: what a request costs in CPU time, and how long it takes.

use super::servers::{Ground, Proxy, Server};
use super::table::{Table, median};
use super::{process, wrk};
use anyhow::Result;

/// One shape of load.
pub(crate) struct Shape {
    title: &'static str,
    /// What to ask for; the nodes answer `/b` with a body of 100 KB, all else with a line.
    target: &'static str,
    connections: u32,
    /// Whether each request takes a new connection.
    close: bool,
}

pub(crate) const SMALL: Shape = Shape {
    title: "HTTP/1.1, 64 kept connections, tiny response",
    target: "/",
    connections: 64,
    close: false,
};
pub(crate) const BODY_100K: Shape = Shape {
    title: "HTTP/1.1, 64 kept connections, a body of 100 KB",
    target: "/b",
    connections: 64,
    close: false,
};
pub(crate) const CLOSE: Shape =
    Shape { title: "HTTP/1.1, a new connection for each request", target: "/", connections: 64, close: true };

/// What one proxy did in one round.
struct Round {
    /// CPU microseconds a request.
    cost: f64,
    load: wrk::Load,
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
    let servers: Vec<Server> = proxies.iter().map(|proxy| ground.start(*proxy)).collect::<Result<_>>()?;
    let mut results: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        eprintln!(
            "{}: {}",
            shape.title,
            if round == 0 { "warming up".into() } else { format!("round {round} of {rounds}") }
        );
        for (server, results) in servers.iter().zip(&mut results) {
            let seconds = if round == 0 { 2 } else { seconds };
            let result = one(server, shape, seconds)?;
            if round > 0 {
                results.push(result);
            }
        }
    }
    let peaks: Vec<u64> =
        servers.iter().map(|server| process::memory_kib(server.pid(), "VmHWM")).collect::<Result<_>>()?;
    Ok(tabulate(shape, proxies, &results, &peaks))
}

fn one(server: &Server, shape: &Shape, seconds: u32) -> Result<Round> {
    let url = format!("http://127.0.0.1:{}{}", server.port, shape.target);
    let before = process::cpu_nanoseconds(server.pid())?;
    let load = wrk::run(&url, shape.connections, seconds, shape.close)?;
    let used = process::cpu_nanoseconds(server.pid())?.saturating_sub(before);
    Ok(Round { cost: used as f64 / 1e3 / load.requests.max(1) as f64, load })
}

/// `results` holds for each proxy its rounds; nginx is the first proxy and the measure of the others.
fn tabulate(shape: &Shape, proxies: &[Proxy], results: &[Vec<Round>], peaks: &[u64]) -> Table {
    let mut table = Table {
        title: shape.title.to_owned(),
        head: vec!["proxy", "CPU us/request", "x nginx", "p50 us", "p99 us", "requests/s", "peak MB"],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    for ((proxy, rounds), peak) in proxies.iter().zip(results).zip(peaks) {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
        let ratio = median(rounds.iter().zip(&results[0]).map(|(round, nginx)| round.cost / nginx.cost));
        table.rows.push(vec![
            proxy.title().to_owned(),
            format!("{:.2}", of(|round| round.cost)),
            format!("{ratio:.2}"),
            format!("{:.0}", of(|round| round.load.p50)),
            format!("{:.0}", of(|round| round.load.p99)),
            format!("{:.0}", of(|round| round.load.a_second)),
            format!("{:.1}", *peak as f64 / 1024.0),
        ]);
        let troubles = rounds.iter().filter_map(|round| round.load.trouble.as_ref());
        table.remarks.extend(troubles.map(|trouble| format!("{}: {trouble}", proxy.title())));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cost: f64) -> Round {
        Round { cost, load: wrk::Load { requests: 1, a_second: 100.0, p50: 10.0, p99: 20.0, trouble: None } }
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
}
