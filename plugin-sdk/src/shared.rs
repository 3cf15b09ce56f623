//! Small values that all workers and the next version of the plugin see. They need the grant "shared".

use std::time::Duration;

use crate::StoreError;
use crate::host::shared as host;
use crate::nodes::millis;

/// The value of a key, unless it expired.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(host::get(key)?)
}

/// Keeps a value for `ttl`; refused over the use's quota of bytes.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), StoreError> {
    Ok(host::set(key, value.as_ref(), millis(ttl))?)
}

/// Adds to a whole number (0 if there was none; its life starts with the first) and answers the sum.
pub fn add(key: &str, delta: i64, ttl: Duration) -> Result<i64, StoreError> {
    Ok(host::add(key, delta, millis(ttl))?)
}

/// Removes a value.
pub fn delete(key: &str) -> Result<(), StoreError> {
    Ok(host::delete(key)?)
}
