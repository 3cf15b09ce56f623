//! `shared`: small values that all workers see.

use std::time::Duration;

use wasmtime::component::{WasmList, WasmStr};

use super::sessions::failed;
use super::{Call, Instance};
use crate::plugin::host::Host;
use crate::store;
use crate::store::shared::{Local, Pace};

pub(super) mod waiting;

/// Key, value, time to live.
type Set = (WasmStr, WasmList<u8>, u64);
/// Key, what is added, time to live.
type Add = (WasmStr, i64, u64);
/// Key, microseconds until one more is allowed, how many at once, what it costs.
type Throttle = (WasmStr, u64, u32, u32);

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |mut call: Call<'_>, (key,): (WasmStr,)| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let value = local(host).map(|local| local.get(&key, host.context.now));
        Ok((value.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("set", |mut call: Call<'_>, (key, value, ttl_ms): Set| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let (life, now) = (Duration::from_millis(ttl_ms), host.context.now);
        let set = local(host).and_then(|local| local.set(&key, value.as_le_slice(&call), life, now));
        Ok((set.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("add", |mut call: Call<'_>, (key, delta, ttl_ms): Add| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let (life, now) = (Duration::from_millis(ttl_ms), host.context.now);
        let sum = local(host).and_then(|local| local.add(&key, delta, life, now));
        Ok((sum.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("delete", |mut call: Call<'_>, (key,): (WasmStr,)| {
        let key = key.to_str(&call)?;
        let deleted = local(call.data()).map(|local| local.delete(&key));
        Ok((deleted.map_err(|why| failed(call.data_mut(), why)),))
    })?;
    instance.func_wrap("throttle", |mut call: Call<'_>, (key, interval, burst, cost): Throttle| {
        let key = key.to_str(&call)?;
        let host = call.data();
        let (pace, now) = (Pace { interval, burst }, host.context.now);
        let missing = local(host).and_then(|local| local.throttle(&key, pace, cost, now));
        Ok((missing.map_err(|why| failed(call.data_mut(), why)),))
    })
}

/// The use's values, which this lane has if they are in this process.
fn local(host: &Host) -> Result<&Local, store::StoreError> {
    host.space.local().ok_or(store::StoreError::Unavailable)
}
