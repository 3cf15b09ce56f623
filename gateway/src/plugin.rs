//! Plugins: loads WebAssembly and lets it play its roles on a request, within bounds.
//!
//! What runs in here is not trusted. A plugin can fail, loop, grow or lie, and all that comes of it is a
//! [`fault::Fault`]: nothing in here may let it take the gateway, another plugin or another request with it.
//! A call is a plain function call on the worker's own thread; only where an import has to wait it runs on a stack of its
//! own, and is suspended meanwhile ([`lane`]).
//! It knows heads and nodes, and neither routes nor pools nor configuration.

mod bounded;
pub mod called;
pub mod caps;
pub mod classify;
mod compiled;
pub mod context;
pub(crate) mod deadline;
pub mod engine;
pub mod exports;
pub mod fault;
mod host;
mod imports;
pub mod instances;
pub mod lane;
mod limiter;
pub mod metrics;
pub mod module;
mod output;
pub mod quarantine;
pub mod replay;
mod running;
pub mod samples;
pub mod services;
mod signatures;
pub mod stats;
mod ticker;
pub mod trial;
pub mod use_;
mod wasi;

pub use bounded::COMPILE_TIMEOUT;
pub use called::Called;
pub use caps::Cap;
pub use compiled::Compilations;
pub use context::{Context, Outcome, Reply, RequestId};
pub use engine::Engine;
pub use exports::{Choice, Decision, Schedule, Scope, Verdict};
pub use fault::{Fault, FaultKind, LoadError};
pub use instances::Instances;
pub use lane::Lane;
pub use module::{Module, Role, Roles, Version};
pub use quarantine::{QuarantineState, Step, Tolerance};
pub use replay::{Replay, replay};
pub use samples::{Sample, Sampler, Samples};
pub use services::Services;
pub use stats::{Start, UseStats, Worn};
pub use use_::{Limits, OnFault, Use, UseSpec};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
