//! A worker's own copy of the snapshot, with what one worker alone needs beside it.
//!
//! A request holds one view from its head to its last byte, so that it pins the version of every plugin and never
//! sees half of a reload. Views are counted by `Rc`: no shared cache line is written to take one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::hedge::Pace;
use super::retry::Budget;
use crate::node::selection::LocalCandidates;
use crate::plugin::{Instances, Sampler};
use crate::snapshot::{Pool, Route, Snapshot};
use crate::telemetry::{PoolMetrics, RouteMetrics, Telemetry};

/// One worker's view of one snapshot.
pub(super) struct View {
    /// The tables.
    pub snapshot: Arc<Snapshot>,
    /// By the places of [`Snapshot::uses`]: this worker's running copies.
    pub instances: Rc<[Rc<Instances>]>,
    /// By the places of [`Snapshot::pools`].
    pub pools: Vec<PoolView>,
    /// Where the gateway stands, for plugins.
    pub zone: Option<Arc<str>>,
    /// By [`Route::index`].
    pub routes: Rc<[RouteView]>,
    /// Takes heads of requests, to try new versions of plugins on.
    pub sampler: Sampler,
}

/// What a worker keeps for a pool.
pub(super) struct PoolView {
    /// Its name, for plugins; the worker's own, as is that of each route.
    pub name: Arc<str>,
    /// What its picks choose from.
    pub candidates: LocalCandidates,
    /// Where the native round robin stands; it goes on through reloads.
    pub turn: Rc<Cell<u32>>,
    /// What its retries are taken from; it goes on through reloads, too.
    pub budget: Rc<RefCell<Budget>>,
    /// How fast it answers, if it hedges; it goes on as well.
    pub pace: Rc<RefCell<Pace>>,
    /// This worker's counters.
    pub metrics: Arc<PoolMetrics>,
}

/// What a worker keeps for a route.
pub(super) struct RouteView {
    /// Its name, for plugins.
    pub name: Arc<str>,
    /// This worker's counters.
    pub metrics: Arc<RouteMetrics>,
}

impl View {
    /// The view of `snapshot` for a worker. What did not change since `earlier` is taken over: instances that
    /// run, above all.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        earlier: Option<&View>,
        worker: usize,
        telemetry: &Telemetry,
    ) -> View {
        let instances = match earlier {
            Some(view) if Arc::ptr_eq(&view.snapshot.uses, &snapshot.uses) => Rc::clone(&view.instances),
            _ => running(&snapshot, earlier),
        };
        let now = Instant::now();
        let pools = snapshot.pools.iter().enumerate().map(|(place, pool)| {
            let named = |other: &&PoolView| *other.name == *pool.name.as_str();
            // Nearly always it stands where it stood: candidates change far more often than pools.
            let same = earlier.and_then(|view| {
                view.pools.get(place).filter(named).or_else(|| view.pools.iter().find(named))
            });
            PoolView {
                name: same.map_or_else(|| pool.name.as_str().into(), |other| Arc::clone(&other.name)),
                candidates: Arc::new(pool.candidates.clone()),
                // At random, or all workers would choose the same nodes at the same time.
                turn: same.map_or_else(|| Rc::new(Cell::new(fastrand::u32(..))), |other| other.turn.clone()),
                budget: same
                    .map_or_else(|| Rc::new(RefCell::new(Budget::new(now))), |other| other.budget.clone()),
                pace: same.map_or_else(Rc::default, |other| other.pace.clone()),
                metrics: same
                    .map_or_else(|| telemetry.pool(worker, &pool.name), |other| Arc::clone(&other.metrics)),
            }
        });
        let routes = match earlier {
            Some(view) if Arc::ptr_eq(&view.snapshot.routes, &snapshot.routes) => view.routes.clone(),
            _ => route_views(&snapshot, worker, telemetry),
        };
        let sampler = match earlier {
            Some(view) if Arc::ptr_eq(&view.snapshot.samples, &snapshot.samples) => view.sampler.clone(),
            _ => Sampler::new(Arc::clone(&snapshot.samples), now),
        };
        let zone = snapshot.settings.zone.as_deref().map(Arc::from);
        View { instances, pools: pools.collect(), zone, routes, sampler, snapshot }
    }

    /// The pool at a place.
    pub(super) fn pool(&self, index: u32) -> &Pool {
        &self.snapshot.pools[index as usize]
    }
}

/// A running copy of each use: the one that ran before if it is the same use.
fn running(snapshot: &Snapshot, earlier: Option<&View>) -> Rc<[Rc<Instances>]> {
    let running = snapshot.uses.iter().map(|wanted| {
        earlier
            .and_then(|view| view.instances.iter().find(|running| Arc::ptr_eq(running.use_(), wanted)))
            .map_or_else(|| Rc::new(Instances::new(wanted.clone())), Rc::clone)
    });
    running.collect()
}

fn route_views(snapshot: &Snapshot, worker: usize, telemetry: &Telemetry) -> Rc<[RouteView]> {
    let mut routes: Vec<&Route> = snapshot.routes.iter().map(|(_, route)| route).collect();
    routes.sort_by_key(|route| route.index);
    let views = routes.into_iter().map(|route| RouteView {
        name: route.name.as_str().into(),
        metrics: telemetry.route(worker, &route.name),
    });
    views.collect()
}
