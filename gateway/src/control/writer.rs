//! The one task that publishes: old snapshot and event in, new snapshot out, swap.
//!
//! Nobody else writes what requests read. It never waits for anything but the next event: what is slow or may fail is
//! done on the builder thread, which sends what came of it as an event. It owns the health of nodes, too, and publishes
//! the candidates that change with it: that swaps a pool's list and leaves all other tables as they are.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::acme::Acmes;
use super::attempt::Prepared;
use super::build;
use super::config::{Config, LogFormat};
use super::discovery::{Discovered, Discoveries};
use super::folder::Hint;
use super::health::{Checked, Checks, Elected, Health, LOOK, Order, Questioned};
use super::status::Status;
use crate::snapshot::{ListenerSpec, Published};
use crate::telemetry;

/// What may change the snapshot.
pub enum Event {
    /// Someone wants the configuration and the folder of plugins looked at now, not in two seconds.
    Look,
    /// The builder thread made the parts of a new snapshot.
    Prepared(Box<Prepared>),
    /// A check of a node ended.
    Checked(Box<Checked>),
    /// A node that seemed to be silent was asked.
    Questioned(Box<Questioned>),
    /// Other nodes were found for a pool.
    Discovered(Box<Discovered>),
    /// An operator asks for something.
    Order(Box<Order>),
    /// To be called when all events before it had their effect: an answer that must not come before what it tells.
    Then(Box<dyn FnOnce() + Send>),
}

/// What the task needs.
pub(super) struct Writer {
    pub(super) acmes: Acmes,
    pub(super) published: Published,
    pub(super) status: Arc<Status>,
    pub(super) hints: Sender<Hint>,
    pub(super) current: Prepared,
    pub(super) health: Shared,
    pub(super) checks: Checks,
    pub(super) discoveries: Discoveries,
}

/// The health of nodes: the writer's own, and locked only so that the admin API may read it. Nobody waits while it is
/// locked.
pub(super) type Shared = Arc<Mutex<Health>>;

