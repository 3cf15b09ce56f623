//! The name in a TLS greeting (RFC 6066, 3), read without answering it: whose handshake it is decides another.

use std::fmt;

use rustls::server::Acceptor;

/// The type of a record that is a part of a handshake (RFC 8446, 5.1), which is what a greeting begins with.
const HANDSHAKE: u8 = 22;

/// What a greeting tells so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// More has to come.
    Incomplete,
    /// The name that it asks for; none if it names none, or if this is not TLS.
    Whole(Option<String>),
}

/// Reads a greeting as it comes.
#[derive(Default)]
pub struct Hello {
    acceptor: Acceptor,
    taken: usize,
}

impl Hello {
    /// Looks at all that came so far, of which earlier calls saw the start.
    pub fn read(&mut self, bytes: &[u8]) -> Greeting {
        if bytes.first().is_some_and(|first| *first != HANDSHAKE) {
            return Greeting::Whole(None);
        }
        while self.taken < bytes.len() {
            match self.acceptor.read_tls(&mut &bytes[self.taken..]) {
                Ok(count) if count > 0 => self.taken += count,
                // Whatever it is, it is passed on as it is.
                _ => return Greeting::Whole(None),
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    return Greeting::Whole(accepted.client_hello().server_name().map(str::to_owned));
                }
                Err(_) => return Greeting::Whole(None),
            }
        }
        Greeting::Incomplete
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("taken", &self.taken).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// The greeting of a client that asks for this host.
    fn greeting(host: &str) -> Vec<u8> {
        let config = ClientConfig::builder_with_provider(super::super::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same in records of so many bytes.
    fn in_records(greeting: &[u8], size: usize) -> Vec<u8> {
        let record = |piece: &[u8]| {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            [&[HANDSHAKE, 3, 1], &length[..], piece].concat()
        };
        greeting[5..].chunks(size).flat_map(record).collect()
    }

    #[test]
    fn the_name_is_read_however_it_is_cut() {
        let whole = greeting("db.example");
        let named = Greeting::Whole(Some("db.example".to_owned()));
        for bytes in [whole.clone(), in_records(&whole, 7), in_records(&whole, 100)] {
            assert_eq!(Hello::default().read(&bytes), named);
            let mut hello = Hello::default();
            for end in 0..bytes.len() {
                assert_eq!(hello.read(&bytes[..end]), Greeting::Incomplete, "{end} of {}", bytes.len());
            }
            assert_eq!(hello.read(&bytes), named);
        }
    }

    #[test]
    fn what_names_nothing_is_whole_at_once() {
        let bare = greeting("192.0.2.1");
        for bytes in [&bare[..], b"GET / HTTP/1.1\r\n", b"\x16nonsense that is no record", b"\0"] {
            assert_eq!(Hello::default().read(bytes), Greeting::Whole(None), "{bytes:?}");
        }
        assert_eq!(Hello::default().read(b""), Greeting::Incomplete);
    }
}
