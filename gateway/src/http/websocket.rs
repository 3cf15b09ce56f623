//! What the gateway has to know of WebSocket (RFC 6455): the handshake that it makes for clients of HTTP/2, and answers for
//! nodes of HTTP/2.
//!
//! What passes in a tunnel is its ends' business; nothing here looks into it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::fields::Known;
use super::head::{Method, RequestHead};

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

/// Whether a request that asks for another protocol is WebSocket's handshake, with a key that can be answered (RFC 6455, 4.2.1).
pub fn is_handshake(request: &RequestHead) -> bool {
    let fields = &request.fields;
    let names_it = |value: &[u8]| value.eq_ignore_ascii_case(PROTOCOL.as_bytes());
    let is_key = |key: &[u8]| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    request.method == Method::Get
        && fields.known(Known::Upgrade).is_some_and(names_it)
        && fields.get(KEY).is_some_and(is_key)
}

/// What a node answers to a key.
pub fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, protocol: &str, key: &str) -> bool {
        let mut request = RequestHead { method, ..RequestHead::default() };
        request.fields.add(b"Upgrade", protocol.as_bytes());
        request.fields.add(b"Sec-WebSocket-Key", key.as_bytes());
        is_handshake(&request)
    }

    #[test]
    fn a_handshake_is_a_get_with_a_key_of_16_bytes() {
        let key = new_key();
        assert!(asked(Method::Get, "WebSocket", &key));
        assert!(!asked(Method::Post, "websocket", &key));
        assert!(!asked(Method::Get, "other", &key));
        for short in ["", "dGhl", "no base64", &key[..23]] {
            assert!(!asked(Method::Get, "websocket", short), "{short}");
        }
        assert!(!is_handshake(&RequestHead::default()));
    }

    #[test]
    fn a_key_is_answered_as_the_rfc_has_it() {
        // RFC 6455, 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_ne!(new_key(), new_key());
    }
}