/// Locks it.
pub(super) fn lock(health: &Shared) -> MutexGuard<'_, Health> {
    // Whatever it says is better than nothing.
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    /// Works until `stop` is sent or dropped.
    pub(super) async fn run(mut self, mut events: Receiver<Event>, mut stop: oneshot::Receiver<()>) {
        let bell = lock(&self.health).bell();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.checks.follow(&self.published.load(), &self.current.config);
        self.discoveries.follow(&self.current.config);
        self.acmes.follow(&self.current.config);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = &mut stop => None,
                () = bell.rung() => {
                    self.look();
                    continue;
                }
                _ = looks.tick() => {
                    self.look();
                    continue;
                }
            };
            match event {
                // The builder is gone only when all of this ends.
                Some(Event::Look) => drop(self.hints.send(Hint::Look)),
                Some(Event::Prepared(prepared)) => self.publish(*prepared),
                Some(Event::Checked(checked)) => {
                    let turned = lock(&self.health).checked(*checked, Instant::now());
                    if turned {
                        self.look();
                    }
                }
                Some(Event::Questioned(questioned)) => {
                    lock(&self.health).questioned(&questioned, Instant::now());
                    self.look();
                }
                Some(Event::Discovered(discovered)) => self.discovered(&discovered),
                Some(Event::Order(order)) => self.obey(*order),
                Some(Event::Then(call)) => call(),
                None => break,
            }
        }
        let _gone = self.hints.send(Hint::Stop);
    }

    fn publish(&mut self, prepared: Prepared) {
        if prepared.differs_from(&self.current) {
            self.discoveries.follow(&prepared.config);
            let found = self.discoveries.found();
            let snapshot = build::snapshot(&prepared, found, Some(&self.published.load()));
            let snapshot = lock(&self.health).follow(snapshot, &prepared.config, Instant::now());
            info!(snapshot = snapshot.number, "configuration and plugins took over");
            warn_of_later(&prepared.config, &self.current.config);
            let log = prepared.config.gateway.log;
            if log != self.current.config.gateway.log {
                telemetry::change_log(log.format == LogFormat::Json, log.level.as_str());
            }
            self.checks.follow(&snapshot, &prepared.config);
            tell_of_listeners(&snapshot.listeners, &self.published.load().listeners);
            self.discoveries.note_hidden(&prepared.config, &prepared.addresses);
            self.published.store(Arc::new(snapshot));
            // Behind the swap: a listener that proves a name has to be there.
            self.acmes.follow(&prepared.config);
        }
        note(&self.status, &prepared);
        // Noted once: what is prepared next starts from this.
        self.current = Prepared { outcomes: Vec::new(), ..prepared };
    }

    /// Publishes the nodes that were found for a pool, which no other pool and no table notices.
    fn discovered(&mut self, discovered: &Discovered) {
        if !self.discoveries.take(discovered) {
            return;
        }
        let (config, name) = (&self.current.config, &discovered.pool);
        let found = &self.discoveries.found()[name];
        if let Some(snapshot) = build::with_found(&self.published.load(), &self.current, name, found) {
            let snapshot = lock(&self.health).follow_pool(snapshot, name, config, Instant::now());
            self.checks.follow(&snapshot, config);
            self.published.store(Arc::new(snapshot));
        }
        self.discoveries.note_hidden(config, &self.current.addresses);
        self.discoveries.published(name);
    }

    /// Looks at the health of all nodes, and publishes what changed.
    fn look(&self) {
        let (elected, questions) = {
            let mut health = lock(&self.health);
            (health.look(Instant::now()), health.questions())
        };
        self.publish_candidates(&elected);
        self.checks.ask(questions);
    }

    fn publish_candidates(&self, elected: &Elected) {
        if !elected.is_empty() {
            let earlier = self.published.load();
            self.published.store(Arc::new(earlier.with_candidates(elected)));
        }
    }

    /// Does what an operator asks for; the answer comes when it is published.
    fn obey(&self, order: Order) {
        let now = Instant::now();
        let done = lock(&self.health).obey(&order, now);
        self.look();
        let node = || lock(&self.health).node(&order.pool, &order.node, now);
        let answer = done.map(|()| node().expect("what was just done was done to it"));
        // Whoever asked may have gone.
        let _gone = order.answer.send(answer);
    }
}

/// Notes what rules now. It comes after the swap: who reads of a version there finds it in service.
pub(super) fn note(status: &Status, prepared: &Prepared) {
    status.applied(&prepared.config, prepared.as_written);
    status.unavailable(&prepared.missing);
    for (file, version, replay) in &prepared.replays {
        status.replayed(file, *version, *replay);
    }
    for (file, outcome) in &prepared.outcomes {
        status.file(file, outcome.clone());
    }
}

/// Where it accepts from now on, and where it does not any more.
pub(super) fn tell_of_listeners(new: &[ListenerSpec], old: &[ListenerSpec]) {
    let is_in = |list: &[ListenerSpec], one: &ListenerSpec| {
        list.iter().any(|other| (other.id, &other.name) == (one.id, &one.name))
    };
    for ListenerSpec { name, address, .. } in new.iter().filter(|listener| !is_in(old, listener)) {
        info!(listener = %name, %address, "accepting");
    }
    for ListenerSpec { name, address, .. } in old.iter().filter(|listener| !is_in(new, listener)) {
        info!(listener = %name, %address, "accepts no more; its connections end after the request that they are at");
    }
}

/// Some settings are read once, at the start: whoever changes them must hear that nothing happened.
fn warn_of_later(new: &Config, old: &Config) {
    let changed = [
        ("[admin]", new.admin != old.admin),
        ("[redis]", new.redis != old.redis),
        ("[registry]", new.registry != old.registry),
        ("[sessions]", new.sessions != old.sessions),
        ("`workers` in [gateway]", new.gateway.workers != old.gateway.workers),
        ("`pid_file` in [gateway]", new.gateway.pid_file != old.gateway.pid_file),
    ];
    for (what, _) in changed.iter().filter(|(_, changed)| *changed) {
        warn!("{what} changed, which counts from the next start or upgrade on");
    }
}
