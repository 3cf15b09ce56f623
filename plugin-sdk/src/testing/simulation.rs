//! Judge a policy before it is live: a pool in virtual time.
//!
//! A test of one pick shows that a policy follows its rule. Whether the rule is a good one shows only where thousands of
//! requests meet queues: who waits how long, who gets the load, what a node that hangs does to all. A [`Simulation`]
//! plays that natively, some hundred thousand requests a second, and exactly the same for a seed:
//!
//! ```
//! use std::time::Duration;
//!
//! use bascule_plugin::prelude::*;
//! use bascule_plugin::testing::Simulation;
//!
//! struct TwoChoices;
//!
//! impl Balancer for TwoChoices {
//!     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
//!         nodes.two_random().min_by(|node| node.load()).into()
//!     }
//! }
//!
//! struct AtRandom;
//!
//! impl Balancer for AtRandom {
//!     fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
//!         Choice::Node(random::below(nodes.count()))
//!     }
//! }
//!
//! let pool = Simulation::new(1)
//!     .nodes(10, |node| node.mean(Duration::from_millis(10)))
//!     .load(0.8)
//!     .requests(20_000);
//! let (two, one) = (pool.run(|| TwoChoices), pool.run(|| AtRandom));
//! assert!(two.percentile(0.99) < one.percentile(0.99) / 2);
//! ```
//!
//! # What is played
//!
//! Requests arrive as a Poisson process, at [`load`](Simulation::load) times what the nodes can serve or at a
//! [`rate`](Simulation::rate). Each goes to one of the [`gateways`](Simulation::gateways) at random, which do not know of
//! each other: each has a policy of its own and its own counts and averages. A node serves
//! [`concurrency`](SimulatedNode::concurrency) requests at once, and lets others wait in a queue without end. It may
//! have a [`fault`](SimulatedNode::fault) for a time. An attempt that fails, or takes longer than the
//! [`timeout`](Simulation::timeout), goes to another node as long as there are [`attempts`](Simulation::attempts) left.
//!
//! A policy is asked through the same `Nodes` and `Request` as in a gateway, and sees what a gateway would see: requests
//! in flight, the peak-sensitive latency, service time and error rate with their time constants, ages to the
//! millisecond. The formulas are the gateway's ([`View`]). The averages take some seconds of virtual time to settle, so
//! the first requests are a warm-up that counts nowhere. When requests arrive and how much there is to do for each depends on
//! the seed alone, so that all policies meet the same requests.
//!
//! # What is not
//!
//! The network, the gateway's own CPU, connections, health checks and ejection: nodes are picked by the policy alone, so that
//! what comes out is the policy's doing. Only picks are played: a policy that also learns as an observer, or
//! narrows the candidates for another with `keep`, learns and narrows nothing here.
//!
//! # Before you believe it
//!
//! A pool at 90 % load is a slow, noisy thing: the 99th percentile of 100,000 requests still differs by some percent from
//! seed to seed. Compare policies over several seeds, and assert on fixed seeds, which makes the test exact.

mod chance;
mod report;
mod run;
mod server;
mod view;

use std::time::Duration;

pub use report::Report;
pub use server::{Fault, SimulatedNode};
pub use view::{Flight, View};

use crate::Balancer;

/// A pool, its load, and the gateways before it. See [the module](self).
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    nodes: Vec<SimulatedNode>,
    arrivals: Arrivals,
    gateways: usize,
    requests: usize,
    warm_up: usize,
    timeout: Option<Duration>,
    attempts: usize,
}

#[derive(Clone, Copy, Debug)]
enum Arrivals {
    /// Of what the nodes can serve.
    Load(f64),
    /// A second.
    Rate(f64),
}

impl Simulation {
    /// A simulation with this chance, without nodes: 100,000 requests after a warm-up of 20,000, at a load of 80 %, through one
    /// gateway that tries each request once and waits for ever.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: Vec::new(),
            arrivals: Arrivals::Load(0.8),
            gateways: 1,
            requests: 100_000,
            warm_up: 20_000,
            timeout: None,
            attempts: 1,
        }
    }

    /// Adds so many nodes of a kind: `.nodes(10, |node| node.concurrency(8))`.
    pub fn nodes(mut self, count: usize, describe: impl Fn(SimulatedNode) -> SimulatedNode) -> Self {
        self.nodes.extend((0..count).map(|_| describe(SimulatedNode::default())));
        self
    }

    /// At this share of what the nodes can serve without their faults: 0.9 is 90 %.
    pub fn load(mut self, share: f64) -> Self {
        self.arrivals = Arrivals::Load(share);
        self
    }

    /// At so many requests a second.
    pub fn rate(mut self, requests: f64) -> Self {
        self.arrivals = Arrivals::Rate(requests);
        self
    }

    /// Through so many gateways.
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count.max(1);
        self
    }

    /// With so many requests that count.
    pub fn requests(mut self, count: usize) -> Self {
        self.requests = count;
        self
    }

    /// With so many requests before those that count.
    pub fn warm_up(mut self, requests: usize) -> Self {
        self.warm_up = requests;
        self
    }

    /// With gateways that give an attempt up after this time.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// With so many attempts at most for a request, each on another node.
    pub fn attempts(mut self, most: usize) -> Self {
        self.attempts = most.max(1);
        self
    }

    /// Plays it with a policy, of which each gateway gets one.
    pub fn run<B: Balancer + 'static>(&self, mut policy: impl FnMut() -> B) -> Report {
        run::Run::new(self, &mut || Box::new(policy())).play()
    }

    /// Requests a second.
    fn arrivals(&self) -> f64 {
        match self.arrivals {
            Arrivals::Rate(rate) => rate,
            Arrivals::Load(share) => {
                let rate = |node: &SimulatedNode| node.concurrency as f64 / node.mean.as_secs_f64();
                share * self.nodes.iter().map(rate).sum::<f64>()
            }
        }
    }
}

/// The id that a policy sees of the node at a place.
fn node_id(place: usize) -> String {
    format!("node-{}", place + 1)
}
