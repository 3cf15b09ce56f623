//! What uses keep outside their instances: process wide, so that it survives every reload.

use super::metrics::PluginMetrics;
use super::sessions::Sessions;
use super::shared::Shared;

/// The stores behind the contract's `sessions`, `shared` and `metrics`.
#[derive(Debug, Default)]
pub struct Services {
    /// Bindings of clients to nodes.
    pub sessions: Sessions,
    /// Small values that all workers see.
    pub shared: Shared,
    /// Numbers for /metrics.
    pub metrics: PluginMetrics,
}

impl Services {
    /// Services whose session store keeps up to `most_sessions`.
    pub fn new(most_sessions: u64) -> Services {
        Services { sessions: Sessions::new(most_sessions), ..Services::default() }
    }
}
