//! One worker's running copies of a use, and the life of a call.
//!
//! A call lends an instance the request's context, runs the plugin, checks its answer, and takes the context back:
//! with the edits if all went well, without them if not. After a fault the instance is dropped, and the next call takes a
//! spare or starts a fresh one. On the synchronous lane nothing waits, so one instance for each worker is enough to work; calls
//! that wait stand in `waiting`, what is done for instances between calls in `upkeep`, and what keeps a bad version from
//! being called in [`super::quarantine`].

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::called::Called;
use super::context::{Context, Note};
use super::exports::{Answer, Answers, Choice, Decision, RawDecision, Schedule, Verdict};
use super::fault::{Fault, FaultKind};
use super::host::{Host, Stage};
use super::lane::Lane;
use super::module::{Role, Roles};
use super::running::{Export, Exports, Running, play};
use super::stats::{Calls, Start};
use super::use_::Use;
use crate::http::fields::Mark;
use crate::http::head::RequestMark;

mod foreseen;
mod idle;
mod memory;
mod upkeep;
mod waiting;

use foreseen::Foresight;
use idle::Idle;
use upkeep::Stock;

/// One worker's running copies of a use.
pub struct Instances {
    owner: Arc<Use>,
    /// The module's, here so that a use which does not play a role costs no walk to it.
    roles: Roles,
    /// Whether its instances do without on-request: what the one said that was started last, or the trial's.
    spares_requests: Cell<bool>,
    /// The one that makes plain calls: all on the synchronous lane, foreseen ones on the waiting lane.
    running: RefCell<Option<Running>>,
    /// Those of the waiting lane.
    idle: Idle,
    foresight: Foresight,
    calls: Arc<Calls>,
    stock: Stock,
}

impl Instances {
    /// Nothing runs until the first call.
    pub fn new(owner: Arc<Use>) -> Instances {
        let calls = owner.stats.worker();
        let roles = owner.module.roles;
        let foresight = Foresight::new(&owner);
        let spares_requests = owner.spares_requests.get().is_some_and(|spares| *spares);
        Instances {
            owner,
            roles,
            spares_requests: Cell::new(spares_requests),
            running: RefCell::new(None),
            idle: Idle::default(),
            foresight,
            calls,
            stock: Stock::default(),
        }
    }

    /// The use that it runs.
    pub fn use_(&self) -> &Arc<Use> {
        &self.owner
    }

    /// Starts an instance now rather than at the first call. Answers the CPU time that its start took.
    pub fn warm_up(&self) -> Result<Duration, Fault> {
        if self.owner.lane == Lane::Waiting {
            return self.warm_up_waiting();
        }
        let Ok(mut slot) = self.running.try_borrow_mut() else {
            return Err(Fault::new(FaultKind::Busy, "it is in a call"));
        };
        let running = match &mut *slot {
            Some(running) => running,
            empty => {
                self.stock.takes_over(self.calls.all());
                empty.insert(self.start(Start::Ahead, Instant::now())?)
            }
        };
        Ok(running.start_took)
    }

    /// Whether it plays all of these roles.
    pub fn plays(&self, roles: Roles) -> bool {
        self.roles.contains(roles)
    }

    /// Whether it does without on-request; known once an instance was started.
    pub fn spares_requests(&self) -> bool {
        self.spares_requests.get()
    }

    /// Asks a router; a use that is none goes on.
    pub fn route<'a>(&'a self, context: &'a mut Option<Box<Context>>) -> Called<'a, Decision> {
        if !self.plays(Roles::ROUTER) {
            return Called::over(Ok(Decision::GoOn));
        }
        let called: Called<'a, RawDecision> =
            self.call(Stage::Route, context.as_mut(), |exports| &exports.route);
        called.map(Decision::from)
    }

    /// Shows a filter the request; a use that is none, or does without, goes on.
    pub fn on_request<'a>(&'a self, context: &'a mut Option<Box<Context>>) -> Called<'a, Verdict> {
        if !self.plays(Roles::FILTER) || self.spares_requests.get() {
            return Called::over(Ok(Verdict::GoOn));
        }
        self.call(Stage::OnRequest, context.as_mut(), |exports| &exports.on_request)
    }

    /// Shows a filter the response; a use that is none goes on.
    pub fn on_response<'a>(&'a self, context: &'a mut Option<Box<Context>>) -> Called<'a, Verdict> {
        if !self.plays(Roles::FILTER) {
            return Called::over(Ok(Verdict::GoOn));
        }
        self.call(Stage::OnResponse, context.as_mut(), |exports| &exports.on_response)
    }

