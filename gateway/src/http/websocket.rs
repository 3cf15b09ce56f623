//! What the gateway has to know of WebSocket (RFC 6455): the handshake that it makes for clients of HTTP/2.
//!
//! What passes in a tunnel is its ends' business; nothing here looks into it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Its name as a protocol to switch to.
pub const PROTOCOL: &str = "websocket";
/// The field by which a node shows that it understood (RFC 6455, 4.2.2).
pub const ACCEPT: &str = "sec-websocket-accept";
/// The field that it answers.
pub const KEY: &str = "sec-websocket-key";

/// What a key is joined with, so that nobody answers it by chance (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for one handshake. It shows that the node speaks WebSocket, and keeps no secret.
pub fn new_key() -> String {
    STANDARD.encode(fastrand::u128(..).to_be_bytes())
}

/// What a node answers to a key.
pub fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_has_it() {
        // RFC 6455, 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_ne!(new_key(), new_key());
    }
}
