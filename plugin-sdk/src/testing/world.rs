//! The world that a test sets up. While a plugin is called, its test's world is the thread's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::host::nodes::{Estimate, Load};
use super::message::{TestRequest, TestResponse};
use super::node::TestNode;
use super::stores::Expiring;
use crate::random;

thread_local! { static WORLD: RefCell<World> = RefCell::new(World::default()) }

/// Reads or changes the world of the call that is running.
pub(crate) fn with<R>(act: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(act)
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) nodes: Vec<TestNode>,
    /// Places in `nodes` of this pick's candidates and, behind them, of what only `find` reaches.
    pub(crate) order: Vec<usize>,
    pub(crate) candidates: usize,
    pub(crate) kept: Option<Vec<String>>,
    /// Where the gateway stands.
    pub(crate) zone: Option<String>,
    /// How often a plugin asked for every load at once.
    pub(crate) listed: u32,
    pub(crate) request: TestRequest,
    pub(crate) response: TestResponse,
    pub(crate) reply: TestResponse,
    pub(crate) outcome: Attempted,
    pub(crate) sessions: Expiring<String>,
    pub(crate) store_down: bool,
    /// The candidate that this call was told its client is bound to.
    pub(crate) bound: Option<u32>,
    /// Whether the plugin does without on-request, and without on-response where the client is bound.
    pub(crate) spares_requests: bool,
    pub(crate) spares_bound: bool,
    pub(crate) shared: Expiring<Vec<u8>>,
    pub(crate) allowances: BTreeMap<String, Duration>,
    pub(crate) signals: Expiring<f64>,
    pub(crate) log: Vec<String>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) gauges: BTreeMap<String, f64>,
    pub(crate) histograms: BTreeMap<String, Vec<f64>>,
    pub(crate) now: Duration,
    pub(crate) random: u64,
}

/// What became of an attempt, as `on-complete` reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempted {
    pub(crate) node: String,
    pub(crate) status: Option<u16>,
    pub(crate) latency: Duration,
    pub(crate) error: Option<String>,
}

impl World {
    /// Makes it the thread's world for one call.
    pub(crate) fn enter<R>(&mut self, call: impl FnOnce() -> R) -> R {
        with(|world| std::mem::swap(world, self));
        let result = call();
        with(|world| std::mem::swap(world, self));
        result
    }

    /// Lists the candidates of a request.
    pub(crate) fn gather(&mut self, request: &TestRequest) {
        let places = 0..self.nodes.len();
        let open = |place: &usize| !request.tried.contains(&self.nodes[*place].id);
        let (leaving, staying): (Vec<_>, Vec<_>) =
            places.filter(open).partition(|place| self.nodes[*place].draining);
        self.candidates = staying.len();
        self.order = [staying, leaving].concat();
        self.kept = None;
    }

    pub(crate) fn node(&self, index: u32) -> Option<&TestNode> {
        self.order.get(index as usize).map(|place| &self.nodes[*place])
    }

    pub(crate) fn load(&self, index: u32) -> Option<Load> {
        Some(self.node(index)?.load(index, self.now))
    }

    pub(crate) fn estimate(&self, index: u32) -> Option<Estimate> {
        Some(self.node(index)?.estimate(index, self.now))
    }

    pub(crate) fn loads(&self) -> Vec<Load> {
        (0..self.candidates as u32).filter_map(|index| self.load(index)).collect()
    }

    /// Up to `most` different candidates, drawn evenly at random (Floyd's), as the gateway draws.
    pub(crate) fn some(&mut self, most: u32) -> Vec<u32> {
        let count = self.candidates as u32;
        if most >= count {
            return (0..count).collect();
        }
        let mut drawn = Vec::with_capacity(most as usize);
        for last in count - most..count {
            let next = self.below(u64::from(last) + 1) as u32;
            drawn.push(if drawn.contains(&next) { last } else { next });
        }
        drawn
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        random::next(&mut self.random) % limit.max(1)
    }

    /// Draws a candidate by weight, other than `except`.
    pub(crate) fn draw(&mut self, except: Option<u32>) -> Option<Load> {
        let weight = |world: &Self, index| match world.node(index) {
            Some(node) if Some(index) != except => u64::from(node.weight),
            _ => 0,
        };
        let candidates = 0..self.candidates as u32;
        let total = candidates.clone().map(|index| weight(self, index)).sum();
        let mut left = self.below(total);
        for index in candidates {
            let own = weight(self, index);
            if left < own {
                return self.load(index);
            }
            left -= own;
        }
        None
    }

    /// The candidates by how well a key suits them: weighted rendezvous hashing, stable as a ring is.
    pub(crate) fn by_hash(&self, key: &[u8]) -> Vec<Load> {
        let mut loads = self.loads();
        let score = |load: &Load| {
            let mut hasher = DefaultHasher::new();
            self.node(load.node).map(|node| &node.id).hash(&mut hasher);
            key.hash(&mut hasher);
            let share = (hasher.finish() as f64 + 1.0) / (u64::MAX as f64 + 2.0);
            -f64::from(load.weight) / share.ln()
        };
        loads.sort_by(|a, b| score(b).total_cmp(&score(a)));
        loads
    }
}