    /// Asks a policy for a node; a use that is none abstains. The index is one of the context's selection. What an
    /// abstaining policy wants kept is for the caller to settle.
    pub fn pick<'a>(&'a self, context: &'a mut Option<Box<Context>>) -> Called<'a, Choice> {
        if !self.plays(Roles::BALANCER) {
            return Called::over(Ok(Choice::Abstain));
        }
        if self.waits()
            && let Some(picked) = self.pick_foreseen(context)
        {
            return Called::over(picked);
        }
        self.call(Stage::Pick, context.as_mut(), |exports| &exports.pick)
    }

    /// Tells an observer of an attempt.
    pub fn on_complete<'a>(&'a self, context: &'a mut Option<Box<Context>>) -> Called<'a, ()> {
        if !self.plays(Roles::OBSERVER) {
            return Called::over(Ok(()));
        }
        self.call(Stage::OnComplete, context.as_mut(), |exports| &exports.on_complete)
    }

    /// When a timer acts; none if the use is none. It never waits.
    pub fn period(&self) -> Result<Option<Schedule>, Fault> {
        if !self.plays(Roles::TIMER) {
            return Ok(None);
        }
        let called = self.call(Stage::Period, None, |exports| &exports.period);
        let waited = || Err(Fault::new(FaultKind::Busy, "it waited, which nobody does here"));
        called.now_or_never().unwrap_or_else(waited).map(Some)
    }

    /// Lets a timer act.
    pub fn tick(&self) -> Called<'_, ()> {
        if !self.plays(Roles::TIMER) {
            return Called::over(Ok(()));
        }
        self.call(Stage::Tick, None, |exports| &exports.tick)
    }

    /// Whether its calls may wait: then they are to be awaited, and are dropped if nobody does.
    pub fn waits(&self) -> bool {
        self.owner.lane == Lane::Waiting
    }

    /// Counts a router's decision as a fault: it named a pool that there is not, which only the caller could see.
    pub fn disown_pool(&self, context: &Option<Box<Context>>, pool: &str) {
        let message = format!("route named the pool \"{pool}\", which there is not");
        let id = context.as_ref().map_or("", |context| context.id.as_str());
        self.report(Stage::Route, id, &Fault::new(FaultKind::Garbage, message));
    }

    #[inline]
    fn call<'a, R: Answers>(
        &'a self,
        stage: Stage,
        mut context: Option<&'a mut Box<Context>>,
        export: fn(&Exports) -> &Export<R>,
    ) -> Called<'a, R::Answer> {
        let probe = match self.admit(stage) {
            Ok(probe) => probe,
            Err(fault) => return Called::over(Err(fault)),
        };
        self.calls.count(stage.role());
        if self.waits() {
            return Called::waits(self.call_waiting(stage, probe, context, export));
        }
        let result = self.try_call(stage, context.as_deref_mut(), export);
        self.settle(stage, probe, context.as_deref().map(Box::as_ref), &result);
        Called::over(result)
    }

    /// Whether a call may be made; if its role is in quarantine, as a probe of the role that this tells.
    #[inline]
    fn admit(&self, stage: Stage) -> Result<Option<Role>, Fault> {
        if self.owner.quarantine.is_closed(stage.role()) {
            Ok(None)
        } else {
            self.admit_probe(stage).map(Some)
        }
    }

    #[cold]
    fn admit_probe(&self, stage: Stage) -> Result<Role, Fault> {
        self.owner.admits(stage, Instant::now()).ok_or_else(|| {
            self.calls.withhold();
            Fault::new(FaultKind::Quarantined, "it failed too often")
        })
    }

    /// Bears what came of a call.
    #[inline]
    fn settle<A>(
        &self,
        stage: Stage,
        probe: Option<Role>,
        context: Option<&Context>,
        result: &Result<A, Fault>,
    ) {
        let fault = result.as_ref().err();
        if let Some(fault) = fault {
            self.report(stage, context.map_or("", |context| context.id.as_str()), fault);
        }
        if let Some(role) = probe {
            self.owner.probed(role, stage, fault, Instant::now());
        }
    }

    fn try_call<R: Answers>(
        &self,
        stage: Stage,
        context: Option<&mut Box<Context>>,
        export: fn(&Exports) -> &Export<R>,
    ) -> Result<R::Answer, Fault> {
        let Ok(mut slot) = self.running.try_borrow_mut() else {
            return Err(Fault::new(FaultKind::Busy, "it is in a call already"));
        };
        let running = match &mut *slot {
            Some(running) => running,
            empty => empty.insert(self.take()?),
        };
        let lent = Lent::lend(running, context, stage);
        let played = play(export(&running.exports), &mut running.store);
        let result = lent.give_back(running, played.map(R::answer));
        if result.is_err() {
            *slot = None;
        }
        result
    }

    /// Counts a fault, and logs it unless another of this use was logged just now.
    #[cold]
    fn report(&self, stage: Stage, request_id: &str, fault: &Fault) {
        let now = Instant::now();
        let silent = self.owner.stats.count_fault(stage.role(), fault.kind, now);
        if let Some(silent) = silent {
            tracing::warn!(
                target: "plugin",
                plugin = &*self.owner.spec.name,
                version = %self.owner.module.version,
                role = stage.role().name(),
                function = stage.name(),
                request_id,
                kind = fault.kind.name(),
                not_logged = silent,
                "{}", fault.message
            );
        }
        // What did not start was counted when it was tried.
        if !matches!(fault.kind, FaultKind::Start | FaultKind::Busy) {
            self.owner.bear(Some(stage), fault, now);
        }
    }
}

