//! `sessions`: bindings of clients to nodes.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentType, Lower, WasmStr};

use super::{Call, Instance};
use crate::plugin::caps::Cap;
use crate::plugin::host::Host;
use crate::store::{self, Now, Owner};

pub(super) mod waiting;

/// A store's failure; of `sessions` and `shared` alike.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum StoreError {
    /// Only stores that are elsewhere can be.
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "refused")]
    Refused,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Binding {
    token: String,
    node: Arc<str>,
}

/// Where a client is bound to, as the contract writes it.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Place {
    #[component(name = "candidate")]
    Candidate(u32),
    #[component(name = "elsewhere")]
    Elsewhere(Arc<str>),
}

impl Place {
    /// The place of the node with this id.
    fn of(host: &Host, id: Arc<str>) -> Place {
        match host.context.selection.find(&id) {
            Some(index) => Place::Candidate(index),
            None => Place::Elsewhere(id),
        }
    }
}

impl From<store::Binding> for Binding {
    fn from(binding: store::Binding) -> Binding {
        Binding { token: binding.token, node: binding.node }
    }
}

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        let host = call.data();
        let node = match host.owner.services.sessions.get_now(&owner(host), &token) {
            Now::Known(node) => Ok(node),
            Now::Ask => Err(StoreError::Unavailable),
        };
        Ok((node,))
    })?;
    instance.func_wrap("bound-by-cookie", |call: Call<'_>, (cookie,): (WasmStr,)| {
        let cookie = cookie.to_str(&call)?;
        let host = call.data();
        let Some(token) = token(host, &cookie) else { return Ok((Ok(None),)) };
        let place = match host.owner.services.sessions.get_now(&owner(host), token) {
            Now::Known(node) => Ok(node.map(|id| Place::of(host, id))),
            Now::Ask => Err(StoreError::Unavailable),
        };
        Ok((place,))
    })?;
    instance.func_wrap("bind", |mut call: Call<'_>, (old, node, ttl_ms, replaces): Bind| {
        let old = old.as_ref().map(|old| old.to_str(&call)).transpose()?;
        let replaces = replaces.as_ref().map(|node| node.to_str(&call)).transpose()?;
        let node = node.to_str(&call)?;
        let host = call.data();
        let life = Duration::from_millis(ttl_ms);
        let sessions = &host.owner.services.sessions;
        let bound = sessions.bind_now(&owner(host), old.as_deref(), &node, life, replaces.as_deref());
        let bound = bound.map(Binding::from);
        Ok((bound.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("forget", |mut call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        let host = call.data();
        let forgotten = host.owner.services.sessions.forget_now(&owner(host), &token);
        Ok((forgotten.map_err(|why| failed(call.data_mut(), why)),))
    })
}

/// The token that a cookie of the request holds, if it is one that a store could have made.
fn token<'a>(host: &'a Host, cookie: &str) -> Option<&'a str> {
    let value = host.context.request.cookie(cookie)?;
    std::str::from_utf8(value).ok().filter(|token| !token.is_empty())
}

/// Whose sessions a plugin asks for.
fn owner(host: &Host) -> Owner<'_> {
    Owner { key: host.owner.key, name: &host.owner.spec.name, pool: &host.context.pool }
}

/// What a plugin is told of a store's failure. What a store does not take counts as a bound that held.
pub(super) fn failed(host: &mut Host, why: store::StoreError) -> StoreError {
    match why {
        store::StoreError::Unavailable => StoreError::Unavailable,
        store::StoreError::Refused => {
            host.caps.hit(Cap::Store);
            StoreError::Refused
        }
    }
}

/// Old token, node, time to live, the node that it replaces.
type Bind = (Option<WasmStr>, WasmStr, u64, Option<WasmStr>);
