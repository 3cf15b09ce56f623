//! An event loop's own way to Redis: each worker has one, and so has control.
//!
//! Question and answer stay on the thread that asks, so that an answer costs one round trip, and no thread has to wake another
//! one. A lane is opened by whoever asks first on its event loop, or before by [`Redis::connect`](super::Redis::connect).

use std::sync::Arc;

use ::redis::RedisResult;
use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Id};
use tokio::sync::mpsc;

use super::Spec;
use super::driver::{Driver, Job};
use super::health::{Health, Own, State};
use super::link::Dial;

/// Questions that wait for the driver. Chosen: what a busy Redis answers within some 20 ms.
pub(super) const QUEUE: usize = 4096;

/// The lanes of all event loops.
pub(super) struct Lanes {
    spec: Spec,
    health: Arc<Health>,
    /// Few, and added to when a worker starts. Once this is gone, so are the drivers.
    open: ArcSwap<Vec<Lane>>,
}

/// A lane; copies of it are the same.
#[derive(Clone)]
struct Lane {
    of: Id,
    jobs: mpsc::Sender<Job>,
    own: Own,
}

impl Lanes {
    /// None is open yet.
    ///
    /// # Errors
    /// The certificates are none.
    pub(super) fn new(spec: Spec) -> RedisResult<Lanes> {
        Dial::new(&spec)?;
        Ok(Lanes { spec, health: Arc::default(), open: ArcSwap::default() })
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// The state of this event loop's lane, which is opened if there is none.
    pub(super) fn state(&self) -> State {
        self.here(|lane| lane.own.state())
    }

    /// Hands a question to this event loop's lane; its state. None if it is not taken: Redis cannot be asked, or too much waits.
    pub(super) fn hand_over(&self, job: Job) -> Option<State> {
        self.here(|lane| match lane.own.state() {
            State::Down => None,
            state => lane.jobs.try_send(job).is_ok().then_some(state),
        })
    }

    fn here<T>(&self, act: impl FnOnce(&Lane) -> T) -> T {
        let runtime = Handle::current();
        let lanes = self.open.load();
        match lanes.iter().find(|lane| lane.of == runtime.id()) {
            Some(lane) => act(lane),
            None => act(&self.open(&runtime)),
        }
    }

    fn open(&self, runtime: &Handle) -> Lane {
        let (jobs, received) = mpsc::channel(QUEUE);
        let own = Own::new(Arc::clone(&self.health));
        let dial = Dial::new(&self.spec).expect("the same was made when the lanes were");
        runtime.spawn(Driver::new(dial, received, own.clone()).run());
        let lane = Lane { of: runtime.id(), jobs, own };
        self.open.rcu(|lanes| {
            // Those of event loops that ended go.
            let mut lanes: Vec<_> = lanes.iter().filter(|lane| !lane.jobs.is_closed()).cloned().collect();
            lanes.push(lane.clone());
            lanes
        });
        lane
    }
}
