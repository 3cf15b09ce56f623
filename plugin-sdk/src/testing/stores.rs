//! Values that expire by the test's clock: sessions, shared values, signals.

use std::collections::HashMap;
use std::time::Duration;

/// A map whose entries have a lifetime.
#[derive(Debug)]
pub(crate) struct Expiring<V>(HashMap<String, (V, Duration)>);

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V> Expiring<V> {
    pub(crate) fn get(&self, key: &str, now: Duration) -> Option<&V> {
        self.0.get(key).filter(|(_, end)| *end > now).map(|(value, _)| value)
    }

    pub(crate) fn set(&mut self, key: String, value: V, now: Duration, ttl_ms: u64) {
        self.0.insert(key, (value, now.saturating_add(Duration::from_millis(ttl_ms))));
    }

    /// Changes a value that lives, and leaves its lifetime.
    pub(crate) fn live_mut(&mut self, key: &str, now: Duration) -> Option<&mut V> {
        self.0.get_mut(key).filter(|(_, end)| *end > now).map(|(value, _)| value)
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(crate) fn len(&self, now: Duration) -> usize {
        self.0.values().filter(|(_, end)| *end > now).count()
    }
}
