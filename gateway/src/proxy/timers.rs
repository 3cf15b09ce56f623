//! Lets plugins act between requests: those that play the role `timer`, on this worker's own instances.
//!
//! Looked at from the worker's tick, so a period is kept to within one tick; a period shorter than that is a tick.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::view::View;
use crate::plugin::{Roles, Scope};

/// When one use of a view acts next.
struct Timer {
    generation: u64,
    period: Duration,
    /// None: not on this worker, or it failed to say when.
    next: Option<Instant>,
}

/// The timers of one worker.
#[derive(Default)]
pub(super) struct Timers(RefCell<Vec<Timer>>);

impl Timers {
    /// Lets every timer act whose time has come. New uses are asked for their schedule first; replaced ones go.
    pub(super) fn run(&self, view: &View, worker: usize, now: Instant) {
        let mut timers = self.0.borrow_mut();
        let plays = |generation: u64| {
            view.instances.iter().find(|instances| {
                instances.use_().generation == generation
                    && instances.use_().module.roles.contains(Roles::TIMER)
            })
        };
        timers.retain(|timer| plays(timer.generation).is_some());
        for instances in &view.instances {
            let used = instances.use_();
            let is_known = timers.iter().any(|timer| timer.generation == used.generation);
            if is_known || !used.module.roles.contains(Roles::TIMER) {
                continue;
            }
            // A fault is counted and logged by the host; the use then has no timer until its next version.
            let schedule = instances.period().ok().flatten();
            let schedule = schedule.filter(|schedule| schedule.scope == Scope::EveryWorker || worker == 0);
            let period = Duration::from_millis(schedule.map_or(0, |schedule| schedule.period_ms));
            timers.push(Timer {
                generation: used.generation,
                period,
                next: schedule.and_then(|_| now.checked_add(period)),
            });
        }
        for timer in timers.iter_mut() {
            if timer.next.is_some_and(|next| next <= now)
                && let Some(instances) = plays(timer.generation)
            {
                // Likewise: the next tick is tried with a fresh instance.
                let _ = instances.tick();
                timer.next = now.checked_add(timer.period);
            }
        }
    }
}
