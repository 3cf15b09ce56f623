//! What must hold of everything that strangers may send: one function for each fuzz target, and the seeds to begin with.
//!
//! The gateway's pure modules are compiled here from their own files. They use no other layer, so neither the WebAssembly
//! engine nor an event loop is built with the fuzzer's instruments (docs/decisions/0049). A property that does not hold panics.

pub mod configuration;
#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    reason = "which of it is used is the gateway's business"
)]
#[path = "../../gateway/src/control"]
mod control {
    pub mod config;
}
#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    reason = "which of it is used is the gateway's business"
)]
#[path = "../../gateway/src"]
mod gateway {
    pub mod cidr;
    pub mod http;
    pub mod name;
}
pub mod http2;
mod message;
pub mod path;
pub mod proxy_protocol;
pub mod request;
pub mod response;
pub mod seeds;
pub mod session;
mod store;
#[allow(
    dead_code,
    unused_imports,
    unfulfilled_lint_expectations,
    reason = "which of it is used is the gateway's business"
)]
#[path = "../../gateway/src/transport"]
mod transport {
    pub mod protocol;
    pub mod proxy_protocol;

    /// The words of it that the configuration uses.
    pub mod dial {
        pub use super::protocol::NodeProtocol;
    }
}

// By these names the gateway's modules speak of each other.
use gateway::{cidr, http, name};

/// A target: its name, and what must hold of any input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("request", request::holds),
    ("response", response::holds),
    ("path", path::holds),
    ("configuration", configuration::holds),
    ("session", session::holds),
    ("http2", http2::holds),
    ("proxy_protocol", proxy_protocol::holds),
];
