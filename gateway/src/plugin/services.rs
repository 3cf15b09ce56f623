//! What uses keep outside their instances: process wide, so that it survives every reload.

use super::metrics::PluginMetrics;
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
}

impl Services {
    /// Services with these sessions.
    pub fn new(sessions: Sessions) -> Services {
        Services { sessions, ..Services::default() }
    }
}
