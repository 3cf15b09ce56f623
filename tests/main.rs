//! The gateway from outside: real sockets, real plugins, doubles for clients and nodes.
//!
//! All in one binary, so that wasmtime is linked once. `cargo xtask test` builds the plugins that these tests load.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod support;

mod abuse;
mod acme;
mod admin;
mod author;
mod balancing;
mod contract;
mod discovery;
mod doubles;
mod edge;
mod errors;
mod events;
mod forwarding;
mod framing;
mod grpc;
mod health;
mod http2;
mod http2_nodes;
mod layering;
mod lifecycle;
mod limits;
mod nodefaults;
mod passthrough;
mod plugins;
mod proxy_protocol;
mod registry;
mod reload;
mod retries;
mod routing;
mod samples;
mod sessions;
mod simulated;
mod streaming;
mod tls;
mod websocket;
