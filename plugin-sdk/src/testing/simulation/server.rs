//! A node of a simulation: how long it takes, how much it does at once, and what goes wrong with it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::chance::Work;

/// A node of a simulation: `|node| node.mean(Duration::from_millis(10)).concurrency(8)`. It starts with a weight of 1,
/// takes 10 ms on average, exponentially distributed, and serves one request at a time.
#[derive(Clone, Debug)]
pub struct SimulatedNode {
    pub(super) mean: Duration,
    pub(super) concurrency: usize,
    pub(super) weight: f64,
    spread: Spread,
    faults: Vec<(Range<Duration>, Fault)>,
}

/// What goes wrong with a node for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It takes so many times as long for what it begins meanwhile.
    Slow(f64),
    /// It takes requests that come meanwhile, and never answers them.
    Hangs,
    /// It answers requests that come meanwhile with an error, at once.
    Fails,
}

#[derive(Clone, Copy, Debug)]
enum Spread {
    Exponential,
    Fixed,
    Noisy,
}

impl Default for SimulatedNode {
    fn default() -> Self {
        Self {
            mean: Duration::from_millis(10),
            concurrency: 1,
            weight: 1.0,
            spread: Spread::Exponential,
            faults: Vec::new(),
        }
    }
}

impl SimulatedNode {
    /// Serves a request in this time on average, once it has begun.
    pub fn mean(mut self, time: Duration) -> Self {
        self.mean = time;
        self
    }

    /// Serves so many requests at once, each as fast as if it were alone; others wait in the order in which they came.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    /// Takes so many times as long as its mean says.
    pub fn slower(mut self, times: f64) -> Self {
        self.mean = self.mean.mul_f64(times);
        self
    }

    /// Takes exactly the mean for each request.
    pub fn fixed(mut self) -> Self {
        self.spread = Spread::Fixed;
        self
    }

    /// Takes half of the mean for nine requests of ten, and eleven times that for the tenth, each exponentially distributed.
    pub fn noisy(mut self) -> Self {
        self.spread = Spread::Noisy;
        self
    }

    /// With this weight, as configuration writes it.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// With something wrong for a time, which counts from the end of the warm-up.
    pub fn fault(mut self, time: Range<Duration>, fault: Fault) -> Self {
        self.faults.push((time, fault));
        self
    }

    fn fault_at(&self, time: Option<Duration>) -> Option<Fault> {
        let time = time?;
        self.faults.iter().find(|(range, _)| range.contains(&time)).map(|(_, fault)| *fault)
    }
}

/// What a node does with a request that arrives, or with its next one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// It is done with this attempt so much later.
    Serves(usize, Duration),
    /// It answers with an error at once.
    Fails,
    /// Nothing yet, or never.
    Nothing,
}

/// A node that runs.
#[derive(Debug)]
pub(super) struct Server {
    node: SimulatedNode,
    busy: usize,
    queue: VecDeque<(usize, Work)>,
}

impl Server {
    pub(super) fn new(node: SimulatedNode) -> Self {
        Self { node, busy: 0, queue: VecDeque::new() }
    }

    /// An attempt arrives. `time` counts from the end of the warm-up; there is none before.
    pub(super) fn takes(&mut self, attempt: usize, work: Work, time: Option<Duration>) -> Does {
        match self.node.fault_at(time) {
            Some(Fault::Hangs) => Does::Nothing,
            Some(Fault::Fails) => Does::Fails,
            _ if self.busy == self.node.concurrency => {
                self.queue.push_back((attempt, work));
                Does::Nothing
            }
            _ => {
                self.busy += 1;
                self.begins(attempt, work, time)
            }
        }
    }

    /// It is done with an attempt, and goes on with the next one.
    pub(super) fn is_done(&mut self, time: Option<Duration>) -> Does {
        match self.queue.pop_front() {
            Some((attempt, work)) => self.begins(attempt, work, time),
            None => {
                self.busy -= 1;
                Does::Nothing
            }
        }
    }

    fn begins(&self, attempt: usize, work: Work, time: Option<Duration>) -> Does {
        let means = match self.node.spread {
            Spread::Exponential => work.amount,
            Spread::Fixed => 1.0,
            Spread::Noisy if work.kind < 0.1 => 5.5 * work.amount,
            Spread::Noisy => 0.5 * work.amount,
        };
        let times = match self.node.fault_at(time) {
            Some(Fault::Slow(times)) => times,
            _ => 1.0,
        };
        Does::Serves(attempt, self.node.mean.mul_f64(means * times))
    }
}
