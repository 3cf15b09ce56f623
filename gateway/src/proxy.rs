//! The request path: accept, read, route, filter, pick, forward, filter, answer.
//!
//! Start with `exchange`: its first function is the life of a request. Nothing here decides what the tables say or
//! which node is healthy; that is control's, and the two meet in `snapshot` and `node` alone.

mod accept;
mod admission;
mod challenge;
mod connection;
mod door;
mod error;
mod exchange;
mod filters;
mod finish;
mod forward;
mod grpc;
mod handshake;
mod head;
mod hedge;
mod http2;
mod interim;
mod load_report;
mod node_connection;
mod notices;
mod open;
mod pace;
mod passthrough;
mod patience;
mod pick;
mod proxied;
mod refused;
mod resend;
mod retry;
mod route;
mod timeouts;
mod timers;
mod transfer;
mod tunnel;
mod view;
pub mod worker;
