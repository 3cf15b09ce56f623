//! How a name is proved to an ACME server (RFC 8555, 8): control puts the proofs here while an order runs, and the
//! listeners answer with them.
//!
//! Shared as it is by all snapshots. Readers take no lock, and nobody reads but those that an ACME server sent.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// The protocol that proves a name in a handshake (RFC 8737, 3), after which nothing is spoken.
pub(super) const ALPN: &[u8] = b"acme-tls/1";

/// Where the proof of a name is asked for over HTTP (RFC 8555, 8.3); the token follows.
pub const HTTP_PATH: &[u8] = b"/.well-known/acme-challenge/";

/// The proofs of orders that run.
#[derive(Debug, Default)]
pub struct Challenges(ArcSwap<Proofs>);

#[derive(Clone, Debug, Default)]
struct Proofs {
    /// By token.
    http: HashMap<Box<[u8]>, Arc<[u8]>>,
    /// By name.
    handshakes: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Challenges {
    /// From now on this is answered to who asks for a token.
    pub fn answer_http(&self, token: &str, proof: &str) {
        self.change(|proofs| drop(proofs.http.insert(token.as_bytes().into(), proof.as_bytes().into())));
    }

    /// From now on this certificate is shown in handshakes that prove a name. It is not looked into: its one extension is
    /// critical, and made for ACME servers alone.
    ///
    /// # Errors
    /// The key is of no kind that TLS knows.
    pub fn show(
        &self,
        name: &str,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), rustls::Error> {
        let key = provider().key_provider.load_private_key(key)?;
        let shown = Arc::new(CertifiedKey::new(vec![certificate], key));
        self.change(|proofs| drop(proofs.handshakes.insert(name.into(), Arc::clone(&shown))));
        Ok(())
    }

    /// Takes back what proves a name, and the answer to a token.
    pub fn forget(&self, name: &str, token: &str) {
        self.change(|proofs| {
            proofs.http.remove(token.as_bytes());
            proofs.handshakes.remove(name);
        });
    }

    /// The answer to a token.
    pub fn http(&self, token: &[u8]) -> Option<Arc<[u8]>> {
        self.0.load().http.get(token).cloned()
    }

    /// What is shown for a name.
    pub(super) fn handshake(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().handshakes.get(name.to_ascii_lowercase().as_str()).cloned()
    }

    fn change(&self, change: impl Fn(&mut Proofs)) {
        self.0.rcu(|proofs| {
            let mut proofs = Proofs::clone(proofs);
            change(&mut proofs);
            proofs
        });
    }
}
