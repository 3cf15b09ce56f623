//! HTTP messages: heads, body lengths and the HTTP/1.1 codec. Pure: no socket, no clock, no node.

pub mod client_certificate;
pub mod error_body;
pub mod fields;
pub mod forwarded;
pub mod grpc;
pub mod h1;
pub mod h2;
pub mod head;
pub mod load_report;
pub mod path;
pub mod websocket;

/// How long a body is, once its codec's framing is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    Empty,
    /// So many bytes.
    Known(u64),
    /// It ends when its sender says so.
    Unknown,
}
