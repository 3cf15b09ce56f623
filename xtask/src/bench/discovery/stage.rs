//! One registry, a gateway that follows it, and nodes that may be announced there.

use super::registries::{Announced, Kind, Registry};
use crate::bench::faults::load::{Load, during};
use crate::bench::faults::nodes::{Manner, Nodes, Service};
use crate::bench::faults::ports::Ports;
use crate::bench::faults::seen::Seen;
use crate::bench::gateways::{Gateway, NodeState, Place, Watch};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// Far more than the load asks for.
const SERVICE: Service = Service { places: 64, mean: Duration::from_micros(100) };

/// Everything that runs for one registry.
pub(super) struct Stage {
    // Dropped in this order: the gateway first, so that it mourns nobody in its log.
    watch: Watch,
    gateway: Gateway,
    pub(super) registry: Box<dyn Registry>,
    nodes: Nodes,
    pace: f64,
}

impl Stage {
    /// Starts it: one node is written in the configuration, another one is announced and stays, since an empty registry would be
    /// distrusted; `count` further ones may be announced, by their numbers from 1.
    ///
    /// # Errors
    /// When something does not start.
    pub(super) fn set(program: &Path, folder: &Path, kind: Kind, count: usize, pace: f64) -> Result<Stage> {
        let mut ports = Ports::new();
        let nodes = Nodes::start(&mut ports, &vec![SERVICE; count + 2], 1)?;
        let place = Place { program, folder };
        let mut registry = kind.start(folder, &mut ports)?;
        let tables = format!(
            "[route.bench]\npool = \"bench\"\n[pool.bench]\npolicy = \"least-connections\"\nnodes = [{{ id = \"fixed\", address = \
             \"127.0.0.1:{}\" }}]\n{}",
            nodes.ports()[0],
            registry.tables()
        );
        let gateway = place.start("gateway", &mut ports, &tables)?;
        registry.begin(&place, &mut ports, &tables)?;
        let watch = gateway.watch()?;
        let mut stage = Stage { watch, gateway, registry, nodes, pace };
        stage.put(stage.kept(), 1)?;
        stage.until_serves(stage.kept(), 1)?;
        Ok(stage)
    }

    /// How many nodes may be announced, beside the one that stays.
    pub(super) fn count(&self) -> usize {
        self.nodes.ports().len() - 2
    }

    /// The number of the node that stays.
    pub(super) fn kept(&self) -> usize {
        self.count() + 1
    }

    /// A node as it is announced.
    pub(super) fn announced(&self, number: usize, weight: u32) -> Announced {
        Announced { id: format!("n{number}"), port: self.nodes.ports()[number], weight }
    }

    fn shown(&self, number: usize) -> String {
        self.registry.shown(&self.announced(number, 1))
    }

    /// Announces a node; it is acknowledged when this returns.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub(super) fn put(&mut self, number: usize, weight: u32) -> Result<()> {
        let announced = self.announced(number, weight);
        self.registry.put(&announced)
    }

    /// From now on the node of this number behaves so.
    pub(super) fn set_manner(&self, number: usize, manner: Manner) {
        self.nodes.set(number, manner);
    }

    /// Waits until a node serves with this weight; how long that took.
    ///
    /// # Errors
    /// When it does not come to.
    pub(super) fn until_serves(&mut self, number: usize, weight: u64) -> Result<Duration> {
        let wanted = NodeState { id: self.shown(number), candidate: true, weight };
        self.watch.until(&format!("n{number} serves with weight {weight}"), |nodes| nodes.contains(&wanted))
    }

    /// Waits until no request is sent to a node any more; how long that took.
    ///
    /// # Errors
    /// When it stays.
    pub(super) fn until_gone(&mut self, number: usize) -> Result<Duration> {
        let id = self.shown(number);
        let gone = |nodes: &[NodeState]| !nodes.iter().any(|node| node.id == id && node.candidate);
        self.watch.until(&format!("{id} is gone"), gone)
    }

    /// How many nodes may be picked now.
    ///
    /// # Errors
    /// When the gateway does not tell.
    pub(super) fn candidates(&mut self) -> Result<usize> {
        Ok(self.watch.nodes()?.iter().filter(|node| node.candidate).count())
    }

    /// Does something under load.
    ///
    /// # Errors
    /// What is done may fail.
    pub(super) fn under_load<T>(&mut self, done: impl FnOnce(&mut Stage) -> Result<T>) -> Result<(Seen, T)> {
        let load = Load { port: self.gateway.port(), pace: self.pace, seed: 7 };
        let (seen, done) = during(&load, || done(self))?;
        Ok((seen, done?))
    }
}
