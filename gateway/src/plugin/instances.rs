//! One worker's running copy of a use, and the life of a call.
//!
//! A call lends the instance the request's context, runs the plugin, checks its answer, and takes the context back:
//! with the edits if all went well, without them if not. After a fault the instance is dropped, and the next call takes a
//! spare or starts a fresh one. Nothing here waits, so one instance for each worker is enough to work; what is done for
//! instances between calls stands in `upkeep`, and what keeps a bad version from being called in
//! [`super::quarantine`].

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::{Context, Note};
use super::exports::{Answer, Choice, Decision, RawDecision, Schedule, Verdict};
use super::fault::{Fault, FaultKind};
use super::host::{Host, Stage};
use super::module::Roles;
use super::running::{Exports, Running, play};
use super::stats::{Calls, Start};
use super::use_::Use;
use crate::http::fields::Mark;
use crate::http::head::RequestMark;

mod memory;
mod upkeep;

use upkeep::Stock;

/// One worker's running copy of a use.
pub struct Instances {
    owner: Arc<Use>,
    /// The module's, here so that a use which does not play a role costs no walk to it.
    roles: Roles,
    running: RefCell<Option<Running>>,
    calls: Arc<Calls>,
    stock: Stock,
}

impl Instances {
    /// Nothing runs until the first call.
    pub fn new(owner: Arc<Use>) -> Instances {
        let calls = owner.stats.worker();
        let roles = owner.module.roles;
        Instances { owner, roles, running: RefCell::new(None), calls, stock: Stock::default() }
    }

    /// The use that it runs.
    pub fn use_(&self) -> &Arc<Use> {
        &self.owner
    }

