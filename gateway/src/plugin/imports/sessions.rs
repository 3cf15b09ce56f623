//! `sessions`: bindings of clients to nodes.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentType, Lower, WasmStr};

use super::{Call, Instance};
use crate::plugin::caps::Cap;
use crate::plugin::host::Host;
use crate::plugin::sessions;

/// A store's failure; of `sessions` and `shared` alike.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum StoreError {
    /// Only stores that are elsewhere can be.
    #[component(name = "unavailable")]
    #[expect(dead_code, reason = "the contract has it; both stores of this lane are in memory")]
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

impl From<sessions::Binding> for Binding {
    fn from(binding: sessions::Binding) -> Binding {
        Binding { token: binding.token, node: binding.node }
    }
}

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        let owner = &call.data().owner;
        let node = owner.services.sessions.get(owner.key, &token);
        Ok((Ok::<_, StoreError>(node),))
    })?;
    instance.func_wrap("bind", |mut call: Call<'_>, (old, node, ttl_ms, replaces): Bind| {
        let old = old.as_ref().map(|old| old.to_str(&call)).transpose()?;
        let replaces = replaces.as_ref().map(|node| node.to_str(&call)).transpose()?;
        let node = node.to_str(&call)?;
        let owner = &call.data().owner;
        let life = Duration::from_millis(ttl_ms);
        let sessions = &owner.services.sessions;
        let bound = sessions.bind(owner.key, old.as_deref(), &node, life, replaces.as_deref());
        let bound = bound.map(Binding::from);
        Ok((bound.map_err(|sessions::Refused| refused(call.data_mut())),))
    })?;
    instance.func_wrap("forget", |call: Call<'_>, (token,): (WasmStr,)| {
        let token = token.to_str(&call)?;
        let owner = &call.data().owner;
        owner.services.sessions.forget(owner.key, &token);
        Ok((Ok::<(), StoreError>(()),))
    })
}

/// A store did not take something, which counts as a bound that held.
pub(super) fn refused(host: &mut Host) -> StoreError {
    host.caps.hit(Cap::Store);
    StoreError::Refused
}

/// Old token, node, time to live, the node that it replaces.
type Bind = (Option<WasmStr>, WasmStr, u64, Option<WasmStr>);
