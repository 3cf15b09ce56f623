//! Values that all instances see.

use std::time::Duration;

use super::with;

store_error!();

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    up()?;
    Ok(with(|world| world.shared.get(key, world.now).cloned()))
}
pub(crate) fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), StoreError> {
    up()?;
    with(|world| world.shared.set(key.into(), value.to_vec(), world.now, ttl_ms));
    Ok(())
}
/// Numbers are kept as decimal text, as the gateway keeps them.
pub(crate) fn add(key: &str, delta: i64, ttl_ms: u64) -> Result<i64, StoreError> {
    up()?;
    with(|world| {
        let now = world.now;
        let Some(value) = world.shared.live_mut(key, now) else {
            world.shared.set(key.into(), delta.to_string().into_bytes(), now, ttl_ms);
            return Ok(delta);
        };
        let number: Option<i64> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        let sum = number.and_then(|number| number.checked_add(delta)).ok_or(StoreError::Refused)?;
        *value = sum.to_string().into_bytes();
        Ok(sum)
    })
}
pub(crate) fn delete(key: &str) -> Result<(), StoreError> {
    up()?;
    with(|world| world.shared.remove(key));
    Ok(())
}
/// Of an allowance all that is kept is when it will be full again, as in the gateway.
pub(crate) fn throttle(key: &str, interval_us: u64, burst: u32, cost: u32) -> Result<u64, StoreError> {
    up()?;
    if cost > burst {
        return Err(StoreError::Refused);
    }
    let interval = Duration::from_micros(interval_us);
    with(|world| {
        let now = world.now;
        let full_at = world.allowances.get(key).map_or(now, |full_at| now.max(*full_at));
        let full_at = full_at.saturating_add(interval.saturating_mul(cost));
        let latest = now.saturating_add(interval.saturating_mul(burst));
        let missing = full_at.saturating_sub(latest).as_micros() as u64;
        if missing == 0 {
            world.allowances.insert(key.to_owned(), full_at);
        }
        Ok(missing)
    })
}
