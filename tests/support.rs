//! Doubles that read as a sentence: a node that answers, a client that sends, the gateway between them.
//!
//! They are plain threads and blocking sockets with a limit on every wait, so a test is straight-line code.

#![allow(clippy::disallowed_methods, reason = "a double may be slow, and `wait_until` is the one that polls")]

mod client;
mod crowd;
mod discovery;
pub mod frames;
mod gateway;
pub mod http2;
mod http2_node;
mod load;
mod log;
mod name_server;
mod node;
mod process;
mod tls;
mod wait;
pub mod websocket;
mod wire;

pub use client::{Response, TestClient};
pub use crowd::Crowd;
pub use discovery::{
    Entry, Registry, a_broken_registry_fails_no_request, a_hundred_nodes_come_change_and_leave,
    changes_serve_soon,
};
pub use gateway::{TestGateway, plugin_file, write_configuration};
pub use http2_node::{Asked, Http2Node};
pub use load::Load;
pub use log::{keep_log, logged};
pub use name_server::{Mood, NameServer};
pub use node::{Connection, Request, TestNode};
pub use process::GatewayProcess;
pub use tls::{Authority, TlsClients, TlsWish};
pub use wait::wait_until;
pub use wire::{Head, PATIENCE};