    /// Starts the instance now rather than at the first call. Answers the CPU time that its start took.
    pub fn warm_up(&self) -> Result<Duration, Fault> {
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

    /// Asks a router; a use that is none goes on.
    pub fn route(&self, context: &mut Option<Box<Context>>) -> Result<Decision, Fault> {
        if !self.plays(Roles::ROUTER) {
            return Ok(Decision::GoOn);
        }
        let play = |store: &mut _, exports: &Exports| Ok(play(&exports.route, store)?.0);
        self.call::<RawDecision>(Stage::Route, context, play).map(Decision::from)
    }

    /// Shows a filter the request; a use that is none goes on.
    pub fn on_request(&self, context: &mut Option<Box<Context>>) -> Result<Verdict, Fault> {
        if !self.plays(Roles::FILTER) {
            return Ok(Verdict::GoOn);
        }
        self.call(Stage::OnRequest, context, |store, exports| Ok(play(&exports.on_request, store)?.0))
    }

    /// Shows a filter the response; a use that is none goes on.
    pub fn on_response(&self, context: &mut Option<Box<Context>>) -> Result<Verdict, Fault> {
        if !self.plays(Roles::FILTER) {
            return Ok(Verdict::GoOn);
        }
        self.call(Stage::OnResponse, context, |store, exports| Ok(play(&exports.on_response, store)?.0))
    }

    /// Asks a policy for a node; a use that is none abstains. The index is one of the context's selection. What an
    /// abstaining policy wants kept is for the caller to settle.
    pub fn pick(&self, context: &mut Option<Box<Context>>) -> Result<Choice, Fault> {
        if !self.plays(Roles::BALANCER) {
            return Ok(Choice::Abstain);
        }
        self.call(Stage::Pick, context, |store, exports| Ok(play(&exports.pick, store)?.0))
    }

    /// Tells an observer of an attempt.
    pub fn on_complete(&self, context: &mut Option<Box<Context>>) -> Result<(), Fault> {
        if !self.plays(Roles::OBSERVER) {
            return Ok(());
        }
        self.call(Stage::OnComplete, context, |store, exports| play(&exports.on_complete, store))
    }

    /// When a timer acts; none if the use is none.
    pub fn period(&self) -> Result<Option<Schedule>, Fault> {
        if !self.plays(Roles::TIMER) {
            return Ok(None);
        }
        self.call(Stage::Period, &mut None, |store, exports| Ok(play(&exports.period, store)?.0)).map(Some)
    }

    /// Lets a timer act.
    pub fn tick(&self) -> Result<(), Fault> {
        if !self.plays(Roles::TIMER) {
            return Ok(());
        }
        self.call(Stage::Tick, &mut None, |store, exports| play(&exports.tick, store))
    }

    /// Counts a router's decision as a fault: it named a pool that there is not, which only the caller could see.
    pub fn disown_pool(&self, context: &Option<Box<Context>>, pool: &str) {
        let message = format!("route named the pool \"{pool}\", which there is not");
        self.report(Stage::Route, context, &Fault::new(FaultKind::Garbage, message));
    }

    fn call<A: Answer>(
        &self,
        stage: Stage,
        context: &mut Option<Box<Context>>,
        play: impl FnOnce(&mut wasmtime::Store<Host>, &Exports) -> wasmtime::Result<A>,
    ) -> Result<A, Fault> {
        if !self.owner.quarantine.is_closed(stage.role()) {
            return self.probe(stage, context, play);
        }
        self.counted_call(stage, context, play)
    }

    /// A call that counts, and whose fault is borne.
    fn counted_call<A: Answer>(
        &self,
        stage: Stage,
        context: &mut Option<Box<Context>>,
        play: impl FnOnce(&mut wasmtime::Store<Host>, &Exports) -> wasmtime::Result<A>,
    ) -> Result<A, Fault> {
        self.calls.count(stage.role());
        let result = self.try_call(stage, context, play);
        if let Err(fault) = &result {
            self.report(stage, context, fault);
        }
        result
    }

    /// A call of a role in quarantine: it is made only if it is due as a probe.
    #[cold]
    fn probe<A: Answer>(
        &self,
        stage: Stage,
        context: &mut Option<Box<Context>>,
        play: impl FnOnce(&mut wasmtime::Store<Host>, &Exports) -> wasmtime::Result<A>,
    ) -> Result<A, Fault> {
        let Some(role) = self.owner.admits(stage, Instant::now()) else {
            self.calls.withhold();
            return Err(Fault::new(FaultKind::Quarantined, "it failed too often"));
        };
        let result = self.counted_call(stage, context, play);
        self.owner.probed(role, stage, result.as_ref().err(), Instant::now());
        result
    }

    fn try_call<A: Answer>(
        &self,
        stage: Stage,
        context: &mut Option<Box<Context>>,
        play: impl FnOnce(&mut wasmtime::Store<Host>, &Exports) -> wasmtime::Result<A>,
    ) -> Result<A, Fault> {
        let Ok(mut slot) = self.running.try_borrow_mut() else {
            return Err(Fault::new(FaultKind::Busy, "it is in a call already"));
        };
        let running = match &mut *slot {
            Some(running) => running,
            empty => empty.insert(self.take()?),
        };
        let host = running.store.data_mut();
        match context {
            Some(lent) => std::mem::swap(lent, &mut host.context),
            None => host.context.now = Instant::now(),
        }
        let marks = Marks::set(&host.context);
        // Before it says that it begins: else the ticker might rest before it waits for a tick.
        running.store.set_epoch_deadline(1);
        running.store.data_mut().begin(stage, self.owner.spec.limits.deadline);
        let result = play(&mut running.store, &running.exports);
        let host = running.store.data_mut();
        let result = match result {
            Ok(answer) => commit(host, answer),
            Err(error) => Err(Fault::explain(&error, host)),
        };
        host.end();
        if result.is_err() {
            marks.undo(&mut host.context);
        }
        if let Some(lent) = context {
            std::mem::swap(lent, &mut host.context);
        }
        if result.is_err() {
            *slot = None;
        }
        result
    }

    /// Counts a fault, and logs it unless another of this use was logged just now.
    #[cold]
    fn report(&self, stage: Stage, context: &Option<Box<Context>>, fault: &Fault) {
        let now = Instant::now();
        let silent = self.owner.stats.count_fault(stage.role(), fault.kind, now);
        if let Some(silent) = silent {
            tracing::warn!(
                target: "plugin",
                plugin = &*self.owner.spec.name,
                version = %self.owner.module.version,
                role = stage.role().name(),
                function = stage.name(),
                request_id = context.as_ref().map_or("", |context| context.id.as_str()),
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

    #[cold]
    fn undo(self, context: &mut Context) {
        context.request.undo(self.request);
        context.response.fields.undo(self.response);
        context.response.status = self.status;
        context.selection.undo_keep();
    }
}

/// Makes what a call did count, if its answer makes sense.
fn commit<A: Answer>(host: &mut Host, answer: A) -> Result<A, Fault> {
    answer.check(host).map_err(|message| Fault::new(FaultKind::Garbage, message))?;
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
