//! Compiles plugins, and gives the tick by which running ones are measured.
//!
//! One engine serves the process. Compiling takes tens of milliseconds and is never done on a worker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Config;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use super::bounded::Overdue;
use super::compiled::{Compilations, CompiledCode, FunctionStore};
use super::fault::LoadError;
use super::host::Host;
use super::lane::{Lane, WAITING};
use super::module::{Functions, Module, Role, Roles, Version};
use super::ticker::Ticker;
use super::{classify, imports, signatures, wasi};

/// A plugin's stack, the same for all since the engine has one size. Threads that call plugins need this much and room
/// for the host's own frames.
pub const STACK: usize = 512 * 1024;
/// The stack of a call on the waiting lane: the plugin's, and as much for the host's own frames, stores included. It is
/// address space, of which a call touches some pages.
const WAITING_STACK: usize = 2 * STACK;

/// Compiles plugins for this process.
pub struct Engine {
    linker: Linker<Host>,
    /// The same for the waiting lane.
    waiting: Linker<Host>,
    ticker: Ticker,
    /// Where compiled code outlives the process, if anywhere.
    code: Option<CompiledCode>,
    modules: AtomicU64,
    pub(super) overdue: Overdue,
}

/// The engine could not be set up: a fault of the machine or of this program.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine can not start on this machine: {0:#}")]
pub struct EngineError(wasmtime::Error);

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> EngineError {
        EngineError(error)
    }
}

impl Engine {
    /// Sets up the engine, everything that plugins may import, and the ticking thread.
    pub fn new() -> Result<Engine, EngineError> {
        Engine::start(&config(), |_| None)
    }

    /// The same with a folder where compiled code outlives the process; one that cannot be used is only warned of.
    pub fn with_code(folder: &Path) -> Result<Engine, EngineError> {
        let functions = Arc::<FunctionStore>::default();
        let mut config = config();
        config.enable_incremental_compilation(functions.clone())?;
        Engine::start(&config, |engine| {
            let code = CompiledCode::open(folder, engine, functions);
            code.inspect_err(|error| {
                tracing::warn!("compiled code cannot be kept in {}: {error}", folder.display())
            })
            .ok()
        })
    }

    fn start(
        config: &Config,
        code: impl FnOnce(&wasmtime::Engine) -> Option<CompiledCode>,
    ) -> Result<Engine, EngineError> {
        let engine = wasmtime::Engine::new(config)?;
        let code = code(&engine);
        let link = |lane| {
            let mut linker = Linker::new(&engine);
            imports::link(&mut linker, lane)?;
            wasi::link(&mut linker).map(|()| linker)
        };
        let (linker, waiting) = (link(Lane::Synchronous)?, link(Lane::Waiting)?);
        let ticker = Ticker::start(move || engine.increment_epoch()).map_err(wasmtime::Error::from)?;
        Ok(Engine { linker, waiting, ticker, code, modules: AtomicU64::new(0), overdue: Overdue::default() })
    }

    /// How much was compiled so far.
    pub fn compilations(&self) -> Compilations {
        let (functions, reused) = self.code.as_ref().map_or((0, 0), CompiledCode::counts);
        Compilations { modules: self.modules.load(Ordering::Relaxed), functions, reused }
    }

    /// Compiles what is in a file: a component, or a core module that the SDK made. Takes tens of milliseconds.
    pub fn compile(&self, bytes: &[u8]) -> Result<Module, LoadError> {
        let version = Version::of(bytes);
        let component = classify::component(bytes)?;
        let refused =
            |error: wasmtime::Error| LoadError::Refused(format!("it can not be compiled: {error:#}"));
        let compile = || Component::from_binary(self.linker.engine(), &component);
        let component = match &self.code {
            Some(code) => code.with(version, compile),
            None => compile(),
        };
        let component = component.map_err(refused)?;
        self.modules.fetch_add(1, Ordering::Relaxed);
        let interfaces = self.check_imports(&component)?;
        let roles = self.roles(&component)?;
        let functions = functions(&component, roles)?;
        let pre = prepare(&self.linker, &component)?;
        let may_wait = interfaces.iter().any(|interface| WAITING.contains(&&**interface));
        let waiting = may_wait.then(|| prepare(&self.waiting, &component)).transpose()?;
        let pulse = self.ticker.pulse();
        Ok(Module { version, roles, interfaces, size: bytes.len(), pre, waiting, functions, pulse })
    }

