//! Plugins: loads WebAssembly and lets it play its roles on a request, within bounds.
//!
//! What runs in here is not trusted. A plugin can fail, loop, grow or lie, and all that comes of it is a
//! [`fault::Fault`]: nothing in here may let it take the gateway, another plugin or another request with it.
//! This is the synchronous lane: no import waits, so a call is a plain function call on the worker's own thread.
//! It knows heads and nodes, and neither routes nor pools nor configuration.

pub mod classify;
pub mod context;
mod deadline;
pub mod engine;
pub mod exports;
pub mod fault;
mod host;
mod imports;
pub mod instances;
mod limiter;
pub mod metrics;
pub mod module;
mod running;
pub mod services;
pub mod sessions;
pub mod shared;
pub mod stats;
pub mod trial;
pub mod use_;
mod wasi;

pub use context::{Context, Outcome, Reply, RequestId};
pub use engine::Engine;
pub use exports::{Choice, Decision, Schedule, Scope, Verdict};
pub use fault::{Fault, FaultKind, LoadError};
pub use instances::Instances;
pub use module::{Module, Role, Roles, Version};
pub use services::Services;
pub use stats::UseStats;
pub use use_::{Limits, OnFault, Use, UseSpec};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
