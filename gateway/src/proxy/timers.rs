//! What happens to plugins between requests: those that play the role `timer` act, on this worker's own instances, and
//! instances are looked after.
//!
//! Looked at from the worker's tick, so a period is kept to within one tick; a period shorter than that is a tick.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::view::View;
use crate::plugin::{Instances, Roles, Scope};

/// A timer that failed to say when it acts is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// So long one tick may start instances: requests wait meanwhile. The next tick goes on where this one stopped.
const STARTING: Duration = Duration::from_millis(1);

/// When one use of a view acts next.
struct Timer {
    /// Key and generation of the use.
    of: (u32, u64),
    plan: Plan,
}

enum Plan {
    /// It failed to say when; it is asked again at this time.
    Ask(Instant),
    Act {
        period: Duration,
        next: Instant,
        /// The last call, if it was one that waits.
        last: Option<JoinHandle<()>>,
    },
    /// Not on this worker.
    Rest,
}

/// The timers of one worker.
#[derive(Default)]
pub(super) struct Timers {
    timers: RefCell<Vec<Timer>>,
    /// Place of the use whose instances are looked after next.
    tended: Cell<usize>,
}

impl Timers {
    /// Looks after all instances, and lets every timer act whose time has come. New uses are asked for their schedule
    /// first; replaced ones go.
    pub(super) fn run(&self, view: &View, worker: usize, now: Instant) {
        self.tend(view, now);
        let mut timers = self.timers.borrow_mut();
        let id = |instances: &Instances| (instances.use_().key, instances.use_().generation);
        let plays = |instances: &&Rc<Instances>| instances.plays(Roles::TIMER);
        let find = |of| view.instances.iter().filter(plays).find(|instances| id(instances) == of);
        timers.retain(|timer| find(timer.of).is_some());
        for instances in view.instances.iter().filter(plays) {
            let of = id(instances);
            if timers.iter().all(|timer| timer.of != of) {
                timers.push(Timer { of, plan: ask(instances, worker, now) });
            }
        }
        for timer in timers.iter_mut() {
            let Some(instances) = find(timer.of) else { continue };
            match &mut timer.plan {
                Plan::Ask(next) if *next <= now => timer.plan = ask(instances, worker, now),
                Plan::Act { period, next, last } if *next <= now => {
                    // While one waits there is no second one.
                    if last.as_ref().is_none_or(JoinHandle::is_finished) {
                        *last = act(instances);
                    }
                    match now.checked_add(*period) {
                        Some(time) => *next = time,
                        None => timer.plan = Plan::Rest,
                    }
                }
                _ => {}
            }
        }
    }

    /// Starts what is missing, use by use, until this tick's time is over.
    fn tend(&self, view: &View, now: Instant) {
        let count = view.instances.len();
        for _ in 0..count {
            let place = self.tended.get() % count;
            let started = view.instances[place].tend(now);
            self.tended.set(place + 1);
            if started && now.elapsed() >= STARTING {
                return;
            }
        }
    }
}

/// Lets a timer act; the call goes on by itself if it waits. A fault is counted and logged by the host; the next tick is tried
/// with a fresh instance.
fn act(instances: &Rc<Instances>) -> Option<JoinHandle<()>> {
    if !instances.waits() {
        let _ = instances.tick().now();
        return None;
    }
    let instances = Rc::clone(instances);
    Some(tokio::task::spawn_local(async move {
        let _ = instances.tick().await;
    }))
}

/// Asks a timer when and where it acts.
fn ask(instances: &Instances, worker: usize, now: Instant) -> Plan {
    // A fault is counted and logged by the host.
    let Ok(schedule) = instances.period() else {
        return Plan::Ask(now + ASK_AGAIN);
    };
    let here = schedule.filter(|schedule| schedule.scope == Scope::EveryWorker || worker == 0);
    let Some(schedule) = here else { return Plan::Rest };
    let period = Duration::from_millis(schedule.period_ms);
    now.checked_add(period).map_or(Plan::Rest, |next| Plan::Act { period, next, last: None })
}
