//! What goes wrong, how it is played, and how much of it clients may notice.

use super::contender::{Contender, Maker};
use super::nodes::{Manner, Nodes};
use super::running::Running;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::time::{Duration, Instant};

/// The number of the node that fails.
pub(super) const BAD: usize = 5;
/// Nodes of a pool.
const NODES: usize = 11;
/// Nodes of the pool that changes all the time, and those that wait to be added to it.
const MANY: usize = 1_000;
const SPARE: usize = 40;
/// How long a proxy may take until no request goes to a node any more.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a node takes to start again.
const RESTART: Duration = Duration::from_millis(300);
/// How often the program is replaced.
const REPLACEMENTS: u32 = 10;

/// A fault, or an operator's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// One node answers in 2 s
    Slow,
    /// One node accepts and never answers
    Silent,
    /// One node is killed: connections are reset, new ones refused
    Killed,
    /// The host of one node vanishes: packets are dropped
    Vanished,
    /// One node answers 500 at once
    Failing,
    /// All nodes are restarted one after the other, each drained before
    Rolling,
    /// Every 100 ms a node is added and another removed, out of 1,000
    Churn,
    /// The configuration changes every second
    Reload,
    /// The gateway's program is replaced ten times
    Replace,
    /// Half of the nodes are twice as slow, at 70, 90 and 110 % of what they can serve
    HalfSlow,
}

impl Fault {
    /// Its name in the tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Fault::Slow => "one node answers in 2 s",
            Fault::Silent => "one node accepts and never answers",
            Fault::Killed => "one node is killed (RST)",
            Fault::Vanished => "the host of one node vanishes",
            Fault::Failing => "one node answers 500 at once",
            Fault::Rolling => "rolling restart with drain",
            Fault::Churn => "of 1,000 nodes, one added and one removed every 100 ms",
            Fault::Reload => "configuration reload every second",
            Fault::Replace => "program replaced 10 times",
            Fault::HalfSlow => "half of the nodes twice as slow",
        }
    }

    /// At least so many percent of the requests are to be served within a second.
    pub(super) fn aim(self) -> f64 {
        match self {
            Fault::Slow => 99.95,
            Fault::Silent => 99.99,
            Fault::Vanished => 99.9,
            _ => 100.0,
        }
    }

    /// At most so many percent of the requests that reach nodes may reach the bad one.
    pub(super) fn most_to_the_bad(self) -> Option<f64> {
        (self == Fault::Failing).then_some(0.1)
    }

    /// Whether it is one node's fault.
    pub(super) fn has_a_bad_node(self) -> bool {
        matches!(self, Fault::Slow | Fault::Silent | Fault::Killed | Fault::Vanished | Fault::Failing)
    }

    /// How many nodes it takes: those that serve at first, and all.
    pub(super) fn nodes(self) -> (usize, usize) {
        if self == Fault::Churn { (MANY, MANY + SPARE) } else { (NODES, NODES) }
    }

    /// Whether the fault is played to this contender. What no policy decides is shown with one of them.
    pub(super) fn concerns(self, contender: Contender) -> bool {
        use Contender::{LeastConnections, NginxRandomTwo, PowerOfTwo, RoundRobin};
        match self {
            // The policies against each other; the others' have no such queue.
            Fault::HalfSlow => contender.maker() == Maker::Bascule,
            _ if self.has_a_bad_node() => contender != RoundRobin,
            // Neither nginx nor haproxy takes a thousand servers from a file ten times a second.
            Fault::Churn => contender == PowerOfTwo,
            _ => {
                matches!(contender, LeastConnections | NginxRandomTwo) || contender.maker() == Maker::Haproxy
            }
        }
    }

    /// Plays it for so long, or until it is through. The load runs meanwhile.
    ///
    /// # Errors
    /// When a proxy does not take an order.
    pub(super) fn play(self, nodes: &Nodes, proxy: &mut Running, duration: Duration) -> Result<()> {
        let behaves = |manner| {
            nodes.set(BAD, manner);
            pause(duration);
            Ok(())
        };
        match self {
            Fault::Slow => behaves(Manner::Slow(Duration::from_secs(2))),
            Fault::Silent => behaves(Manner::Silent),
            Fault::Killed => behaves(Manner::Killed),
            Fault::Vanished => behaves(Manner::Vanished),
            Fault::Failing => behaves(Manner::Failing),
            Fault::Rolling => rolling(nodes, proxy, duration),
            Fault::Churn => churn(nodes, proxy, duration),
            Fault::Reload => evenly(duration.as_secs() as u32, duration, |_| proxy.reload()),
            Fault::Replace => evenly(REPLACEMENTS, duration, |number| {
                proxy.replace().with_context(|| format!("replacement {}", number + 1))
            }),
            Fault::HalfSlow => {
                pause(duration);
                Ok(())
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a fault lasts, and an operator waits")]
pub(super) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Does something so many times within so long, each at its time or behind the one before.
fn evenly(times: u32, duration: Duration, mut once: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    for number in 0..times {
        once(number)?;
        pause((start + duration * (number + 1) / times).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Each node in turn: no new requests, the end of those in flight, a restart, requests again.
fn rolling(nodes: &Nodes, proxy: &mut Running, duration: Duration) -> Result<()> {
    evenly(NODES as u32, duration, |number| {
        let number = number as usize;
        proxy.drain(number)?;
        pause(SETTLE);
        let empty = || (nodes.working(number) == 0).then_some(());
        crate::tools::poll(Duration::from_secs(10), empty).context("a drained node does not get empty")?;
        nodes.set(number, Manner::Stopped);
        pause(RESTART);
        nodes.set(number, Manner::Well);
        pause(RESTART); // it listens again
        proxy.undrain(number)
    })
}

/// Every 100 ms the oldest node of the pool goes and one that waited comes. Who has gone stops after two seconds, and is
/// back before its turn comes again.
fn churn(nodes: &Nodes, proxy: &mut Running, duration: Duration) -> Result<()> {
    let ports = nodes.ports();
    let all = ports.len();
    evenly((duration.as_millis() / 100) as u32, duration, |step| {
        let step = step as usize;
        let first = step + 1;
        proxy.set_nodes((first..first + MANY).map(|number| (number % all, ports[number % all])).collect());
        proxy.reload()?;
        if let Some(gone) = step.checked_sub(SPARE / 2) {
            nodes.set(gone % all, Manner::Stopped);
        }
        if let Some(back) = step.checked_sub(SPARE - 5) {
            nodes.set(back % all, Manner::Well);
        }
        Ok(())
    })
}
