//! The SDK's simulator shows a policy what a gateway would: both are fed the same attempts, and say the same.

use bascule::node::live::{AttemptResult, InFlight};
use bascule::node::{Node, NodeSpec};
use bascule_plugin::testing::simulation::{Flight, View};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// What is watched of a node: requests in flight, latency, service time, error rate, age of the oldest.
type Figures = [u32; 5];

struct Both {
    node: std::sync::Arc<Node>,
    view: View,
    born: Instant,
    now: Duration,
    in_flight: Vec<(InFlight, Flight)>,
}

impl Both {
    fn new() -> Both {
        let born = Instant::now();
        let spec = NodeSpec {
            id: "a".into(),
            address: ([127, 0, 0, 1], 80).into(),
            weight: NonZeroU32::MIN,
            zone: None,
            tier: 0,
            drain: false,
            labels: BTreeMap::new(),
        };
        // Half a millisecond: the node is born a little later than this, and both count whole milliseconds.
        let now = Duration::from_micros(500);
        Both { node: Node::new(spec), view: View::default(), born, now, in_flight: Vec::new() }
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
