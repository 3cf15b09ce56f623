//! What is done for instances so that calls need not: spares are started, worn instances give way to fresh ones.
//!
//! Workers call [`Instances::tend`] between requests. A start costs some ten microseconds and whatever `configure` does, so
//! one call of it starts one instance at most, and a start that failed is not tried again at once.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::Instances;
use crate::plugin::fault::{Fault, FaultKind};
use crate::plugin::host::Stage;
use crate::plugin::lane::Lane;
use crate::plugin::module::Role;
use crate::plugin::running::Running;
use crate::plugin::stats::{Start, Worn};

/// After an instance failed to start, the next try waits so long, and after each further failure twice as long:
/// starting may cost far more than a call may.
const START_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_START_PAUSE: Duration = Duration::from_secs(10);
/// A worker lets a start take this, or so many times what the trial's took if that is more: a `configure` that was
/// quick when it was tried must not hold up requests later.
const LEAST_START: Duration = Duration::from_millis(10);
const START_FACTOR: u32 = 4;
/// An instance whose memory is above the mark lives at least so long: a mark below what a plugin needs would else
/// start one at each look.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// What one worker keeps beside the instance that works.
#[derive(Default)]
pub(super) struct Stock {
    spares: RefCell<Vec<Running>>,
    /// Calls that the worker had made when the instance that works took over.
    calls_before: Cell<u64>,
    /// When the next start may be tried, after how many that failed in a row.
    start_again: Cell<Option<(Instant, u32)>>,
}

impl Stock {
    /// Another instance works from now on, after so many calls of this worker.
    pub(super) fn takes_over(&self, calls: u64) {
        self.calls_before.set(calls);
    }
}

impl Instances {
    /// The instance for a call that finds none: a spare, or else a fresh one.
    pub(super) fn take(&self) -> Result<Running, Fault> {
        // The call that takes it is counted already.
        self.stock.takes_over(self.calls.all().saturating_sub(1));
        let spare = self.stock.spares.borrow_mut().pop();
        match spare {
            Some(spare) => {
                self.owner.stats.count_start(Start::Spare);
                Ok(spare)
            }
            None => self.start(Start::InCall, Instant::now()),
        }
    }

    pub(super) fn start(&self, start: Start, now: Instant) -> Result<Running, Fault> {
        self.start_on(self.owner.lane, start, now)
    }

    /// Starts an instance for calls on a lane, if none failed to start a moment ago.
    pub(super) fn start_on(&self, lane: Lane, start: Start, now: Instant) -> Result<Running, Fault> {
        if self.may_not_start_before(now) {
            return Err(Fault::new(FaultKind::Start, "it failed to start a moment ago"));
        }
        let limits = &self.owner.spec.limits;
        let allowed = match self.owner.start_took.get() {
            Some(trial) => (*trial * START_FACTOR).max(LEAST_START).min(limits.start),
            None => limits.start,
        };
        self.owner.stats.count_start(start);
        match Running::start(&self.owner, lane, allowed) {
            Ok(running) => {
                self.stock.start_again.set(None);
                self.spares_requests.set(running.store.data().spares_requests);
                Ok(running)
            }
            Err(fault) => {
                let failed = self.stock.start_again.get().map_or(0, |(_, failed)| failed);
                let pause = START_PAUSE.saturating_mul(1 << failed.min(10)).min(LONGEST_START_PAUSE);
                self.stock.start_again.set(Some((now + pause, failed + 1)));
                self.owner.bear(None, &fault, now);
                Err(fault)
            }
        }
    }

    fn may_not_start_before(&self, now: Instant) -> bool {
        self.stock.start_again.get().is_some_and(|(again, _)| now < again)
    }

    /// Looks after this worker's instances: one works, the others stand by. Whether an instance was started, which
    /// takes its time; at most one is.
    pub fn tend(&self, now: Instant) -> bool {
        if !self.owner.quarantine.is_closed(Role::Lifecycle) || self.may_not_start_before(now) {
            return false;
        }
        if self.waits() {
            return self.tend_idle(now) || self.tend_foreseen(now);
        }
        let Ok(mut slot) = self.running.try_borrow_mut() else {
            return false;
        };
        let calls = self.calls.all() - self.stock.calls_before.get();
        let worn = slot.as_ref().and_then(|running| self.worn(running, calls, now));
        if slot.is_none() || worn.is_some() {
            let spare = self.stock.spares.borrow_mut().pop();
            let was_there = spare.is_some();
            if let Some(fresh) = spare.or_else(|| self.start_ahead(self.owner.lane, now)) {
                self.stock.takes_over(self.calls.all());
                *slot = Some(fresh);
                worn.into_iter().for_each(|worn| self.owner.stats.count_recycled(worn));
            }
            if !was_there {
                return true;
            }
        }
        drop(slot);
        self.keep_spares(now)
    }

    fn keep_spares(&self, now: Instant) -> bool {
        let wanted = self.owner.instances.saturating_sub(1);
        if self.stock.spares.borrow().len() >= wanted {
            return false;
        }
        let fresh = self.start_ahead(self.owner.lane, now);
        self.stock.spares.borrow_mut().extend(fresh);
        true
    }

    /// A fresh instance, started between calls. That it failed is counted and logged like a call's fault.
    pub(super) fn start_ahead(&self, lane: Lane, now: Instant) -> Option<Running> {
        let started = self.start_on(lane, Start::Ahead, now);
        started.inspect_err(|fault| self.report(Stage::Configure, "", fault)).ok()
    }

    /// Why an instance that made so many calls should give way to a fresh one, if it should.
    pub(super) fn worn(&self, running: &Running, calls: u64, now: Instant) -> Option<Worn> {
        let limits = &self.owner.spec.limits;
        if limits.recycle_calls.is_some_and(|most| calls >= most) {
            return Some(Worn::Calls);
        }
        let memory = running.store.data().limiter.memory_used();
        let grown = memory > limits.recycle_memory.max(running.start_memory);
        (grown && now.saturating_duration_since(running.born) >= SHORTEST_LIFE).then_some(Worn::Memory)
    }
}
