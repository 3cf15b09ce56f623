//! Half of the nodes twice as slow: what each policy makes of it, from an easy load to more than can be served.
//!
//! The set-up is that of the simulations: 20 nodes that serve one request at a time. At 110 % the gateway has a bounded
//! queue, and has to turn a tenth away.

use super::contender::Contender;
use super::fault::Fault;
use super::nodes::Service;
use super::stage::{Plan, Stages};
use super::{milliseconds, percent, remarks};
use crate::bench::table::Table;
use std::time::Duration;

/// The mean service time of a fast node: with it, 90 % of what the nodes can serve are 1,000 requests a second.
const FAST: Duration = Duration::from_micros(13_500);
/// Fast nodes, and as many slow ones.
const HALF: usize = 10;

/// Requests a second that keep all nodes busy.
fn capacity() -> f64 {
    let one = 1.0 / FAST.as_secs_f64();
    HALF as f64 * one * 1.5
}

/// Measures these policies at each load.
pub(super) fn measure(stages: &Stages<'_>, proxies: &[Contender]) -> Table {
    let fast = Service { places: 1, mean: FAST };
    let slow = Service { places: 1, mean: FAST * 2 };
    let services = [[fast; HALF], [slow; HALF]].concat();
    let mut table = Table {
        title: format!(
            "10 nodes that serve in {} ms, 10 in {} ms",
            milliseconds(fast.mean),
            milliseconds(slow.mean)
        ),
        head: vec![
            "load",
            "policy",
            "requests",
            "served, %",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "to the slow half, %",
        ],
        rows: Vec::new(),
        remarks: Vec::new(),
    };
    for load in [70, 90, 110] {
        let plan = Plan {
            fault: Fault::HalfSlow,
            services: &services,
            serving: services.len(),
            pace: capacity() * f64::from(load) / 100.0,
            overload: load > 100,
        };
        for (proxy, ended) in stages.run(&plan, proxies) {
            let seen = &ended.seen;
            let mut row = vec![format!("{load} %"), proxy.title().to_owned(), seen.requests().to_string()];
            row.push(percent(seen.served()));
            row.extend([0.5, 0.99, 0.999].map(|share| milliseconds(seen.percentile(share))));
            row.push(percent(ended.share(HALF..=2 * HALF - 1)));
            table.rows.push(row);
            table.remarks.extend(remarks(&format!("{load} %"), proxy, &ended));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_percent_are_a_thousand_a_second() {
        assert!((capacity() * 0.9 - 1000.0).abs() < 0.5, "{}", capacity());
    }
}
