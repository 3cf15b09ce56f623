//! A certificate that is shown to others: with its key, and what is known of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::provider;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The DNS names in it; wildcards as they are written there.
    pub names: Vec<String>,
    /// From when on it is good.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
}

impl Facts {
    /// Reads them from the first certificate of a chain.
    ///
    /// # Errors
    /// There is none, or nobody could read it.
    pub fn read(chain: &[CertificateDer<'_>]) -> Result<Facts, rustls::Error> {
        let unreadable =
            |why: String| rustls::Error::General(format!("the certificate cannot be read: {why}"));
        let der = chain.first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let certificate =
            webpki::EndEntityCert::try_from(der).map_err(|error| unreadable(format!("{error:?}")))?;
        let names = certificate.valid_dns_names().map(str::to_owned).collect();
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| unreadable(error.to_string()))?;
        let validity = parsed.validity();
        Ok(Facts { names, from: time(validity.not_before), until: time(validity.not_after) })
    }

    /// What people call it: its first name.
    pub fn title(&self) -> &str {
        self.names.first().map_or("no name", String::as_str)
    }
}

fn time(at: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(at.timestamp().max(0) as u64)
}

/// A certificate with its chain and its key.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

impl Certificate {
    /// Takes a chain, its own certificate first, the key that belongs to it, and an OCSP response if there is one.
    ///
    /// # Errors
    /// The key is of no kind that TLS knows, or not this certificate's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        ocsp: Option<Vec<u8>>,
    ) -> Result<Certificate, rustls::Error> {
        let facts = Facts::read(&chain)?;
        let mut key = CertifiedKey::from_der(chain, key, &provider())?;
        key.ocsp = ocsp;
        Ok(Certificate { key: Arc::new(key), facts })
    }
}
