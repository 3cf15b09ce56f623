//! Pools in virtual time: what nodes do, and what becomes of them.
#![allow(clippy::unwrap_used)]

mod cost;
mod draining;
mod ejecting;
mod property;

use std::env::VarError;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::PoolHealth;
use super::{LOOK, NodeHealth};
use crate::control::config::{self, Config, Outside};
use crate::node::candidates::Candidates;
use crate::node::live::{AttemptResult, Bell, InFlight};
use crate::node::{Node, NodeSpec};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// A configuration that exists only here.
struct Text(String);

impl Outside for Text {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn environment(&self, _: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }
}

/// A pool "p" with these keys.
fn configured(keys: &str) -> Config {
    let text = format!("[listener.a]\naddress = \"127.0.0.1:0\"\n[pool.p]\n{keys}\n");
    config::load_from(Path::new("bascule.toml"), &Text(text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `nodes = [...]` with so many nodes n0, n1 …
fn nodes(count: usize) -> String {
    let node = |number| format!("{{ id = \"n{number}\", address = \"127.0.0.1:{}\" }}", 1000 + number);
    format!("nodes = [{}]", (0..count).map(node).collect::<Vec<_>>().join(", "))
}

/// A pool and its clock.
struct Scene {
    pool: PoolHealth,
    nodes: Vec<Arc<Node>>,
    bell: Arc<Bell>,
    now: Instant,
    published: Option<Candidates>,
}

impl Scene {
    fn new(keys: &str) -> Scene {
        let config = configured(keys);
        let now = Instant::now() + SECOND;
        let pool = PoolHealth::new(&config.pools["p"], now);
        let mut scene = Scene { pool, nodes: Vec::new(), bell: Arc::default(), now, published: None };
        scene.reload(keys);
        scene
    }

    /// So many nodes, with defaults.
    fn of(count: usize) -> Scene {
        Scene::new(&nodes(count))
    }

    /// Another configuration; nodes keep their live state by id.
    fn reload(&mut self, keys: &str) {
        let config = configured(keys);
        let pool = &config.pools["p"];
        let spec = |node: &config::Node| NodeSpec {
            id: node.id.as_str().into(),
            address: node.address.to_string().parse().unwrap(),
            weight: node.weight,
            zone: None,
            tier: node.tier,
            drain: node.drain,
            labels: std::collections::BTreeMap::new(),
        };
        let earlier = std::mem::take(&mut self.nodes);
        let node = |node: &config::Node| match earlier.iter().find(|known| *known.spec.id == *node.id) {
            Some(known) => Node::with_live_of(spec(node), known),
            None => Node::new(spec(node)),
        };
        self.nodes = pool.nodes.iter().map(node).collect();
        self.pool.follow(pool, &self.nodes, config.gateway.drain_timeout, self.now);
        self.look();
    }

    fn look(&mut self) {
        self.pool.look(&self.bell, self.now);
        if let Some(candidates) = self.pool.elect(self.now) {
            self.published = Some(candidates);
        }
    }

    /// Lets time pass, as the writer sees it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + LOOK).min(end);
            self.look();
        }
    }

    fn attempt(&self, node: usize, result: AttemptResult) {
        self.nodes[node].begin(self.now - MILLI).observe(self.now, result);
    }

    /// So many attempts that end like this, and a look.
    fn attempts(&mut self, node: usize, count: usize, result: AttemptResult) {
        // They begin a millisecond before they end, and not before the node began.
        self.now += MILLI;
        (0..count).for_each(|_| self.attempt(node, result));
        self.look();
    }

    fn hang(&self, node: usize) -> InFlight {
        self.nodes[node].begin(self.now)
    }

    /// A check of a node ends well, or does not.
    fn check(&mut self, node: usize, is_good: bool) {
        let outcome = if is_good { Ok(MILLI) } else { Err("it answered 503".to_owned()) };
        let id = Arc::clone(&self.nodes[node].spec.id);
        self.pool.checked(&id, outcome, self.now);
        self.look();
    }

    /// The effective weights, in the configuration's order.
    fn weights(&self) -> Vec<u32> {
        self.pool.weights.clone()
    }

    fn shown(&self, node: usize) -> NodeHealth {
        NodeHealth::of(&self.pool.members[node], self.pool.weights[node], self.now)
    }

    fn states(&self) -> Vec<&'static str> {
        (0..self.nodes.len()).map(|node| self.shown(node).state).collect()
    }
}
