//! Sockets: accept, dial, read and write, idle connections and deadlines. Knows nothing of routes or plugins.

pub mod buffers;
pub mod deadline;
pub mod dial;
pub mod http2;
pub mod idle;
pub mod listen;
pub mod ports;
pub mod protocol;
pub mod proxy_protocol;
pub mod room;
pub mod stream;
pub mod tls;
