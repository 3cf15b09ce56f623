//! Which version of HTTP a node speaks. A file of its own, since it is a word of the configuration and opens nothing.

/// What is spoken with nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeProtocol {
    /// HTTP/1.1: a connection serves one request after the other.
    Http1,
    /// HTTP/2: a connection serves many at once. Agreed on under TLS (ALPN), and known before in the clear.
    Http2,
}

impl NodeProtocol {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeProtocol::Http1 => "http1",
            NodeProtocol::Http2 => "http2",
        }
    }
}
