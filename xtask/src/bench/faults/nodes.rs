//! Nodes that fail as they are told: many of them, on one thread, on ports of this machine.
//!
//! What a node is to do is a [`Manner`], which may change at any time. The time that a request takes comes from a
//! [`Queue`], not from work, so the nodes of a run do not slow each other.

mod serve;

use super::ports::Ports;
use super::queue::Queue;
use anyhow::Result;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How a node behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::bench) enum Manner {
    /// It answers when its queue says so.
    Well,
    /// It answers after so long, however little it has to do.
    Slow(Duration),
    /// It accepts and reads, and never answers.
    Silent,
    /// It answers 500 at once.
    Failing,
    /// The kernel drops what comes for it without a word, as if its host were gone.
    Vanished,
    /// It resets its connections and refuses new ones.
    Killed,
    /// It ends each connection behind the request in flight, and refuses new ones.
    Stopped,
}

/// What a node serves with when it behaves well.
#[derive(Clone, Copy)]
pub(in crate::bench) struct Service {
    /// How many requests it serves at once.
    pub(in crate::bench) places: usize,
    /// How long one takes, on average.
    pub(in crate::bench) mean: Duration,
}

/// One node, as its tasks share it.
struct Node {
    port: u16,
    manner: watch::Sender<Manner>,
    /// Requests that reached it.
    asked: AtomicU64,
    /// Those of them that it works on.
    working: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Running nodes; they end when this is dropped.
pub(in crate::bench) struct Nodes {
    nodes: Vec<Arc<Node>>,
    /// Dropped to end the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Nodes {
    /// Starts a node for each service, on a port of its own. `seed` makes the service times those of another run.
    ///
    /// # Errors
    /// When there are not so many free ports, or descriptors.
    pub(in crate::bench) fn start(ports: &mut Ports, services: &[Service], seed: u64) -> Result<Nodes> {
        let now = Instant::now();
        let mut nodes = Vec::new();
        let mut listeners = Vec::new();
        for (number, service) in services.iter().enumerate() {
            let listener = ports.listen()?;
            listener.set_nonblocking(true)?;
            let queue = Queue::new(service.places, service.mean, seed.wrapping_add(number as u64), now);
            nodes.push(Arc::new(Node {
                port: listener.local_addr()?.port(),
                manner: watch::Sender::new(Manner::Well),
                asked: AtomicU64::new(0),
                working: AtomicUsize::new(0),
                queue: Mutex::new(queue),
            }));
            listeners.push(listener);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let serving = nodes.clone();
        let thread = thread::Builder::new().name("nodes".to_owned()).spawn(move || {
            runtime.block_on(async {
                for (node, listener) in serving.into_iter().zip(listeners) {
                    tokio::spawn(serve::node(node, listener));
                }
                _ = ended.await; // it says the same by being dropped
            });
        })?;
        Ok(Nodes { nodes, end: Some(end), thread: Some(thread) })
    }

    pub(in crate::bench) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// From now on the node of this number behaves so.
    pub(in crate::bench) fn set(&self, number: usize, manner: Manner) {
        self.nodes[number].manner.send_replace(manner);
    }

    /// How many requests reached each node so far.
    pub(in crate::bench) fn asked(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.asked.load(Relaxed)).collect()
    }

    /// How many requests a node works on now.
    pub(in crate::bench) fn working(&self, number: usize) -> usize {
        self.nodes[number].working.load(Relaxed)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            _ = thread.join(); // a panic of the nodes was printed already
        }
    }
}

#[cfg(test)]
mod tests;
