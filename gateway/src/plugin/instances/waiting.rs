//! Calls on the waiting lane: each has an instance to itself, from a stack of idle ones, for as long as it takes.
//!
//! While one is suspended the worker goes on, with other requests and other instances. A call ends with its answer or a
//! fault; or nobody waits for it any more, and it is dropped with its instance, as if it had not been made: its store is of no
//! use for another call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Instances, Lent};
use crate::plugin::caps::Cap;
use crate::plugin::context::Context;
use crate::plugin::exports::Answers;
use crate::plugin::fault::{Fault, FaultKind};
use crate::plugin::host::Stage;
use crate::plugin::module::Role;
use crate::plugin::running::{Export, Exports, Running, play_waiting};
use crate::plugin::stats::Start;

/// How long a call may take with all that it waits for. Chosen: a hundred times what a store may take by default. A request
/// with a shorter limit of its own does not wait so long.
const LONGEST_CALL: Duration = Duration::from_secs(2);

/// An instance that is in a call. Dropped before the call's end, the context goes back as it was.
struct Away<'a> {
    instances: &'a Instances,
    /// The role that the call is a probe of, if it is one.
    probe: Option<Role>,
    /// None when the call is over.
    call: Option<(Running, Lent<'a>)>,
}

impl Instances {
    pub(super) async fn call_waiting<R: Answers>(
        &self,
        stage: Stage,
        probe: Option<Role>,
        mut context: Option<&mut Box<Context>>,
        export: fn(&Exports) -> &Export<R>,
    ) -> Result<R::Answer, Fault> {
        let result = match self.send(stage, probe, context.as_deref_mut()) {
            Ok(away) => away.play(export).await,
            Err(fault) => Err(fault),
        };
        self.settle(stage, probe, context.as_deref().map(Box::as_ref), &result);
        result
    }

    /// Begins a call in an idle instance, or in a fresh one while there may be more.
    fn send<'a>(
        &'a self,
        stage: Stage,
        probe: Option<Role>,
        context: Option<&'a mut Box<Context>>,
    ) -> Result<Away<'a>, Fault> {
        let mut running = match self.idle.take() {
            Some(idle) => idle,
            None if self.idle.away.get() < self.owner.instances => {
                self.start(Start::InCall, Instant::now())?
            }
            None => {
                let all = self.owner.instances;
                return Err(Fault::new(FaultKind::Busy, format!("its {all} instances are in calls already")));
            }
        };
        running.calls += 1;
        self.idle.away.set(self.idle.away.get() + 1);
        let lent = Lent::lend(&mut running, context, stage);
        Ok(Away { instances: self, probe, call: Some((running, lent)) })
    }

    /// Starts an instance unless one is idle. Answers the CPU time that its start took.
    pub(super) fn warm_up_waiting(&self) -> Result<Duration, Fault> {
        let running = match self.idle.take() {
            Some(idle) => idle,
            None => self.start(Start::Ahead, Instant::now())?,
        };
        let took = running.start_took;
        self.idle.put(running);
        Ok(took)
    }
}

impl Away<'_> {
    async fn play<R: Answers>(mut self, export: fn(&Exports) -> &Export<R>) -> Result<R::Answer, Fault> {
        let (running, _) = self.call.as_mut().expect("it is over with the end of this function only");
        let Running { store, exports, .. } = running;
        let played = within(LONGEST_CALL, play_waiting(export(exports), store)).await;
        let (mut running, lent) = self.call.take().expect("it was there before");
        let Ok(played) = played else {
            running.store.data_mut().caps.hit(Cap::Deadline);
            running.store.data_mut().end();
            lent.undo(&mut running);
            let message =
                format!("it took longer than {} s with all that it waited for", LONGEST_CALL.as_secs());
            return Err(Fault::new(FaultKind::Deadline, message));
        };
        let result = lent.give_back(&mut running, played.map(R::answer));
        if result.is_ok() {
            self.instances.idle.put(running);
        }
        result
    }
}

/// What comes of something within this time. What is there at once, as most answers are, costs no look at the clock.
async fn within<T>(time: Duration, answer: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut answer = pin!(answer);
    match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => timeout(time, answer).await,
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let away = &self.instances.idle.away;
        away.set(away.get() - 1);
        let Some((mut running, lent)) = self.call.take() else { return };
        running.store.data_mut().end();
        lent.undo(&mut running);
        let owner = &self.instances.owner;
        owner.stats.count_abandoned();
        if let Some(role) = self.probe {
            owner.unprobed(role);
        }
    }
}
