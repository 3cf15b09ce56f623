//! Nodes that are found: pools may be told their nodes by a registry, a name server or a file.
//!
//! Each such pool has one task on control's thread (`supervise`): it asks its `provider` for full sets of nodes, tells what
//! is wrong with them (`screen`), doubts an abrupt empty answer (`trust`), looks up names (`names`), and sends what it
//! believes to the writer. The writer joins it with the nodes that are written down (`members`) and publishes. What
//! operators want to know of all this is on a `board`. Why it doubts and waits as it does: docs/decisions/0032.
//!
//! A provider only follows its registry; all promises that hold for every provider are kept here, once.

mod backoff;
mod board;
mod consul;
mod dns;
mod entries;
mod etcd;
mod file;
mod memory;
mod names;
mod provider;
mod schema;
mod screen;
mod supervise;
mod trust;
mod zookeeper;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

pub(super) use board::{Board, Facts, State, shortened};
pub(super) use entries::{Entries, Entry};
pub(super) use provider::{Provider, Sets, Trouble};
pub(crate) use schema::Announced;
pub(super) use schema::{BadEntry, NodeSet};

use memory::Memory;
use supervise::Supervisor;

use super::addresses::Addresses;
use super::config::{self, Config};
use super::members;
use super::registry::Registry;
use super::writer::Event;
use crate::name::Name;
use crate::node::NodeSpec;

/// The nodes that are believed to be there, by pool.
pub(super) type Found = BTreeMap<Name, Arc<[NodeSpec]>>;

/// What a pool's task believes now.
pub struct Discovered {
    pub(super) pool: Name,
    /// Which task says so: one that was replaced meanwhile is not listened to.
    task: u64,
    nodes: Arc<[NodeSpec]>,
}

/// A pool's task, and what it follows.
struct Task {
    number: u64,
    discovery: config::Discovery,
    running: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// All tasks, and what they believed last. The writer owns it.
pub(super) struct Discoveries {
    tasks: BTreeMap<Name, Task>,
    found: Found,
    board: Arc<Board>,
    events: Sender<Event>,
    /// Where nodes register themselves, if they do.
    registry: Option<Arc<Registry>>,
    memory: Memory,
    /// How many tasks there ever were.
    started: u64,
}

impl Discoveries {
    /// No task yet; what they find goes to the writer. Pools have the nodes that were known when the gateway ended last.
    pub(super) fn new(
        events: Sender<Event>,
        board: Arc<Board>,
        registry: Option<Arc<Registry>>,
        config: &Config,
    ) -> Self {
        // So that a gateway that just starts is seen to wait for them.
        for (name, pool) in &config.pools {
            let provider = pool.discovery.iter().map(|discovery| discovery.provider.word());
            provider.for_each(|provider| drop(board.row(name, provider)));
        }
        let memory = Memory::new(config);
        let found = memory.recall(config);
        Self { tasks: BTreeMap::new(), found, board, events, registry, memory, started: 0 }
    }

    /// Follows the registries of this configuration. What goes on as it was is not disturbed, and a pool that is told
    /// its nodes by somebody else now keeps those that it has until that one answers.
    pub(super) fn follow(&mut self, config: &Config) {
        let mut earlier = std::mem::take(&mut self.tasks);
        for (name, pool) in &config.pools {
            let Some(discovery) = &pool.discovery else { continue };
            let kept = earlier.remove(name).filter(|task| task.discovery == *discovery);
            let task = kept.unwrap_or_else(|| self.start(name, discovery));
            self.tasks.insert(name.clone(), task);
        }
        self.found.retain(|name, _| self.tasks.contains_key(name));
        self.board.keep(|name| self.tasks.contains_key(name));
    }

    fn start(&mut self, name: &Name, discovery: &config::Discovery) -> Task {
        self.started += 1;
        let number = self.started;
        let (pool, events) = (name.clone(), self.events.clone());
        let hand_on = move |nodes| {
            let discovered = Discovered { pool: pool.clone(), task: number, nodes };
            let events = events.clone();
            // Without a writer the gateway stops, and the task with it.
            async move { drop(events.send(Event::Discovered(Box::new(discovered))).await) }
        };
        let row = self.board.row(name, discovery.provider.word());
        let known = self.found.get(name).cloned().unwrap_or_default();
        let supervisor = Supervisor::new(name.clone(), discovery.clone(), row, known);
        let running = tokio::spawn(supervisor.run(self.registry.clone(), hand_on));
        Task { number, discovery: discovery.clone(), running }
    }

    /// Takes in what a task believes, unless another one has its place. Answers whether it does.
    pub(super) fn take(&mut self, discovered: &Discovered) -> bool {
        let is_its = self.tasks.get(&discovered.pool).is_some_and(|task| task.number == discovered.task);
        if is_its {
            self.memory.keep(&discovered.pool, &discovered.nodes);
            self.found.insert(discovered.pool.clone(), Arc::clone(&discovered.nodes));
        }
        is_its
    }

    /// What is believed now.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Names nodes that are not used since the configuration has others of their id or address.
    pub(super) fn note_hidden(&self, config: &Config, addresses: &Addresses) {
        for (name, nodes) in &self.found {
            if let (Some(pool), Some(row)) = (config.pools.get(name), self.board.get(name)) {
                row.hidden(members::hidden(pool, addresses, nodes));
            }
        }
    }

    /// What a pool was told is published now.
    pub(super) fn published(&self, pool: &Name) {
        if let Some(row) = self.board.get(pool) {
            row.answered();
        }
    }
}

#[cfg(test)]
mod tests;
