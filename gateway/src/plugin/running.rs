//! A started instance: its store, and the functions of the roles that it plays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Store, UpdateDeadline};

use super::deadline::thread_cpu_time;
use super::exports::{Choice, RawDecision, Schedule, Verdict};
use super::fault::{Fault, FaultKind};
use super::host::{Host, Stage};
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
}

/// What configuring an instance answers.
type Configured = (Result<(), String>,);
/// A function of the contract, if the plugin plays its role.
type Export<R> = Option<TypedFunc<(), R>>;

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
    /// Starts an instance and configures it, within so much CPU time.
    pub(super) fn start(owner: &Arc<Use>, allowed: Duration) -> Result<Running, Fault> {
        let (module, limits) = (&owner.module, &owner.spec.limits);
        let (born, before) = (Instant::now(), thread_cpu_time());
        let mut store = Store::new(module.pre.engine(), Host::new(Arc::clone(owner)));
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(limits.import_bytes);
        store.set_max_component_handles(MOST_HANDLES);
        store.epoch_deadline_callback(|mut call| {
            let host = call.data_mut();
            host.pulse.beat();
            if let Some(soon) = host.meter.tick()? {
                host.pulse.ring_in(soon);
            }
            Ok(UpdateDeadline::Continue(1))
        });
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
                Ok(Running { store, exports, born, start_took, start_memory })
            }
            Ok(Err(mut refusal)) => {
                refusal.truncate(refusal.floor_char_boundary(LONGEST_REFUSAL));
                Err(Fault::new(FaultKind::Start, refusal))
            }
            Err(cause) => Err(Fault::new(FaultKind::Start, format!("it could not be started: {cause}"))),
        }
    }
}

/// An instance's exports, or the words with which it refused its configuration.
fn start_in(store: &mut Store<Host>, owner: &Use) -> wasmtime::Result<Result<Exports, String>> {
    let module = &owner.module;
    let instance = module.pre.instantiate(&mut *store)?;
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
        Some(configure) => configure.call(&mut *store, (&owner.spec.configuration,))?.0,
        None => Ok(()),
    };
    Ok(configured.map(|()| exports))
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

/// Calls a function of the contract.
pub(super) fn play<R>(function: &Export<R>, store: &mut Store<Host>) -> wasmtime::Result<R>
where
    R: ComponentNamedList + Lift,
{
    match function {
        Some(function) => function.call(store, ()),
        // Roles are looked at before: see `Instances`.
        None => Err(wasmtime::Error::msg("it does not play this role")),
    }
}
