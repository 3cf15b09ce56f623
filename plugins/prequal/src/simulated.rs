//! In virtual time, beside the other policies: the table in the README, and what it promises.

mod gateways;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use bascule_plugin::prelude::*;
use bascule_plugin::testing::Simulation;
use bascule_plugin::testing::simulation::{Report, SimulatedNode};
use least_connections::LeastConnections;
use power_of_two::PowerOfTwo;
use round_robin::RoundRobin;

use super::Prequal;

/// What a fast node takes for a request, for each that it serves at once: so pools see as many requests a second whatever
/// their nodes serve at once, and the gateway's averages have as long to settle.
const MEAN: Duration = Duration::from_millis(10);

/// The p50 and p99 of one policy in one pool, in units of a fast node's mean service time; means over the seeds.
#[derive(Clone, Copy)]
struct Figures {
    median: f64,
    tail: f64,
}

/// One pool with several seeds.
struct Pool {
    name: String,
    /// What a fast node takes for a request.
    unit: Duration,
    seeds: Vec<Simulation>,
}

impl Pool {
    /// Nodes that serve `concurrency` requests at once, at this load and behind so many gateways; with so many seeds, and requests
    /// for each.
    fn new(
        name: &str,
        kinds: Kinds,
        noisy: bool,
        (concurrency, load, gateways): (usize, f64, usize),
        (seeds, requests): (u64, usize),
    ) -> Self {
        let unit = MEAN * concurrency as u32;
        let node = |node: SimulatedNode, times| {
            let node = node.mean(unit).slower(times).concurrency(concurrency);
            if noisy { node.noisy() } else { node }
        };
        let pool = |seed| {
            let start = Simulation::new(seed).load(load).gateways(gateways);
            let start = start.requests(requests).warm_up(requests / 4);
            kinds.iter().fold(start, |pool, (count, times)| pool.nodes(*count, |plain| node(plain, *times)))
        };
        Self { name: name.to_owned(), unit, seeds: (1..=seeds).map(pool).collect() }
    }

    fn play<B: Balancer + 'static>(&self, policy: fn() -> B) -> Figures {
        self.play_with(|| policy)
    }

    /// Plays it with policies that know each other: `policies` makes those of one run.
    fn play_with<B: Balancer + 'static, F: FnMut() -> B>(&self, policies: impl Fn() -> F) -> Figures {
        let reports: Vec<Report> = self.seeds.iter().map(|pool| pool.run(policies())).collect();
        let mean = |share| {
            let sum: f64 = reports.iter().map(|report| report.percentile(share).as_secs_f64()).sum();
            sum / reports.len() as f64 / self.unit.as_secs_f64()
        };
        Figures { median: mean(0.5), tail: mean(0.99) }
    }
}

/// A line of the table.
struct Line {
    name: String,
    /// Round robin, least connections, power of two.
    others: [Figures; 3],
    prequal: Figures,
}

impl Line {
    fn of(pool: Pool) -> Self {
        let least =
            || LeastConnections::configure(least_connections::Config::default()).expect("its defaults");
        let others = [pool.play(RoundRobin::default), pool.play(least), pool.play(|| PowerOfTwo)];
        Self { others, prequal: pool.play(Prequal::default), name: pool.name }
    }

    /// Prequal's figure, in terms of the best of the others'.
    fn beside_the_best(&self, figure: fn(&Figures) -> f64) -> f64 {
        figure(&self.prequal) / self.others.iter().map(figure).fold(f64::INFINITY, f64::min)
    }
}

impl Display for Line {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "| {} |", self.name)?;
        for Figures { median, tail } in self.others.iter().chain([&self.prequal]) {
            // A queue that only grows has no percentiles worth telling.
            if *tail > 100.0 {
                write!(out, " overrun |")?;
            } else {
                write!(out, " {median:.2} / {tail:.1} |")?;
            }
        }
        Ok(())
    }
}

/// Nodes of a kind: how many, and how many times slower than a fast one.
type Kinds = &'static [(usize, f64)];

const EQUAL: Kinds = &[(20, 1.0)];
const HALF: Kinds = &[(10, 1.0), (10, 2.0)];
const ONE: Kinds = &[(19, 1.0), (1, 20.0)];

/// The name of a pool, its nodes, whether they are noisy, its load, and its gateways.
const POOLS: [(&str, Kinds, bool, f64, usize); 6] = [
    ("equal nodes", EQUAL, false, 0.9, 1),
    ("half of them twice as slow", HALF, false, 0.9, 1),
    ("equal, noisy", EQUAL, true, 0.9, 1),
    ("half twice as slow, noisy", HALF, true, 0.9, 1),
    ("one 20 times slower, 80 % load", ONE, false, 0.8, 1),
    ("half twice as slow, 4 gateways", HALF, false, 0.9, 4),
];

/// Plays all pools, with nodes that serve so many requests at once.
fn play_all(concurrency: usize, seeds: u64, requests: usize) -> Vec<Line> {
    let line = |(name, kinds, noisy, load, gateways): (&str, Kinds, bool, f64, usize)| {
        let name = format!("{name}, c = {concurrency}");
        Line::of(Pool::new(&name, kinds, noisy, (concurrency, load, gateways), (seeds, requests)))
    };
    POOLS.map(line).into()
}

/// Prints the table, and fails if it is not what the README promises.
#[allow(clippy::print_stdout, reason = "who runs the tests with --nocapture wants to see the table")]
fn judge(concurrency: usize, seeds: u64, requests: usize) {
    let lines = play_all(concurrency, seeds, requests);
    lines.iter().for_each(|line| println!("{line}"));
    let [_, half, ..] = &*lines else { panic!("there are six pools") };
    let tail = half.prequal.tail / half.others[2].tail;
    println!("half of them twice as slow, c = {concurrency}: p99 is {tail:.3} of power-of-two's");
    if concurrency == 1 {
        assert!(tail <= 0.55, "the p99 is {tail:.3} of power-of-two's");
    }
    for line in &lines {
        let median = line.beside_the_best(|figures| figures.median);
        let tail = line.beside_the_best(|figures| figures.tail);
        assert!(median <= 1.05 && tail <= 1.05, "{}: p50 x {median:.3}, p99 x {tail:.3}", line.name);
    }
}

#[test]
fn it_loses_nowhere_where_nodes_serve_one_request_at_a_time() {
    judge(1, 2, 100_000);
}

#[test]
fn it_loses_nowhere_where_nodes_serve_8_at_once() {
    judge(8, 1, 60_000);
}

#[test]
fn it_loses_nowhere_where_nodes_serve_32_at_once() {
    judge(32, 1, 60_000);
}

/// The table in the README: `cargo test -p prequal -- --ignored --nocapture --test-threads 1`.
#[test]
#[ignore = "it takes minutes; the tests above play the same pools for a shorter time"]
fn the_table_of_the_readme() {
    for concurrency in [1, 8, 32] {
        judge(concurrency, 4, 200_000);
    }
}
