//! `shared`: small values that all workers see.

use std::time::Duration;

use wasmtime::component::{WasmList, WasmStr};

use super::sessions::{StoreError, refused};
use super::{Call, Instance};
use crate::plugin::shared::Refused;

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |call: Call<'_>, (key,): (WasmStr,)| {
        let key = key.to_str(&call)?;
        let host = call.data();
        Ok((Ok::<_, StoreError>(host.space.get(&key, host.context.now)),))
    })?;
    instance.func_wrap("set", |mut call: Call<'_>, (key, value, ttl_ms): (WasmStr, WasmList<u8>, u64)| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let life = Duration::from_millis(ttl_ms);
        let set = host.space.set(&key, value.as_le_slice(&call), life, host.context.now);
        Ok((set.map_err(|Refused| refused(call.data_mut())),))
    })?;
    instance.func_wrap("add", |mut call: Call<'_>, (key, delta, ttl_ms): (WasmStr, i64, u64)| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let life = Duration::from_millis(ttl_ms);
        let sum = host.space.add(&key, delta, life, host.context.now);
        Ok((sum.map_err(|Refused| refused(call.data_mut())),))
    })?;
    instance.func_wrap("delete", |call: Call<'_>, (key,): (WasmStr,)| {
        let key = key.to_str(&call)?;
        call.data().space.delete(&key);
        Ok((Ok::<(), StoreError>(()),))
    })
}
