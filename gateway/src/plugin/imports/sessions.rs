//! `sessions`: bindings of clients to nodes.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentType, Lower, WasmStr};

use super::{Call, Instance};
use crate::plugin::caps::Cap;
use crate::plugin::host::{Bound, Host};
use crate::plugin::lane::Lane;
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
    /// The place of the node with this id. An attempt behind the first comes because that failed: it cannot be picked then.
    fn of(host: &mut Host, id: Arc<str>) -> Place {
        match host.context.selection.find(&id).filter(|_| host.context.attempt <= 1) {
            Some(index) => {
                host.bound = Some(index);
                Place::Candidate(index)
            }
            None => Place::Elsewhere(id),
        }
    }
}

/// A plain call of a use on the waiting lane asks for what has to be waited for.
#[derive(Debug, thiserror::Error)]
#[error("a plain call would have to wait")]
pub(in crate::plugin) struct Elsewhere;

impl From<store::Binding> for Binding {
    fn from(binding: store::Binding) -> Binding {
        Binding { token: binding.token, node: binding.node }
    }
}

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        Ok((known(call.data(), token.as_bytes())?,))
    })?;
    instance.func_wrap("bound-by-cookie", |mut call: Call<'_>, (cookie,): (WasmStr,)| {
        let cookie = cookie.to_str(&call)?;
        let host = call.data();
        let is_first = learn_cookie(host, &cookie) == &*cookie;
        let node = match &host.foreseen {
            Some(bound) if is_first => Ok(bound.clone()),
            _ => match host.context.token(&cookie) {
                Some(token) => known(host, token)?,
                None => Ok(None),
            },
        };
        Ok((node.map(|node| node.map(|id| Place::of(call.data_mut(), id))),))
    })?;
    instance.func_wrap("bind", |mut call: Call<'_>, (old, node, ttl_ms, replaces): Bind| {
        let old = old.as_ref().map(|old| old.to_str(&call)).transpose()?;
        let replaces = replaces.as_ref().map(|node| node.to_str(&call)).transpose()?;
        let node = node.to_str(&call)?;
        let host = call.data();
        let life = Duration::from_millis(ttl_ms);
        let sessions = &host.owner.services.sessions;
        let bound = sessions.bind_now(&owner(host), old.as_deref(), &node, life, replaces.as_deref());
        let bound = at_once(host, bound)?.map(Binding::from);
        Ok((bound.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("forget", |mut call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        let host = call.data();
        let forgotten = host.owner.services.sessions.forget_now(&owner(host), &token);
        let forgotten = at_once(host, forgotten)?;
        Ok((forgotten.map_err(|why| failed(call.data_mut(), why)),))
    })
}

/// Where a token is bound to, of a store that answers at once.
fn known(host: &Host, token: &[u8]) -> wasmtime::Result<Result<Bound, StoreError>> {
    let known = match host.owner.services.sessions.get_now(&owner(host), token, host.context.now) {
        Now::Known(node) => Ok(node),
        Now::Ask => Err(store::StoreError::Unavailable),
    };
    Ok(at_once(host, known)?.map_err(|_| StoreError::Unavailable))
}

/// What a store said that was not waited for. If it would have had to be, a plain call of a use that may wait ends here, to be
/// made again.
fn at_once<T>(
    host: &Host,
    said: Result<T, store::StoreError>,
) -> wasmtime::Result<Result<T, store::StoreError>> {
    let may_wait = host.owner.lane == Lane::Waiting && host.stage.may_wait();
    match said {
        Err(store::StoreError::Unavailable) if may_wait => Err(wasmtime::Error::new(Elsewhere)),
        said => Ok(said),
    }
}

/// Notes by which cookie a plugin asks, if it is the first time; the one that is noted.
fn learn_cookie<'h>(host: &'h Host, cookie: &str) -> &'h str {
    host.owner.cookie.get_or_init(|| cookie.into())
}

/// Whose sessions a plugin asks for.
fn owner(host: &Host) -> Owner<'_> {
    host.owner.sessions_in(&host.context.pool)
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
