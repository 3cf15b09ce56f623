//! A started instance: its store, and the functions of the roles that it plays.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Store, UpdateDeadline};

use super::exports::{Choice, RawDecision, Schedule, Verdict};
use super::fault::{Fault, FaultKind};
use super::host::{Host, Stage};
use super::use_::Use;

/// CPU time that starting and configuring an instance may take.
const START_DEADLINE: Duration = Duration::from_millis(100);
/// Bytes that a plugin may hand to one import: the largest is a reply's body of 1 MiB.
const HOSTCALL_BYTES: usize = 2 * 1024 * 1024;
/// Handles (of WASI's streams) that an instance may hold.
const MOST_HANDLES: usize = 64;
/// Bytes that are kept of the words with which a plugin refuses its configuration.
const LONGEST_REFUSAL: usize = 2048;

/// A started instance. Dropped after any fault: a trap poisons its store.
pub(super) struct Running {
    pub(super) store: Store<Host>,
    pub(super) exports: Exports,
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
    /// Starts an instance and configures it.
    pub(super) fn start(owner: &Arc<Use>) -> Result<Running, Fault> {
        let module = &owner.module;
        let mut store = Store::new(module.pre.engine(), Host::new(Arc::clone(owner)));
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MOST_HANDLES);
        store.epoch_deadline_callback(|mut call| {
            call.data().owner.module.pulse.beat();
            call.data_mut().meter.tick()?;
            Ok(UpdateDeadline::Continue(1))
        });
        store.set_epoch_deadline(1);
        let host = store.data_mut();
        host.begin(Stage::Configure);
        host.meter.restart(START_DEADLINE);
        let started = start_in(&mut store, owner);
        let host = store.data_mut();
        host.end();
        match started {
            Ok(Ok(exports)) => Ok(Running { store, exports }),
            Ok(Err(mut refusal)) => {
                refusal.truncate(refusal.floor_char_boundary(LONGEST_REFUSAL));
                Err(Fault::new(FaultKind::Start, refusal))
            }
            Err(error) => {
                let cause = Fault::from_error(&error, host.limiter.refused);
                Err(Fault::new(FaultKind::Start, format!("it could not be started: {cause}")))
            }
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
