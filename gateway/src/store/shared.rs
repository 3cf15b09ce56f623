//! Small values that all workers and the next version of a plugin see; each use has its own space.

mod cluster;
mod local;
mod pace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;
use super::redis::Redis;
pub use cluster::Cluster;
pub use local::{Local, QUOTA};
pub use pace::Pace;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 256;
/// A life that no clock can show is cut to this.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);

/// Who sees a use's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All workers of this gateway.
    #[default]
    Gateway,
    /// All gateways that share the Redis.
    Cluster,
}

/// The spaces of all uses, by the uses' names.
#[derive(Debug, Default)]
pub struct Shared {
    local: Mutex<HashMap<Arc<str>, Arc<Local>>>,
    redis: Option<Arc<Redis>>,
}

impl Shared {
    /// Values for the whole cluster are in this Redis, if there is one.
    pub fn new(redis: Option<Arc<Redis>>) -> Shared {
        Shared { redis, ..Shared::default() }
    }

    /// A use's own space. Without a Redis there is only this process: a version that is being tried has none, so that it
    /// changes nothing.
    pub fn space(&self, name: &Arc<str>, scope: Scope) -> Space {
        match (scope, &self.redis) {
            (Scope::Cluster, Some(redis)) => {
                Space::Cluster(Arc::new(Cluster::new(Arc::clone(redis), Arc::clone(name))))
            }
            _ => Space::Gateway(self.local(name)),
        }
    }

    fn local(&self, name: &Arc<str>) -> Arc<Local> {
        let mut spaces = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(spaces.entry(Arc::clone(name)).or_default())
    }
}

/// Where a use's values are.
#[derive(Clone, Debug)]
pub enum Space {
    /// In this process: they answer at once.
    Gateway(Arc<Local>),
    /// In Redis: they have to be waited for.
    Cluster(Arc<Cluster>),
}

impl Space {
    /// The values, if they are in this process, so that they can be had without waiting.
    pub fn local(&self) -> Option<&Local> {
        match self {
            Space::Gateway(local) => Some(local),
            Space::Cluster(_) => None,
        }
    }

    /// A value, unless it expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn get(&self, key: &str, now: Instant) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Space::Gateway(local) => Ok(local.get(key, now)),
            Space::Cluster(cluster) => cluster.get(key).await,
        }
    }

    /// Keeps a value for a time.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is too long or too much, [`StoreError::Unavailable`]
    pub async fn set(&self, key: &str, value: &[u8], life: Duration, now: Instant) -> Result<(), StoreError> {
        match self {
            Space::Gateway(local) => local.set(key, value, life, now),
            Space::Cluster(cluster) => cluster.set(key, value, life).await,
        }
    }

    /// Adds to a whole number, which is kept as decimal text, and answers the sum. Its life starts with the first.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is no number or too much, [`StoreError::Unavailable`]
    pub async fn add(&self, key: &str, delta: i64, life: Duration, now: Instant) -> Result<i64, StoreError> {
        match self {
            Space::Gateway(local) => local.add(key, delta, life, now),
            Space::Cluster(cluster) => cluster.add(key, delta, life).await,
        }
    }

    /// Forgets a value.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Space::Gateway(local) => {
                local.delete(key);
                Ok(())
            }
            Space::Cluster(cluster) => cluster.delete(key).await,
        }
    }

    /// Takes from an allowance that refills with time; see [`Pace`]. Answers 0, or in how many microseconds there is
    /// enough.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if that can never be or there is no room for the key, [`StoreError::Unavailable`]
    pub async fn throttle(&self, key: &str, pace: Pace, cost: u32, now: Instant) -> Result<u64, StoreError> {
        match self {
            Space::Gateway(local) => local.throttle(key, pace, cost, now),
            Space::Cluster(cluster) => cluster.throttle(key, pace, cost).await,
        }
    }
}

#[cfg(test)]
mod tests;
