//! Picks whose question about sessions is answered before they are made: then nothing in them waits, and a plain call will do.
//!
//! A use whose sessions are elsewhere is on the waiting lane, where each call costs a stack of its own. But most clients that come
//! back are known here. So the gateway looks for the session by the cookie that the plugin asked for when it was tried; if it is
//! known, or there is no cookie, the pick is a plain call of an instance that is kept for this. Should such a call want something that
//! has to be waited for, or more time than a plain call has, it is made again on the waiting lane as if it had not been made.
//! See docs/decisions/0053.

use std::cell::Cell;
use std::time::Instant;

use super::{Instances, Lent};
use crate::plugin::context::Context;
use crate::plugin::deadline::OutOfTime;
use crate::plugin::exports::{Answers, Choice};
use crate::plugin::fault::Fault;
use crate::plugin::host::{Bound, Stage};
use crate::plugin::imports::sessions::Elsewhere;
use crate::plugin::lane::Lane;
use crate::plugin::module::{Role, Roles};
use crate::plugin::running::play;
use crate::plugin::use_::Use;
use crate::store::Now;

/// After a pick that had to be made again, so many are made on the waiting lane at once. Chosen: starting an instance, which is the price of a
/// wrong guess, costs as much as some ten picks on that lane.
const CAUTION: u32 = 1000;

/// What one worker knows of how well picks of a use are foreseen.
pub(super) struct Foresight {
    /// Whether it is tried at all.
    is_wanted: bool,
    /// Picks for which it is not tried.
    caution: Cell<u32>,
}

impl Foresight {
    pub(super) fn new(owner: &Use) -> Foresight {
        // What is shared with other gateways would have to be asked for as well.
        let only_sessions = owner.space.local().is_some() || !owner.module.imports("shared");
        let is_wanted =
            owner.lane == Lane::Waiting && owner.module.roles.contains(Roles::BALANCER) && only_sessions;
        Foresight { is_wanted, caution: Cell::new(0) }
    }
}

impl Instances {
    /// A pick by a plain call; none if it has to be made on the waiting lane.
    pub(super) fn pick_foreseen(&self, context: &mut Option<Box<Context>>) -> Option<Result<Choice, Fault>> {
        let caution = &self.foresight.caution;
        if !self.foresight.is_wanted || !self.owner.quarantine.is_closed(Role::Balancer) {
            return None;
        }
        if caution.get() > 0 {
            caution.set(caution.get() - 1);
            return None;
        }
        let context = context.as_mut()?;
        let bound = self.foresee(context)?;
        let mut slot = self.running.try_borrow_mut().ok()?;
        let running = slot.as_mut()?;
        let lent = Lent::lend(running, Some(context), Stage::Pick);
        running.store.data_mut().foreseen = Some(bound);
        let played = play(&running.exports.pick, &mut running.store);
        if played.as_ref().is_err_and(|error| error.is::<Elsewhere>() || error.is::<OutOfTime>()) {
            running.store.data_mut().end();
            lent.undo(running);
            *slot = None;
            caution.set(CAUTION);
            return None;
        }
        running.calls += 1;
        self.calls.count(Role::Balancer);
        let result = lent.give_back(running, played.map(Answers::answer));
        if result.is_err() {
            *slot = None;
        }
        self.settle(Stage::Pick, None, Some(context), &result);
        Some(result)
    }

    /// Where the client of a request is bound, as far as that is known without waiting.
    fn foresee(&self, context: &Context) -> Option<Bound> {
        let cookie = self.owner.cookie.get()?;
        let Some(token) = context.token(cookie) else { return Some(None) };
        let owner = self.owner.sessions_in(&context.pool);
        match self.owner.services.sessions.get_now(&owner, token, context.now) {
            Now::Known(bound) => Some(bound),
            Now::Ask => None,
        }
    }

    /// What [`Instances::tend`] does for the instance that makes these calls.
    pub(super) fn tend_foreseen(&self, now: Instant) -> bool {
        if !self.foresight.is_wanted || self.owner.cookie.get().is_none() || self.foresight.caution.get() > 0
        {
            return false;
        }
        let Ok(mut slot) = self.running.try_borrow_mut() else {
            return false;
        };
        let worn = slot.as_ref().and_then(|running| self.worn(running, running.calls, now));
        if slot.is_some() && worn.is_none() {
            return false;
        }
        if let Some(fresh) = self.start_ahead(Lane::Synchronous, now) {
            *slot = Some(fresh);
            worn.into_iter().for_each(|worn| self.owner.stats.count_recycled(worn));
        }
        true
    }
}
