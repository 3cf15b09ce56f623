//! The contract's imports, as plugins call them.
//!
//! Written by hand over `func_wrap` instead of generated: so names and values are read in the plugin's memory, where
//! generated code would copy each into a String first. Each interface is one file; instantiation checks their types
//! against the plugin's.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use super::caps::Cap;
use super::host::Host;
use super::lane::Lane;
use crate::http::fields::{Known, valid_name, valid_value};
use crate::http::h1::valid_authority;

mod log;
mod metrics;
mod nodes;
mod outcome;
mod reply;
mod request;
mod response;
pub(super) mod sessions;
mod shared;
mod spare;
pub(super) mod wait;

/// The contract's package, and the version that this host offers.
pub(super) const PACKAGE: &str = "bascule:plugin";
const VERSION: &str = "0.1.0";

/// The contract's interfaces, by name.
pub(super) const INTERFACES: [&str; 10] =
    ["request", "response", "reply", "nodes", "outcome", "log", "metrics", "sessions", "shared", "spare"];

/// The largest value of a field that a plugin may set, in bytes.
const LARGEST_VALUE: usize = 16 * 1024;
/// The longest name of a field.
const LONGEST_NAME: usize = 256;
/// Edits that a call may make.
const MOST_EDITS: u32 = 64;
/// Bytes that a call's edits may add. Chosen: servers take heads of 8 to 64 KiB.
const MOST_EDIT_BYTES: usize = 64 * 1024;
/// Fields that a head may have, removed ones included, however many plugins edit it.
const MOST_FIELDS: usize = 512;

/// An import's call into the host.
type Call<'a> = StoreContextMut<'a, Host>;
/// What an edit answers: the reason, if it was refused.
type Edited = Result<(), &'static str>;

/// Links every interface for a lane.
pub(super) fn link(linker: &mut Linker<Host>, lane: Lane) -> wasmtime::Result<()> {
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
    link("spare", spare::link)?;
    match lane {
        Lane::Synchronous => {
            link("sessions", sessions::link)?;
            link("shared", shared::link)
        }
        Lane::Waiting => {
            link("sessions", sessions::waiting::link)?;
            link("shared", shared::waiting::link)
        }
    }
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
        return Ok((refuse(call.data_mut(), Cap::ValueBytes, "the value is longer than 16 KiB"),));
    }
    let mut scratch = std::mem::take(&mut call.data_mut().scratch);
    scratch.clear();
    let name = name.to_str(&call)?;
    let split = name.len();
    scratch.extend_from_slice(&name.as_bytes()[..split.min(LONGEST_NAME + 1)]);
    let split = scratch.len();
    if let Some(value) = &value {
        scratch.extend_from_slice(value.as_le_slice(&call));
    }
    let (name, contents) = scratch.split_at(split);
    let host = call.data_mut();
    let result = check_field(host, name, value.is_some().then_some(contents))
        .and_then(|()| edit(host, name, contents));
    host.scratch = scratch;
    Ok((result,))
}

fn check_field(host: &mut Host, name: &[u8], value: Option<&[u8]>) -> Edited {
    count_edit(host, value.map_or(0, |value| name.len() + value.len()))?;
    if name.len() > LONGEST_NAME {
        return refuse(host, Cap::ValueBytes, "the name is longer than 256 bytes");
    }
    if !valid_name(name) {
        return refuse(host, Cap::Forbidden, "the name is no field name");
    }
    if !valid_value(value.unwrap_or_default()) {
        return refuse(host, Cap::Forbidden, "the value holds a byte that a field may not hold");
    }
    let known = Known::from_name(name);
    if known == Known::ContentLength || known.is_hop_by_hop() {
        let why = "the gateway alone sets this field: it frames messages or speaks of one connection";
        return refuse(host, Cap::Forbidden, why);
    }
    if known.is_of_certificate() {
        return refuse(host, Cap::Forbidden, "the gateway alone says which certificate a client showed");
    }
    if known == Known::Host {
        return check_host(host, value);
    }
    Ok(())
}

fn check_host(host: &mut Host, value: Option<&[u8]>) -> Edited {
    if !host.owner.grants.host {
        return refuse(host, Cap::Forbidden, "the Host field needs the grant \"host\"");
    }
    match value {
        Some(value) if valid_authority(value) => Ok(()),
        Some(_) => refuse(host, Cap::Forbidden, "the value is no host and port"),
        None => refuse(host, Cap::Forbidden, "a request keeps its Host; set it to another one"),
    }
}

/// Counts an edit that adds so many bytes; a call may make so many, and add so much.
fn count_edit(host: &mut Host, bytes: usize) -> Edited {
    host.edits += 1;
    if host.edits > MOST_EDITS {
        return refuse(host, Cap::Edits, "a call may make at most 64 edits");
    }
    if host.edit_bytes + bytes > MOST_EDIT_BYTES {
        return refuse(host, Cap::EditBytes, "the edits of a call add at most 64 KiB");
    }
    host.edit_bytes += bytes;
    Ok(())
}

/// Whether one more field fits into a head with so many.
fn has_room(host: &mut Host, fields: usize) -> Edited {
    if fields >= MOST_FIELDS {
        return refuse(host, Cap::HeadFields, "the message has 512 fields already");
    }
    Ok(())
}

/// Counts why an edit is refused, and answers it.
fn refuse(host: &mut Host, cap: Cap, why: &'static str) -> Edited {
    host.caps.hit(cap);
    Err(why)
}

/// A field's first value in the request, if the plugin may read it.
fn readable_field<'a>(host: &'a Host, name: &str) -> Option<&'a [u8]> {
    let fields = &host.context.request.fields;
    match Known::from_name(name.as_bytes()) {
        Known::Other => fields.get(name),
        known if may_read(host, known) => fields.known(known),
        _ => None,
    }
}

/// Whether the plugin may read a field.
fn may_read(host: &Host, known: Known) -> bool {
    match known {
        Known::Authorization | Known::ProxyAuthorization => host.owner.grants.credentials,
        // Anybody may have written it; what the client showed is asked for by functions of its own.
        known => !known.is_of_certificate(),
    }
}