    /// What plugins on the waiting lane import, for tests that stand in for a store.
    #[cfg(test)]
    pub(super) fn waiting_linker(&mut self) -> &mut Linker<Host> {
        &mut self.waiting
    }

    /// The contract's interfaces that a plugin imports. Whatever is neither of the contract nor of the little WASI
    /// that we serve is refused here, by name.
    fn check_imports(&self, component: &Component) -> Result<Vec<String>, LoadError> {
        let mut interfaces = Vec::new();
        for (import, _) in component.component_type().imports(self.linker.engine()) {
            let (package, interface, version) = split(import);
            if package == imports::PACKAGE {
                check_version(import, version)?;
                if !imports::INTERFACES.contains(&interface) {
                    return Err(LoadError::Refused(format!(
                        "it imports {import}, which this gateway does not have; its plugins may import {}",
                        imports::INTERFACES.join(", ")
                    )));
                }
                interfaces.push(interface.to_owned());
            } else if !wasi::PACKAGES.contains(&package) || !version.starts_with("0.2.") {
                return Err(LoadError::Refused(format!(
                    "it imports {import}, which plugins are not given: they have no network, and nothing of WASI but \
                     what Rust's standard library needs"
                )));
            }
        }
        Ok(interfaces)
    }

    fn roles(&self, component: &Component) -> Result<Roles, LoadError> {
        let mut roles = Roles::default();
        for (export, item) in component.component_type().exports(self.linker.engine()) {
            let (package, interface, version) = split(export);
            if package != imports::PACKAGE || !matches!(item.ty, ComponentItem::ComponentInstance(_)) {
                continue;
            }
            check_version(export, version)?;
            Role::ALL.into_iter().filter(|role| role.name() == interface).for_each(|role| roles.insert(role));
        }
        if roles.is_empty() || roles == Roles::LIFECYCLE {
            return Err(LoadError::Refused(
                "it plays no role: name at least one of router, balancer, filter, observer and timer in export!".to_owned(),
            ));
        }
        Ok(roles)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    config.max_wasm_stack(STACK).async_stack_size(WAITING_STACK);
    config
}

/// Finds all that a plugin imports.
fn prepare(linker: &Linker<Host>, component: &Component) -> Result<InstancePre<Host>, LoadError> {
    let mut linker = linker.clone();
    let linked = wasi::link_the_rest(&mut linker, component);
    linked.and_then(|()| linker.instantiate_pre(component)).map_err(|error| {
        LoadError::Refused(format!("it was built for another version of the plugin contract: {error:#}"))
    })
}

/// "bascule:plugin/nodes@0.1.0" is package, interface and version.
fn split(name: &str) -> (&str, &str, &str) {
    let (path, version) = name.split_once('@').unwrap_or((name, ""));
    let (package, interface) = path.split_once('/').unwrap_or((path, ""));
    (package, interface, version)
}

fn check_version(name: &str, version: &str) -> Result<(), LoadError> {
    if version.starts_with("0.1.") {
        return Ok(());
    }
    Err(LoadError::Refused(format!(
        "it was built for {name}, and this gateway speaks version 0.1 of the contract; build it with a matching SDK"
    )))
}

/// Finds each role's functions, and sees that they have the contract's types.
fn functions(component: &Component, roles: Roles) -> Result<Functions, LoadError> {
    let find = |role: Role, name: &str| -> Result<Option<ComponentExportIndex>, LoadError> {
        if !roles.plays(role) {
            return Ok(None);
        }
        let interface = format!("{}/{}@0.1.0", imports::PACKAGE, role.name());
        let instance = component.get_export_index(None, &interface);
        let function = instance.and_then(|instance| component.get_export(Some(&instance), name));
        match function {
            Some((item, function)) => signatures::check(role, name, &item).map(|()| Some(function)),
            None => Err(LoadError::Refused(format!("it exports {interface} without its function {name}"))),
        }
    };
    Ok(Functions {
        configure: find(Role::Lifecycle, "configure")?,
        route: find(Role::Router, "route")?,
        pick: find(Role::Balancer, "pick")?,
        on_request: find(Role::Filter, "on-request")?,
        on_response: find(Role::Filter, "on-response")?,
        on_complete: find(Role::Observer, "on-complete")?,
        period: find(Role::Timer, "period")?,
        tick: find(Role::Timer, "tick")?,
    })
}
