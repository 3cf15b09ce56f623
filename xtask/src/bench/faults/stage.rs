//! One fault, played to several proxies at once: each with nodes and a load of its own.

use super::contender::Contender;
use super::fault::{Fault, pause};
use super::load::{Load, during};
use super::nodes::{Nodes, Service};
use super::ports::Ports;
use super::running::Running;
use super::seen::Seen;
use anyhow::Result;
use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How long a load runs before the fault begins, unmeasured: connections are made, averages learned.
const WARM_UP: Duration = Duration::from_secs(2);

/// What is to be played.
pub(super) struct Plan<'a> {
    pub(super) fault: Fault,
    /// Of all nodes, also of those that are not in the pool at first.
    pub(super) services: &'a [Service],
    /// How many nodes are in the pool at first.
    pub(super) serving: usize,
    /// Requests a second.
    pub(super) pace: f64,
    /// Whether they are more than the nodes can serve.
    pub(super) overload: bool,
}

/// What came of it.
pub(super) struct Ended {
    pub(super) seen: Seen,
    /// Requests that reached each node.
    pub(super) asked: Vec<u64>,
    /// Why the fault was not played to its end, if so.
    pub(super) trouble: Option<String>,
}

impl Ended {
    /// Nothing was seen, for this reason.
    fn without(plan: &Plan<'_>, error: &anyhow::Error) -> Ended {
        Ended {
            seen: Seen::default(),
            asked: vec![0; plan.services.len()],
            trouble: Some(format!("{error:#}")),
        }
    }

    /// The share of the requests that reached these nodes of those that reached any, in percent.
    pub(super) fn share(&self, nodes: RangeInclusive<usize>) -> f64 {
        let all: u64 = self.asked.iter().sum();
        100.0 * self.asked[nodes].iter().sum::<u64>() as f64 / all.max(1) as f64
    }
}

/// Where plans are played.
pub(super) struct Stages<'a> {
    pub(super) gateway: &'a Path,
    /// One proxy after the other instead of side by side.
    pub(super) alone: bool,
    pub(super) seconds: u32,
}

impl Stages<'_> {
    /// Plays the plan to these proxies. What does not start, or breaks, is told of in its outcome: the others go on.
    pub(super) fn run(&self, plan: &Plan<'_>, proxies: &[Contender]) -> Vec<(Contender, Ended)> {
        let together = if self.alone { 1 } else { proxies.len().max(1) };
        let mut all = Vec::new();
        for proxies in proxies.chunks(together) {
            let names: Vec<_> = proxies.iter().map(|proxy| proxy.title()).collect();
            eprintln!("{}: {}", plan.fault.title(), names.join("; "));
            // All are up before the first load begins: starting one takes CPU.
            let stages: Vec<_> = proxies.iter().map(|proxy| Stage::set(self.gateway, plan, *proxy)).collect();
            let duration = Duration::from_secs(self.seconds.into());
            let ends: Vec<Ended> = thread::scope(|scope| {
                let play = |stage: Result<Stage>| scope.spawn(move || stage?.play(plan, duration));
                let running: Vec<_> = stages.into_iter().map(play).collect();
                let ended = running.into_iter().map(|stage| stage.join().expect("a stage does not panic"));
                ended.map(|ended| ended.unwrap_or_else(|error| Ended::without(plan, &error))).collect()
            });
            all.extend(proxies.iter().copied().zip(ends));
        }
        all
    }
}

/// One proxy before its nodes.
struct Stage {
    // Dropped in this order: the proxy ends before its nodes do, and the folder last.
    proxy: Running,
    nodes: Nodes,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn set(gateway: &Path, plan: &Plan<'_>, proxy: Contender) -> Result<Stage> {
        // The same seed for each proxy: nodes differ in nothing but what they are asked.
        let mut ports = Ports::new();
        let nodes = Nodes::start(&mut ports, plan.services, 1)?;
        let folder = tempfile::Builder::new().prefix("bascule-faults-").tempdir()?;
        super::running::readable(folder.path())?;
        let serving = nodes.ports().into_iter().enumerate().take(plan.serving).collect();
        let proxy = proxy.start(folder.path(), gateway, &mut ports, serving, plan.overload)?;
        Ok(Stage { proxy, nodes, _folder: folder })
    }

    fn play(mut self, plan: &Plan<'_>, duration: Duration) -> Result<Ended> {
        let load = Load { port: self.proxy.port(), pace: plan.pace, seed: 7 };
        during(&load, || pause(WARM_UP))?;
        let before = self.nodes.asked();
        let (seen, played) = during(&load, || plan.fault.play(&self.nodes, &mut self.proxy, duration))?;
        let asked = self.nodes.asked().iter().zip(before).map(|(now, before)| now - before).collect();
        Ok(Ended { seen, asked, trouble: played.err().map(|error| format!("{error:#}")) })
    }
}
