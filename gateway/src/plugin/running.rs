//! A started instance: its store, and the functions of the roles that it plays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use super::deadline::{self, thread_cpu_time};
use super::exports::{Choice, RawDecision, Schedule, Verdict};
use super::fault::{Fault, FaultKind};
use super::host::{Host, Stage};
use super::lane::Lane;
use super::ticker::Pulse;
use super::use_::Use;

/// Handles (of WASI's streams) that an instance may hold.
const MOST_HANDLES: usize = 64;
/// Bytes that are kept of the words with which a plugin refuses its configuration.
const LONGEST_REFUSAL: usize = 2048;

/// A started instance. Dropped after any fault: a trap poisons its store.
pub(super) struct Running {
    pub(super) store: Store<Host>,
    pub(super) exports: Exports,
    /// When it was started, what CPU time that took, and how many bytes of memory it held then.
    pub(super) born: Instant,
    pub(super) start_took: Duration,
    pub(super) start_memory: usize,
    /// Calls that it made; not counted where one instance makes all of a worker's calls.
    pub(super) calls: u64,
}

/// What configuring an instance answers.
type Configured = (Result<(), String>,);
/// A function of the contract, if the plugin plays its role.
pub(super) type Export<R> = Option<TypedFunc<(), R>>;

/// The roles' functions, typed once for each instance.
pub(super) struct Exports {
    pub(super) route: Export<(RawDecision,)>,
    pub(super) pick: Export<(Choice,)>,
    pub(super) on_request: Export<(Verdict,)>,
    pub(super) on_response: Export<(Verdict,)>,
    pub(super) on_complete: Export<()>,
    pub(super) period: Export<(Schedule,)>,
    pub(super) tick: Export<()>,
}

impl Running {
    /// Starts an instance for calls on a lane and configures it, within so much CPU time.
    pub(super) fn start(owner: &Arc<Use>, lane: Lane, allowed: Duration) -> Result<Running, Fault> {
        let (module, limits) = (&owner.module, &owner.spec.limits);
        let (born, before) = (Instant::now(), thread_cpu_time());
        let mut store = Store::new(module.pre.engine(), Host::new(Arc::clone(owner), lane));
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(limits.import_bytes);
        store.set_max_component_handles(MOST_HANDLES);
        store.epoch_deadline_callback(hear_tick);
        store.set_epoch_deadline(1);
        let host = store.data_mut();
        host.begin(Stage::Configure, allowed);
        let started = start_in(&mut store, owner);
        let host = store.data_mut();
        let started = started.map_err(|error| Fault::explain(&error, host));
        host.end();
        match started {
            Ok(Ok(exports)) => {
                let start_memory = host.limiter.memory_used();
                let start_took = thread_cpu_time().saturating_sub(before);
                Ok(Running { store, exports, born, start_took, start_memory, calls: 0 })
            }
            Ok(Err(mut refusal)) => {
                refusal.truncate(refusal.floor_char_boundary(LONGEST_REFUSAL));
                Err(Fault::new(FaultKind::Start, refusal))
            }
            Err(cause) => Err(Fault::new(FaultKind::Start, format!("it could not be started: {cause}"))),
        }
    }
}

/// A call that runs hears of a tick. It goes on, is ended, or on the waiting lane gives way to whoever is ready to run.
fn hear_tick(mut call: StoreContextMut<'_, Host>) -> wasmtime::Result<UpdateDeadline> {
    let host = call.data_mut();
    host.pulse.beat();
    if let Some(soon) = host.meter.tick()? {
        host.pulse.ring_in(soon);
    }
    if host.lane == Lane::Synchronous || !host.stage.may_wait() {
        return Ok(UpdateDeadline::Continue(1));
    }
    host.meter.pause();
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(give_way(Arc::clone(&host.pulse)))))
}

async fn give_way(pulse: Arc<Pulse>) {
    // Tokio's, since that comes back only after what arrived meanwhile: a waker that is woken at once would come first.
    tokio::task::yield_now().await;
    deadline::look(pulse.ticks());
}

/// An instance's exports, or the words with which it refused its configuration.
fn start_in(store: &mut Store<Host>, owner: &Use) -> wasmtime::Result<Result<Exports, String>> {
    let module = &owner.module;
    let instance = instantiate(store, owner)?;
    let functions = &module.functions;
    let exports = Exports {
        route: find(store, &instance, &functions.route)?,
        pick: find(store, &instance, &functions.pick)?,
        on_request: find(store, &instance, &functions.on_request)?,
        on_response: find(store, &instance, &functions.on_response)?,
        on_complete: find(store, &instance, &functions.on_complete)?,
        period: find(store, &instance, &functions.period)?,
        tick: find(store, &instance, &functions.tick)?,
    };
    let configure: Option<TypedFunc<(&str,), Configured>> = find(store, &instance, &functions.configure)?;
    let configured = match configure {
        Some(configure) => {
            let configuration = (&*owner.spec.configuration,);
            match store.data().lane {
                Lane::Synchronous => configure.call(&mut *store, configuration)?.0,
                Lane::Waiting => at_once(configure.call_async(&mut *store, configuration))?.0,
            }
        }
        None => Ok(()),
    };
    Ok(configured.map(|()| exports))
}

fn instantiate(store: &mut Store<Host>, owner: &Use) -> wasmtime::Result<Instance> {
    match (store.data().lane, &owner.module.waiting) {
        (Lane::Waiting, Some(pre)) => at_once(pre.instantiate_async(store)),
        _ => owner.module.pre.instantiate(store),
    }
}

/// What comes of something that never waits: nobody would come back to it.
fn at_once<T>(started: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    started.now_or_never().unwrap_or_else(|| Err(wasmtime::Error::msg("it waited while it was started")))
}

fn find<P, R>(
    store: &mut Store<Host>,
    instance: &Instance,
    function: &Option<ComponentExportIndex>,
) -> wasmtime::Result<Option<TypedFunc<P, R>>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let Some(function) = function else { return Ok(None) };
    instance.get_typed_func(store, function).map(Some)
}

/// Calls a function of the contract on the synchronous lane.
#[inline]
pub(super) fn play<R>(function: &Export<R>, store: &mut Store<Host>) -> wasmtime::Result<R>
where
    R: ComponentNamedList + Lift,
{
    function.as_ref().ok_or_else(no_such_role)?.call(store, ())
}

/// Calls a function of the contract on the waiting lane.
pub(super) async fn play_waiting<R>(function: &Export<R>, store: &mut Store<Host>) -> wasmtime::Result<R>
where
    R: ComponentNamedList + Lift + 'static,
{
    function.as_ref().ok_or_else(no_such_role)?.call_async(store, ()).await
}

/// Roles are looked at before: see `Instances`.
#[cold]
fn no_such_role() -> wasmtime::Error {
    wasmtime::Error::msg("it does not play this role")
}
