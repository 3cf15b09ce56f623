//! Several gateways before one pool: what it costs that each sees only its own requests, and what telling each other would
//! gain. The table in docs/benchmarks.md, and what decision 39 rests on.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bascule_plugin::prelude::*;
use least_connections::LeastConnections;
use power_of_two::PowerOfTwo;

use super::{EQUAL, Figures, HALF, Kinds, MEAN, Pool, Prequal};

/// How many gateways.
const GATEWAYS: [usize; 4] = [1, 2, 4, 8];
/// After how long each gateway tells the others, where it does: as good as at once, and a store's round of all nodes.
const TOLD: [Duration; 3] = [Duration::from_millis(1), MEAN, Duration::from_millis(100)];

/// What the gateways know of each other's requests in flight, as of when they last told.
type Board = Rc<RefCell<Vec<Told>>>;

#[derive(Clone, Default)]
struct Told {
    at: Option<Duration>,
    in_flight: Vec<u32>,
}

/// Least connections on the counts of all gateways: its own exact, those of the others as they were told.
struct ClusterWide {
    board: Board,
    own: usize,
    period: Duration,
}

impl ClusterWide {
    /// Policies for gateways that tell each other after each period.
    fn each(period: Duration) -> impl FnMut() -> Self {
        let board = Board::default();
        move || {
            board.borrow_mut().push(Told::default());
            Self { own: board.borrow().len() - 1, board: Rc::clone(&board), period }
        }
    }

    fn tell(&self, nodes: &[Node]) {
        let told = &mut self.board.borrow_mut()[self.own];
        let now = clock::now();
        if told.at.is_none_or(|at| now >= at + self.period) {
            *told = Told { at: Some(now), in_flight: nodes.iter().map(Node::in_flight).collect() };
        }
    }

    /// What the other gateways said of the node at a place.
    fn others(&self, place: usize) -> u32 {
        let board = self.board.borrow();
        let others = board.iter().enumerate().filter(|(gateway, _)| *gateway != self.own);
        others.filter_map(|(_, told)| told.in_flight.get(place)).sum()
    }
}

impl Balancer for ClusterWide {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let nodes: Vec<Node> = nodes.all().iter().collect();
        self.tell(&nodes);
        // Ties go to a random one, or all gateways would meet at the first.
        let key = |place: &usize| (nodes[*place].in_flight() + self.others(*place), random::bits());
        let best = (0..nodes.len()).min_by_key(key);
        best.map(|place| nodes[place]).into()
    }
}

fn pool(kinds: Kinds, concurrency: usize, gateways: usize, seeds: u64, requests: usize) -> Pool {
    let what = if kinds == EQUAL { "equal nodes" } else { "half of them twice as slow" };
    let name = format!("{what}, c = {concurrency}");
    Pool::new(&name, kinds, false, (concurrency, 0.9, gateways), (seeds, requests))
}

/// By policy: the shipped ones, and those that are told.
struct Line {
    name: String,
    gateways: usize,
    shipped: [Figures; 3],
    told: Vec<Figures>,
}

impl Line {
    fn of(pool: &Pool, gateways: usize) -> Self {
        let least =
            || LeastConnections::configure(least_connections::Config::default()).expect("its defaults");
        let shipped = [pool.play(|| PowerOfTwo), pool.play(least), pool.play(Prequal::default)];
        let told = TOLD.map(|period| pool.play_with(|| ClusterWide::each(period)));
        Self { name: pool.name.clone(), gateways, shipped, told: told.into() }
    }
}

#[allow(clippy::print_stdout, reason = "who runs the tests with --nocapture wants to see the table")]
fn print(line: &Line) {
    let figures = line.shipped.iter().chain(&line.told);
    let cells: Vec<_> = figures.map(|Figures { median, tail }| format!("{median:.2} / {tail:.1}")).collect();
    println!("| {} | {} | {} |", line.name, line.gateways, cells.join(" | "));
}

/// The table in docs/benchmarks.md: `cargo test -p prequal gateways -- --ignored --nocapture`.
#[test]
#[ignore = "it takes minutes; the test below plays a part of it"]
fn the_table_of_the_benchmarks() {
    for (kinds, concurrency) in [(EQUAL, 1), (HALF, 1), (EQUAL, 8), (HALF, 8), (HALF, 32)] {
        for gateways in GATEWAYS {
            print(&Line::of(&pool(kinds, concurrency, gateways, 4, 200_000), gateways));
        }
    }
}

/// What decision 39 says, where it matters most: eight gateways, and nodes that serve one request at a time.
#[test]
fn counts_that_are_told_late_are_worse_than_none() {
    let line = Line::of(&pool(HALF, 1, 8, 1, 60_000), 8);
    print(&line);
    let ([two, least, prequal], [.., at_10_ms, at_100_ms]) = (line.shipped, &*line.told) else {
        panic!("three periods")
    };
    assert!(at_100_ms.tail > 1.3 * least.tail, "told each 100 ms is worse than each gateway's own counts");
    assert!(at_10_ms.tail > 1.1 * prequal.tail, "prequal is better than counts that are told each 10 ms");
    assert!(prequal.tail < 0.75 * two.tail, "and than two random choices");
    assert!(least.median < 0.9 * two.median, "whose median is the worst of the shipped policies'");
}
