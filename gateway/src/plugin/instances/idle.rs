//! The instances of the waiting lane that are in no call, and how many are.
//!
//! A stack, so that the one that worked last works next, with its memory still in the caches, and what a rush needed shows
//! as what nobody takes any more.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::Instances;
use crate::plugin::lane::Lane;
use crate::plugin::running::Running;

/// After so long without a use for them, half of the instances that stood idle all the while are let go.
const REST: Duration = Duration::from_secs(5);

/// One worker's idle instances of a use.
#[derive(Default)]
pub(super) struct Idle {
    stack: RefCell<Vec<Running>>,
    /// How many are in calls.
    pub(super) away: Cell<usize>,
    /// The fewest that were idle since this time.
    fewest: Cell<usize>,
    since: Cell<Option<Instant>>,
}

impl Idle {
    /// The one that worked last.
    pub(super) fn take(&self) -> Option<Running> {
        let mut stack = self.stack.borrow_mut();
        let running = stack.pop();
        self.fewest.set(self.fewest.get().min(stack.len()));
        running
    }

    pub(super) fn put(&self, running: Running) {
        self.stack.borrow_mut().push(running);
    }

    pub(super) fn count(&self) -> usize {
        self.stack.borrow().len()
    }

    /// Lets go of some that nobody needed for a while; one always stays.
    fn shrink(&self, now: Instant) {
        let since = self.since.get().unwrap_or(now);
        let mut stack = self.stack.borrow_mut();
        if now.saturating_duration_since(since) >= REST {
            let surplus = self.fewest.get().min(stack.len().saturating_sub(1));
            // Those at the bottom worked least.
            stack.drain(..surplus.div_ceil(2));
        } else if self.since.get().is_some() {
            return;
        }
        self.since.set(Some(now));
        self.fewest.set(stack.len());
    }
}

impl Instances {
    /// What [`Instances::tend`] does on the waiting lane: worn and needless instances go, and the next call finds one.
    pub(super) fn tend_idle(&self, now: Instant) -> bool {
        self.idle.stack.borrow_mut().retain(|running| {
            let worn = self.worn(running, running.calls, now);
            worn.into_iter().for_each(|worn| self.owner.stats.count_recycled(worn));
            worn.is_none()
        });
        self.idle.shrink(now);
        if self.idle.count() > 0 || self.idle.away.get() >= self.owner.instances {
            return false;
        }
        self.start_ahead(Lane::Waiting, now).into_iter().for_each(|fresh| self.idle.put(fresh));
        true
    }
}
