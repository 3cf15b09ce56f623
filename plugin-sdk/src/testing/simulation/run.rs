//! A simulation that runs: events in the order of virtual time, each handled at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::chance::{Chance, Work};
use super::report::Report;
use super::server::{Does, Server};
use super::view::{Flight, View};
use super::{Simulation, node_id};
use crate::testing::message::{TestRequest, request};
use crate::testing::node::TestNode;
use crate::testing::world::World;
use crate::{Balancer, Choice, Nodes, Request as CurrentRequest};

/// A simulation at a moment.
pub(super) struct Run<'a> {
    plan: &'a Simulation,
    now: Duration,
    /// When the warm-up ended, once it has.
    warm: Option<Duration>,
    chance: Chance,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// Counts the events, so that those of one moment keep their order.
    order: u64,
    servers: Vec<Server>,
    gateways: Vec<Gateway>,
    requests: Vec<Request>,
    attempts: Vec<Attempt>,
    report: Report,
}

/// By places in [`Run::attempts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The node is done with it.
    Done(usize),
    /// The node answered it with an error.
    Failed(usize),
    /// The gateway gives it up.
    Timeout(usize),
}

struct Request {
    arrived: Duration,
    gateway: usize,
    /// Whether it came after the warm-up.
    counts: bool,
    work: Work,
    tried: Vec<usize>,
}

struct Attempt {
    request: usize,
    node: usize,
    /// While it is in flight.
    flight: Option<Flight>,
}

/// One gateway: its policy, and what it alone knows.
struct Gateway {
    policy: Box<dyn Balancer>,
    world: World,
    /// The request that its policy is asked about, if it is the first attempt.
    first: TestRequest,
    turn: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &'a Simulation, policy: &mut dyn FnMut() -> Box<dyn Balancer>) -> Self {
        let mut chance = Chance::new(plan.seed);
        let gateways = (0..plan.gateways).map(|_| Gateway::new(plan, policy(), chance.bits()));
        Self {
            plan,
            now: Duration::ZERO,
            warm: None,
            gateways: gateways.collect(),
            chance,
            events: BinaryHeap::new(),
            order: 0,
            servers: plan.nodes.iter().cloned().map(Server::new).collect(),
            requests: Vec::new(),
            attempts: Vec::new(),
            report: Report::new(plan.nodes.len()),
        }
    }

    /// Plays it to its end.
    pub(super) fn play(mut self) -> Report {
        let between = 1.0 / self.plan.arrivals();
        for number in 0..self.plan.warm_up + self.plan.requests {
            let arrival = self.now_after(between);
            self.handle_until(arrival);
            if number == self.plan.warm_up {
                self.warm = Some(arrival);
            }
            self.arrive();
        }
        self.handle_until(Duration::MAX);
        self.report.sorted()
    }

    fn now_after(&mut self, mean: f64) -> Duration {
        self.now + Duration::from_secs_f64(mean * self.chance.exponential())
    }

    /// Handles all that happens up to a moment, and goes there.
    fn handle_until(&mut self, time: Duration) {
        while let Some(Reverse((due, _, event))) = self.events.peek().copied() {
            if due > time {
                break;
            }
            self.events.pop();
            self.now = due;
            match event {
                Event::Done(attempt) => {
                    let (node, time) = (self.attempts[attempt].node, self.time());
                    self.end(attempt, false);
                    let does = self.servers[node].is_done(time);
                    self.expect(does);
                }
                Event::Failed(attempt) | Event::Timeout(attempt) => self.end(attempt, true),
            }
        }
        self.now = time;
    }

    /// The time since the warm-up.
    fn time(&self) -> Option<Duration> {
        self.warm.map(|warm| self.now - warm)
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((self.now + after, self.order, event)));
    }

    fn expect(&mut self, does: Does) {
        if let Does::Serves(attempt, after) = does {
            self.at(after, Event::Done(attempt));
        }
    }

    fn arrive(&mut self) {
        let gateway = match self.plan.gateways {
            1 => 0,
            many => (self.chance.bits() % many as u64) as usize,
        };
        let counts = self.warm.is_some();
        if counts {
            self.report.arrived();
        }
        let work = self.chance.work();
        self.requests.push(Request { arrived: self.now, gateway, counts, work, tried: Vec::new() });
        self.attempt(self.requests.len() - 1);
    }

    /// Has a gateway pick a node for a request, and sends it there. Without a node the request has failed.
    fn attempt(&mut self, request: usize) {
        let Request { gateway, counts, work, ref tried, .. } = self.requests[request];
        let Some(node) = self.gateways[gateway].pick(self.now, tried) else { return };
        self.requests[request].tried.push(node);
        if counts {
            self.report.tried(node);
        }
        let flight = self.gateways[gateway].view(node).begin(self.now);
        let attempt = self.attempts.len();
        self.attempts.push(Attempt { request, node, flight: Some(flight) });
        if let Some(timeout) = self.plan.timeout {
            self.at(timeout, Event::Timeout(attempt));
        }
        let time = self.time();
        match self.servers[node].takes(attempt, work, time) {
            // Not within the same moment: a gateway that fails a request at once would never see it in flight.
            Does::Fails => self.at(Duration::from_micros(100), Event::Failed(attempt)),
            does => self.expect(does),
        }
    }

    /// An attempt ends, unless the gateway has given it up before.
    fn end(&mut self, attempt: usize, failed: bool) {
        let Attempt { request, node, flight } = &mut self.attempts[attempt];
        let (request, node) = (*request, *node);
        let Some(flight) = flight.take() else { return };
        let Request { arrived, gateway, counts, tried, .. } = &self.requests[request];
        let (latency, tries) = (self.now - *arrived, tried.len());
        self.gateways[*gateway].view(node).end(flight, self.now, failed);
        if !failed && *counts {
            self.report.served(latency);
        } else if failed && tries < self.plan.attempts {
            self.attempt(request);
        }
    }
}

impl Gateway {
    fn new(plan: &Simulation, policy: Box<dyn Balancer>, seed: u64) -> Self {
        let nodes = plan.nodes.iter().enumerate().map(|(place, node)| {
            let known = TestNode::new(&node_id(place)).weight(node.weight);
            TestNode { view: Some(View::default()), ..known }
        });
        let first = request("GET", "/");
        let world =
            World { nodes: nodes.collect(), random: seed, request: first.clone(), ..World::default() };
        Self { policy, world, first, turn: seed as usize % plan.nodes.len().max(1) }
    }

    fn view(&mut self, node: usize) -> &mut View {
        self.world.nodes[node].view.get_or_insert_default()
    }

    /// The place of the node that its policy picks; without an opinion, the next in turn, as in the gateway.
    fn pick(&mut self, now: Duration, tried: &[usize]) -> Option<usize> {
        self.world.now = now;
        let Self { policy, world, first, .. } = self;
        if tried.is_empty() {
            world.gather(first);
        } else {
            let again = tried.iter().fold(first.clone(), |request, place| request.tried(&node_id(*place)));
            world.gather(&again);
            world.request = again;
        }
        let choice = world.enter(|| policy.pick(&CurrentRequest::CURRENT, &Nodes::CURRENT));
        match choice {
            Choice::Reject(_) => None,
            Choice::Node(index) if (index as usize) < world.order.len() => Some(world.order[index as usize]),
            Choice::Node(_) | Choice::Abstain if world.candidates == 0 => None,
            Choice::Node(_) | Choice::Abstain => {
                self.turn += 1;
                Some(world.order[self.turn % world.candidates])
            }
        }
    }
}
