//! Numbers for the gateway's /metrics. Names get the prefix `bascule_plugin_` and the use's name as a label.

use crate::host::metrics as host;

/// Adds to a counter.
pub fn counter(name: &str, increment: u64) {
    host::counter(name, increment);
}

/// Sets a gauge.
pub fn gauge(name: &str, value: f64) {
    host::gauge(name, value);
}

/// Observes a value; one that is not finite is ignored.
pub fn histogram(name: &str, value: f64) {
    host::histogram(name, value);
}
