//! What uses keep outside their instances: process wide, so that it survives every reload.

use std::sync::Arc;

use super::metrics::PluginMetrics;
use crate::store::redis::Redis;
use crate::store::{Sessions, Shared};

/// The stores behind the contract's `sessions`, `shared` and `metrics`.
#[derive(Debug, Default)]
pub struct Services {
    /// Bindings of clients to nodes.
    pub sessions: Sessions,
    /// Small values that all workers see.
    pub shared: Shared,
    /// Numbers for /metrics.
    pub metrics: PluginMetrics,
    /// The Redis behind them, if there is one; for what concerns it alone.
    pub redis: Option<Arc<Redis>>,
}

impl Services {
    /// Begins to connect for the event loop that this is called on, so that the first who asks need not wait for that.
    pub fn connect(&self) {
        if let Some(redis) = &self.redis {
            redis.connect();
        }
    }
}
