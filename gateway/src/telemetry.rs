//! What the gateway says about itself: log lines, and the numbers behind /metrics.
//!
//! Both paths use it, so it knows neither. Numbers of the request path are written by one worker each and added up when
//! somebody asks, so counting never makes two cores share a cache line.

mod counters;
mod exposition;
mod log;
mod process;
mod registry;

pub use counters::{
    Counter, ErrorKind, FallbackReason, Gauge, HandshakeOutcome, HedgeOutcome, LATENCY_BUCKETS, Latencies,
    LoadReport, NoRoom, PoolMetrics, ProxyHeader, Refusal, Refused, RetryReason, RetryRefusal, RouteMetrics,
    WorkerMetrics,
};
pub use exposition::{Exposition, Family, Kind};
pub use log::{FILTER_VARIABLE, InvalidFilter, change as change_log, init};
pub use process::resident_memory;
pub use registry::Telemetry;
