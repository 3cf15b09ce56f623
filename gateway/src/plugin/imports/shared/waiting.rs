//! The same on the waiting lane: where the values are elsewhere, the instance waits for each answer.

use std::time::{Duration, Instant};

use wasmtime::component::WasmStr;

use super::{Add, Call, Instance, Set, Throttle, failed};
use crate::plugin::imports::sessions::StoreError;
use crate::plugin::imports::wait::wait;
use crate::store::shared::Pace;
use crate::store::{self, Space};

/// What an import answers.
type Answer<T> = wasmtime::Result<(Result<T, StoreError>,)>;

pub(in crate::plugin::imports) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap_async("get", |call: Call<'_>, (key,): (WasmStr,)| Box::new(get(call, key)))?;
    instance.func_wrap_async("set", |call: Call<'_>, asked: Set| Box::new(set(call, asked)))?;
    instance.func_wrap_async("add", |call: Call<'_>, asked: Add| Box::new(add(call, asked)))?;
    instance.func_wrap_async("delete", |call: Call<'_>, (key,): (WasmStr,)| Box::new(delete(call, key)))?;
    instance.func_wrap_async("throttle", |call: Call<'_>, asked: Throttle| Box::new(throttle(call, asked)))
}

async fn get(mut call: Call<'_>, key: WasmStr) -> Answer<Option<Vec<u8>>> {
    let (space, key, now) = begin(&call, key)?;
    let value = wait(&mut call, async move { space.get(&key, now).await }).await;
    told(call, value)
}

async fn set(mut call: Call<'_>, (key, value, ttl_ms): Set) -> Answer<()> {
    let (space, key, now) = begin(&call, key)?;
    let value = value.as_le_slice(&call).to_vec();
    let life = Duration::from_millis(ttl_ms);
    let set = wait(&mut call, async move { space.set(&key, &value, life, now).await }).await;
    told(call, set)
}

async fn add(mut call: Call<'_>, (key, delta, ttl_ms): Add) -> Answer<i64> {
    let (space, key, now) = begin(&call, key)?;
    let life = Duration::from_millis(ttl_ms);
    let sum = wait(&mut call, async move { space.add(&key, delta, life, now).await }).await;
    told(call, sum)
}

async fn delete(mut call: Call<'_>, key: WasmStr) -> Answer<()> {
    let (space, key, _) = begin(&call, key)?;
    let deleted = wait(&mut call, async move { space.delete(&key).await }).await;
    told(call, deleted)
}

async fn throttle(mut call: Call<'_>, (key, interval, burst, cost): Throttle) -> Answer<u64> {
    let (space, key, now) = begin(&call, key)?;
    let pace = Pace { interval, burst };
    let missing = wait(&mut call, async move { space.throttle(&key, pace, cost, now).await }).await;
    told(call, missing)
}

/// What a question has to keep, since the instance is not at hand while it waits.
fn begin(call: &Call<'_>, key: WasmStr) -> wasmtime::Result<(Space, String, Instant)> {
    let key = key.to_str(call)?.into_owned();
    let host = call.data();
    Ok((host.space.clone(), key, host.context.now))
}

fn told<T>(mut call: Call<'_>, answer: Result<T, store::StoreError>) -> Answer<T> {
    Ok((answer.map_err(|why| failed(call.data_mut(), why)),))
}