/// A context that an instance has for the length of a call.
struct Lent<'a> {
    /// Where it is missing meanwhile; none if the call is about no request.
    from: Option<&'a mut Box<Context>>,
    marks: Marks,
}

impl<'a> Lent<'a> {
    /// Begins a call.
    #[inline]
    fn lend(running: &mut Running, mut from: Option<&'a mut Box<Context>>, stage: Stage) -> Lent<'a> {
        let host = running.store.data_mut();
        match &mut from {
            Some(context) => std::mem::swap(*context, &mut host.context),
            None => host.context.now = Instant::now(),
        }
        let marks = Marks::set(&host.context);
        let allowed = host.deadline;
        // Before it says that it begins: else the ticker might rest before it waits for a tick.
        running.store.set_epoch_deadline(1);
        running.store.data_mut().begin(stage, allowed);
        Lent { from, marks }
    }

    /// Ends it: what it did counts if it went well and its answer makes sense.
    #[inline]
    fn give_back<A: Answer>(self, running: &mut Running, played: wasmtime::Result<A>) -> Result<A, Fault> {
        let host = running.store.data_mut();
        let result = match played {
            Ok(answer) => commit(host, answer),
            Err(error) => Err(Fault::explain(&error, host)),
        };
        host.end();
        if result.is_err() {
            self.undo(running)
        } else {
            self.put_back(running)
        }
        result
    }

    /// Ends it as if it had not been made.
    #[cold]
    fn undo(self, running: &mut Running) {
        self.marks.undo(&mut running.store.data_mut().context);
        self.put_back(running);
    }

    #[inline]
    fn put_back(self, running: &mut Running) {
        if let Some(context) = self.from {
            std::mem::swap(context, &mut running.store.data_mut().context);
        }
    }
}

/// Where the context stood before a call, so that a fault leaves nothing of it.
struct Marks {
    request: RequestMark,
    response: Mark,
    status: u16,
}

impl Marks {
    fn set(context: &Context) -> Marks {
        Marks {
            request: context.request.mark(),
            response: context.response.fields.mark(),
            status: context.response.status,
        }
    }

    fn undo(&self, context: &mut Context) {
        context.request.undo(self.request);
        context.response.fields.undo(self.response);
        context.response.status = self.status;
        context.selection.undo_keep();
    }
}

/// Makes what a call did count, if its answer makes sense.
fn commit<A: Answer>(host: &mut Host, answer: A) -> Result<A, Fault> {
    answer.check(host).map_err(|message| Fault::new(FaultKind::Garbage, message))?;
    host.context.spares_response =
        host.spares_response || host.spares_bound && host.bound.is_some_and(|bound| answer.picks(bound));
    if let Some((number, text)) = host.note.take() {
        let key = host.owner.key;
        let notes = &mut host.context.notes;
        match notes.iter_mut().find(|note| note.key == key) {
            Some(note) => (note.number, note.text) = (number, text),
            None => notes.push(Note { key, number, text }),
        }
    }
    if answer.is_final() {
        std::mem::swap(&mut host.context.reply, &mut host.reply);
    }
    host.reply.fields.clear();
    host.reply.body.clear();
    Ok(answer)
}
