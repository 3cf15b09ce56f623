//! The little of WASI that Rust's standard library drags into a plugin.
//!
//! Our own, since wasmtime-wasi's synchronous bindings block on a runtime, which a worker must not. A plugin gets clocks,
//! randomness, and a standard output and error that end in the log; its environment, arguments, input and folders are
//! empty. Whatever else of these packages it imports is linked too, and ends the call if it is ever used.

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::host::Host;
use super::replay::is_replaying;

mod io;

/// WASI's packages that a plugin may import.
pub(super) const PACKAGES: [&str; 5] =
    ["wasi:cli", "wasi:clocks", "wasi:io", "wasi:random", "wasi:filesystem"];
/// Any 0.2 finds this one: they are compatible, and the linker knows.
const VERSION: &str = "0.2.0";
/// Bytes of randomness that one call of an import gives.
const MOST_RANDOM: u64 = 64 * 1024;

type Instance<'a> = LinkerInstance<'a, Host>;
type Call<'a> = StoreContextMut<'a, Host>;

/// What a plugin never holds: terminals, folders, things to wait for.
enum Nothing {}

fn open<'a>(linker: &'a mut Linker<Host>, interface: &str) -> wasmtime::Result<Instance<'a>> {
    linker.instance(&format!("wasi:{interface}@{VERSION}"))
}

/// Links what works.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    io::link(linker)?;
    link_cli(linker)?;
    link_clocks(linker)?;
    link_random(linker)?;
    let mut types = open(linker, "filesystem/types")?;
    resource(&mut types, "descriptor")?;
    resource(&mut types, "directory-entry-stream")?;
    open(linker, "filesystem/preopens")?
        .func_wrap("get-directories", |_: Call<'_>, (): ()| Ok((Vec::<(Resource<Nothing>, String)>::new(),)))
}

fn resource(instance: &mut Instance<'_>, name: &str) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))
}

fn link_cli(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut environment = open(linker, "cli/environment")?;
    environment.func_wrap("get-environment", |_: Call<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Call<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Call<'_>, (): ()| Ok((None::<String>,)))?;
    open(linker, "cli/exit")?.func_wrap(
        "exit",
        |_: Call<'_>, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg("it called exit, which a plugin may not"))
        },
    )?;
    for (interface, name) in
        [("cli/terminal-input", "terminal-input"), ("cli/terminal-output", "terminal-output")]
    {
        resource(&mut open(linker, interface)?, name)?;
    }
    for stream in ["stdin", "stdout", "stderr"] {
        let mut instance = open(linker, &format!("cli/terminal-{stream}"))?;
        let none = |_: Call<'_>, (): ()| Ok((None::<Resource<Nothing>>,));
        instance.func_wrap(&format!("get-terminal-{stream}"), none)?;
    }
    Ok(())
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

fn link_clocks(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    // Waiting is not linked: it would stall the worker.
    let mut monotonic = open(linker, "clocks/monotonic-clock")?;
    // Plugins only compare instants, so any start will do.
    let start = std::time::Instant::now();
    monotonic.func_wrap("now", move |_: Call<'_>, (): ()| Ok((start.elapsed().as_nanos() as u64,)))?;
    monotonic.func_wrap("resolution", |_: Call<'_>, (): ()| Ok((1u64,)))?;
    let mut wall = open(linker, "clocks/wall-clock")?;
    wall.func_wrap("now", |_: Call<'_>, (): ()| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
    })?;
    wall.func_wrap("resolution", |_: Call<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
}

fn link_random(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut random = open(linker, "random/random")?;
    random.func_wrap("get-random-bytes", |_: Call<'_>, (len,): (u64,)| Ok((random_bytes(len)?,)))?;
    random.func_wrap("get-random-u64", |_: Call<'_>, (): ()| Ok((random_u64()?,)))?;
    let mut insecure = open(linker, "random/insecure")?;
    insecure
        .func_wrap("get-insecure-random-bytes", |_: Call<'_>, (len,): (u64,)| Ok((random_bytes(len)?,)))?;
    insecure.func_wrap("get-insecure-random-u64", |_: Call<'_>, (): ()| Ok((fastrand::u64(..),)))?;
    open(linker, "random/insecure-seed")?
        .func_wrap("insecure-seed", |_: Call<'_>, (): ()| Ok(((random_u64()?, random_u64()?),)))
}

fn random_bytes(len: u64) -> wasmtime::Result<Vec<u8>> {
    if len > MOST_RANDOM {
        return Err(wasmtime::Error::msg("it asked for more than 64 KiB of randomness at once"));
    }
    let mut bytes = vec![0; len as usize];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn random_u64() -> wasmtime::Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn fill(bytes: &mut [u8]) -> wasmtime::Result<()> {
    if is_replaying() {
        fastrand::fill(bytes);
        return Ok(());
    }
    getrandom::fill(bytes).map_err(|error| wasmtime::Error::msg(error.to_string()))
}

/// Links what else this plugin imports of WASI's packages, so that it loads: a use of it ends the call.
pub(super) fn link_the_rest(linker: &mut Linker<Host>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    let ty = component.component_type();
    for (import, item) in ty.imports(&engine) {
        let Some((interface, _)) = import.strip_prefix("wasi:").and_then(|name| name.split_once('@')) else {
            continue;
        };
        let ComponentItem::ComponentInstance(wanted) = item.ty else {
            continue;
        };
        let mut instance = open(linker, interface)?;
        // What is there already stays: shadowing is not allowed, and says so with an error.
        for (name, item) in wanted.exports(&engine) {
            if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                let message = format!("it called wasi:{interface}#{name}, which is not for plugins");
                let _ = instance.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(message.clone())));
            }
        }
    }
    Ok(())
}
