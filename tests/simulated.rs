//! The SDK's simulator shows a policy what a gateway would: both are fed the same attempts, and say the same. Where the gateway
//! compares nodes by a rule that the SDK's double has as well, both choose the same.

use bascule::node::candidates::{Candidate, Candidates};
use bascule::node::live::{AttemptResult, InFlight};
use bascule::node::selection::{Scales, Selection};
use bascule::node::{Node, NodeSpec};
use bascule_plugin::prelude::*;
use bascule_plugin::testing::simulation::{Flight, View};
use bascule_plugin::testing::{Picked, PolicyTest, request};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is watched of a node: requests in flight, latency, service time, error rate, age of the oldest.
type Figures = [u32; 5];

/// A node that nobody knows.
fn new_node(id: &str) -> Arc<Node> {
    Node::new(NodeSpec {
        id: id.into(),
        address: ([127, 0, 0, 1], 80).into(),
        weight: NonZeroU32::MIN,
        zone: None,
        tier: 0,
        drain: false,
        labels: BTreeMap::new(),
    })
}

struct Both {
    node: Arc<Node>,
    view: View,
    born: Instant,
    now: Duration,
    in_flight: Vec<(InFlight, Flight)>,
}

impl Both {
    fn new() -> Both {
        let born = Instant::now();
        // Half a millisecond: the node is born a little later than this, and both count whole milliseconds.
        let now = Duration::from_micros(500);
        Both { node: new_node("a"), view: View::default(), born, now, in_flight: Vec::new() }
    }

    fn instant(&self) -> Instant {
        self.born + self.now
    }

    fn begin(&mut self) {
        let (real, simulated) = (self.node.begin(self.instant()), self.view.begin(self.now));
        self.in_flight.push((real, simulated));
    }

    fn end(&mut self, place: usize, failed: bool) {
        let (mut real, simulated) = self.in_flight.swap_remove(place);
        real.observe(self.instant(), if failed { AttemptResult::Failed } else { AttemptResult::Ok });
        self.view.end(simulated, self.now, failed);
    }

    fn gateways(&self) -> Figures {
        let (live, now) = (&self.node.live, self.instant());
        [live.in_flight(), live.latency(now), live.service(now), live.error_rate(now), live.oldest(now)]
    }

    fn simulators(&self) -> Figures {
        let (view, now) = (&self.view, self.now);
        [view.in_flight(), view.latency(now), view.service(now), view.error_rate(now), view.oldest(now)]
    }
}

#[test]
fn the_simulator_sees_what_the_gateway_sees() {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut both = Both::new();
    let mut seen = [0; 5];
    for step in 0..20_000 {
        // Busy times, calm ones, and now and then a long silence.
        let pause = [0, 1, 3, 40, 5000][if chance.u32(..200) == 0 { 4 } else { chance.usize(..4) }];
        both.now += Duration::from_millis(pause);
        if both.in_flight.len() < chance.usize(..40) {
            both.begin();
        } else if !both.in_flight.is_empty() {
            let failed = chance.u32(..10) == 0;
            both.end(chance.usize(..both.in_flight.len()), failed);
        }
        assert_eq!(both.gateways(), both.simulators(), "step {step}");
        seen = std::array::from_fn(|place| seen[place].max(both.gateways()[place]));
    }
    assert!(seen.iter().all(|most| *most > 0), "each figure was something once: {seen:?}");
}

/// Asks the host for the soonest, as prequal does.
struct Soonest {
    quantile: f64,
}

impl Balancer for Soonest {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        nodes.soonest(16, self.quantile, 4.0).into()
    }
}

/// A node that some attempts went to until `now`, of which some are in flight.
fn used_node(id: u32, chance: &mut fastrand::Rng, now: Instant) -> (Candidate, Vec<InFlight>) {
    let node = new_node(&id.to_string());
    let mut in_flight = Vec::new();
    let usual = 1 + chance.u64(..30);
    for _ in 0..chance.u32(..8) {
        let begun = now - Duration::from_millis(chance.u64(..120));
        let mut attempt = node.begin(begun);
        if chance.u32(..3) == 0 {
            in_flight.push(attempt);
        } else {
            let failed = chance.u32(..9) == 0;
            let ended = begun + Duration::from_millis(usual);
            attempt.observe(ended, if failed { AttemptResult::Failed } else { AttemptResult::Ok });
        }
    }
    (Candidate { node, weight: [500, 1000, 3000][chance.usize(..3)] }, in_flight)
}

/// A test of the SDK's with the same nodes.
fn doubled(candidates: &[Candidate], quantile: f64, now: Instant) -> PolicyTest<Soonest> {
    let test = PolicyTest::new(Soonest { quantile });
    candidates.iter().fold(test, |test, Candidate { node, weight }| {
        let live = &node.live;
        test.node(&node.spec.id, |double| {
            let times = [live.service(now), live.oldest(now)].map(u64::from).map(Duration::from_micros);
            let double = double.service(times[0]).oldest(times[1]).weight(f64::from(*weight) / 1000.0);
            double.in_flight(live.in_flight()).error_rate(f64::from(live.error_rate(now)) / 1000.0)
        })
    })
}

#[test]
fn the_soonest_is_the_same_in_the_gateway_and_in_its_double() {
    const PICKS: usize = 300;
    let mut chance = fastrand::Rng::with_seed(2);
    fastrand::seed(3);
    let mut shared = 0;
    for pool in 0..200 {
        // The nodes were there all the time.
        let now = Instant::now() + Duration::from_secs(1);
        let quantile = [0.0, 0.0, 0.5, 0.84][chance.usize(..4)];
        let count = 2 + chance.u32(..10);
        let (candidates, _in_flight): (Vec<_>, Vec<_>) =
            (0..count).map(|id| used_node(id, &mut chance, now)).unzip();
        let mut double = doubled(&candidates, quantile, now);
        let mut selection = Selection::default();
        selection.begin(Arc::new(Arc::new(Candidates::new(candidates, Vec::new()))));
        let mut tallies = [BTreeMap::<String, usize>::new(), BTreeMap::new()];
        for _ in 0..PICKS {
            let index =
                selection.soonest(16, quantile, 4.0, now, &mut Scales::default()).expect("there is one");
            let Picked::Node(doubles) = double.pick(&request("GET", "/")) else { panic!("it abstained") };
            *tallies[0].entry(index.to_string()).or_default() += 1;
            *tallies[1].entry(doubles.to_owned()).or_default() += 1;
        }
        shared += usize::from(tallies[0].len() > 1);
        for id in (0..count).map(|id| id.to_string()) {
            let [ours, doubles] = [0, 1].map(|side: usize| tallies[side].get(&id).copied().unwrap_or(0));
            // Delays are blurred at random: shares are alike, and what is never chosen is never chosen by either.
            assert!(
                ours.abs_diff(doubles) <= PICKS / 6,
                "pool {pool}, node {id}: {ours} and {doubles} of {PICKS}"
            );
        }
    }
    assert!(shared > 20, "{shared} pools had more than one that may be the soonest");
}
