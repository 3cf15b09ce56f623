//! The tasks that check nodes: one for each node of each pool that has checks, on control's thread.
//!
//! The same node in two pools is checked for each, as each asks something else. A first check runs at once, but not all
//! of them together; then each node's checks have a place of their own in the interval, and jitter keeps two gateways
//! from falling into step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::check::Outcome;
use super::probe::{Met, probe};
use crate::control::config::{Config, HealthCheck};
use crate::control::writer::Event;
use crate::name::Name;
use crate::snapshot::Snapshot;

/// Checks that run at the same time; more wait. It bounds descriptors and the load of a start with many nodes.
const AT_ONCE: usize = 128;

/// What came of the check of a node.
pub struct Checked {
    pub(in crate::control) pool: Name,
    pub(in crate::control) node: Arc<str>,
    pub(in crate::control) address: SocketAddr,
    pub(in crate::control) outcome: Outcome,
}

/// A node's task, and what it checks.
struct Task {
    address: SocketAddr,
    check: HealthCheck,
    met: Met,
    running: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// All tasks, by pool and node id.
pub(in crate::control) struct Checks {
    tasks: HashMap<(Name, Arc<str>), Task>,
    /// How the nodes of each pool are met.
    pub(super) met: HashMap<Name, Met>,
    pub(super) places: Arc<Semaphore>,
    pub(super) events: Sender<Event>,
}

impl Checks {
    /// No task yet; outcomes go to the writer.
    pub(in crate::control) fn new(events: Sender<Event>) -> Self {
        Self { tasks: HashMap::new(), met: HashMap::new(), places: Arc::new(Semaphore::new(AT_ONCE)), events }
    }

    /// Checks the nodes of this snapshot, as this configuration says. What goes on as it was is not disturbed.
    pub(in crate::control) fn follow(&mut self, snapshot: &Snapshot, config: &Config) {
        let mut earlier = std::mem::take(&mut self.tasks);
        self.met = snapshot.pools.iter().map(|pool| (pool.name.clone(), Met::of(pool))).collect();
        for pool in snapshot.pools.iter() {
            let Some(check) = config.pools.get(&pool.name).and_then(|pool| pool.health.as_ref()) else {
                continue;
            };
            for node in pool.nodes.iter() {
                let key = (pool.name.clone(), Arc::clone(&node.spec.id));
                let address = node.spec.address;
                let met = Met::of(pool);
                let is_same = |task: &Task| {
                    task.address == address && task.check == *check && task.met.is_same_as(&met)
                };
                let kept = earlier.remove(&key).filter(is_same);
                let task = kept.unwrap_or_else(|| self.start(&key, address, check, met));
                self.tasks.insert(key, task);
            }
        }
    }

    fn start(&self, key: &(Name, Arc<str>), address: SocketAddr, check: &HealthCheck, met: Met) -> Task {
        let (pool, node) = key.clone();
        let (places, events, settings) = (Arc::clone(&self.places), self.events.clone(), check.clone());
        let how = met.clone();
        let running = tokio::task::spawn_local(async move {
            let mut pause = settings.interval.mul_f64(fastrand::f64());
            loop {
                let outcome = {
                    let _place = places.acquire().await.expect("nothing closes this semaphore");
                    probe(address, &how, &settings).await
                };
                let checked = Checked { pool: pool.clone(), node: Arc::clone(&node), address, outcome };
                if events.send(Event::Checked(Box::new(checked))).await.is_err() {
                    return; // control ends
                }
                tokio::time::sleep(pause).await;
                pause = jittered(settings.interval, settings.jitter, fastrand::f64());
            }
        });
        Task { address, check: check.clone(), met, running }
    }
}

/// The interval, longer or shorter by up to so many percent; `draw` is from 0 to 1.
fn jittered(interval: Duration, percent: u32, draw: f64) -> Duration {
    interval.mul_f64(1.0 + f64::from(percent) / 100.0 * (2.0 * draw - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_goes_both_ways() {
        let interval = Duration::from_secs(10);
        let of = |draw| jittered(interval, 20, draw).as_secs_f64();
        assert_eq!([0.0, 0.5, 1.0].map(of), [8.0, 10.0, 12.0]);
        assert_eq!(jittered(interval, 0, 0.9), interval);
    }
}
