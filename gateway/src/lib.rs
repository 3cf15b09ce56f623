//! Bascule: an edge gateway that hands every decision to sandboxed WebAssembly plugins.
//!
//! The request path is [`proxy`], the control path is [`control`]; they meet in [`snapshot`] and [`node`].

pub mod author;
pub mod cidr;
pub mod control;
pub mod gateway;
pub mod http;
pub mod name;
pub mod node;
pub mod plugin;
pub mod proxy;
pub mod registration;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod transport;
