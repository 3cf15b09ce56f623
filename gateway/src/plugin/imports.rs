//! The contract's imports, as plugins call them.
//!
//! Written by hand over `func_wrap` instead of generated: so names and values are read in the plugin's memory, where
//! generated code would copy each into a String first. Each interface is one file; instantiation checks their types
//! against the plugin's.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use super::host::Host;
use crate::http::fields::{Known, valid_name, valid_value};

mod log;
mod metrics;
mod nodes;
mod outcome;
mod reply;
mod request;
mod response;
mod sessions;
mod shared;

/// The contract's package, and the version that this host offers.
pub(super) const PACKAGE: &str = "bascule:plugin";
const VERSION: &str = "0.1.0";

/// The contract's interfaces, by name.
pub(super) const INTERFACES: [&str; 9] =
    ["request", "response", "reply", "nodes", "outcome", "log", "metrics", "sessions", "shared"];

/// The largest value of a field that a plugin may set, in bytes.
const LARGEST_VALUE: usize = 16 * 1024;
/// Edits that a call may make.
const MOST_EDITS: u32 = 64;

/// An import's call into the host.
type Call<'a> = StoreContextMut<'a, Host>;
/// What an edit answers: the reason, if it was refused.
type Edited = Result<(), &'static str>;

/// Links every interface.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut link = |name, define: fn(&mut Instance<'_>) -> wasmtime::Result<()>| {
        define(&mut linker.instance(&format!("{PACKAGE}/{name}@{VERSION}"))?)
    };
    link("request", request::link)?;
    link("response", response::link)?;
    link("reply", reply::link)?;
    link("nodes", nodes::link)?;
    link("outcome", outcome::link)?;
    link("log", log::link)?;
    link("metrics", metrics::link)?;
    link("sessions", sessions::link)?;
    link("shared", shared::link)
}

type Instance<'a> = wasmtime::component::LinkerInstance<'a, Host>;

/// Lends an edit the name and value of a field, copied out of the plugin's memory, after the checks that all
/// edits have in common.
fn edit_field(
    mut call: Call<'_>,
    name: WasmStr,
    value: Option<WasmList<u8>>,
    edit: impl FnOnce(&mut Host, &[u8], &[u8]) -> Edited,
) -> wasmtime::Result<(Edited,)> {
    if value.as_ref().is_some_and(|value| value.len() > LARGEST_VALUE) {
        return Ok((Err("the value is longer than 16 KiB"),));
    }
    let mut scratch = std::mem::take(&mut call.data_mut().scratch);
    scratch.clear();
    scratch.extend_from_slice(name.to_str(&call)?.as_bytes());
    let split = scratch.len();
    if let Some(value) = &value {
        scratch.extend_from_slice(value.as_le_slice(&call));
    }
    let (name, value) = scratch.split_at(split);
    let host = call.data_mut();
    let result = check_field(host, name, value).and_then(|()| edit(host, name, value));
    host.scratch = scratch;
    Ok((result,))
}

fn check_field(host: &mut Host, name: &[u8], value: &[u8]) -> Edited {
    count_edit(host)?;
    if !valid_name(name) {
        return Err("the name is no field name");
    }
    if !valid_value(value) {
        return Err("the value holds a byte that a field may not hold");
    }
    let known = Known::from_name(name);
    if known == Known::ContentLength || known.is_hop_by_hop() {
        return Err("the gateway alone sets this field: it frames messages or speaks of one connection");
    }
    if known == Known::Host && !host.owner.grants.host {
        return Err("the Host field needs the grant \"host\"");
    }
    Ok(())
}

/// Counts an edit, of which a call may make a limited number.
fn count_edit(host: &mut Host) -> Edited {
    host.edits += 1;
    if host.edits > MOST_EDITS { Err("a call may make at most 64 edits") } else { Ok(()) }
}

/// Whether the plugin may read a field.
fn may_read(host: &Host, known: Known) -> bool {
    host.owner.grants.credentials || !matches!(known, Known::Authorization | Known::ProxyAuthorization)
}
