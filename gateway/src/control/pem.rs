//! Files in PEM: certificates, keys and authorities, for whoever on the control path needs them.
//!
//! One reader, so that a file is good or bad wherever it is named. It says what is wrong, and leaves it to others where
//! that is written down.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file of certificates is small; a larger one is no such file.
const LARGEST: u64 = 1 << 20;

/// Why a file cannot be used: a sentence without its full stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum PemError {
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    #[error("there is no private key in {}", .0.display())]
    NoKey(PathBuf),
    #[error("no certificate in {} can be an authority's", .0.display())]
    NoAuthority(PathBuf),
    #[error("this system has no list of certificate authorities")]
    NoSystemRoots,
}

impl PemError {
    /// What to do.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "create it, readable for the gateway, or name another",
            Self::NoCertificate(_) => {
                "it has to be PEM: \"-----BEGIN CERTIFICATE-----\", the site's own first"
            }
            Self::NoKey(_) => "it has to be PEM and not encrypted: \"-----BEGIN PRIVATE KEY-----\"",
            Self::NoAuthority(_) => "name the file with the authority's certificate",
            Self::NoSystemRoots => "name a file with authorities: `ca`",
        }
    }
}

/// All that stands in a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let read = std::fs::metadata(path).and_then(|metadata| match metadata.len() {
        0..=LARGEST => std::fs::read(path),
        length => Err(io::Error::other(format!("it has {length} bytes, and 1 MiB is the most"))),
    });
    read.map_err(|error| PemError::Unreadable(path.to_owned(), error))
}

/// The certificates of a file, in its order; at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| PemError::NoCertificate(path.to_owned()))
}

/// The private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| PemError::NoKey(path.to_owned()))
}

/// The authorities of a file, or the system's if none is named. What rustls cannot read of them is left out.
pub(super) fn roots(path: Option<&Path>) -> Result<RootCertStore, PemError> {
    let certificates = match path {
        Some(path) => chain(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    match (roots.add_parsable_certificates(certificates).0, path) {
        (0, Some(path)) => Err(PemError::NoAuthority(path.to_owned())),
        (0, None) => Err(PemError::NoSystemRoots),
        _ => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use test_servers::Certificates;

    #[test]
    fn each_file_is_read_as_what_it_is() {
        let made = Certificates::make();
        assert_eq!(chain(&made.client()).unwrap().len(), 1);
        assert!(private_key(&made.client_key()).is_ok());
        assert_eq!(roots(Some(&made.authority())).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_file() {
        let made = Certificates::make();
        let (missing, large) = (made.folder().join("missing.pem"), made.folder().join("large.pem"));
        std::fs::write(&large, vec![b'-'; LARGEST as usize + 1]).unwrap();
        let said = |error: PemError| error.to_string();
        assert!(said(chain(&missing).unwrap_err()).contains("missing.pem cannot be read: "));
        assert!(said(read(&large).unwrap_err()).contains("large.pem cannot be read: it has 1048577 bytes"));
        assert!(said(chain(&made.client_key()).unwrap_err()).starts_with("there is no certificate in "));
        assert!(said(private_key(&made.client()).unwrap_err()).starts_with("there is no private key in "));
        assert!(
            said(roots(Some(&made.client_key())).unwrap_err()).starts_with("there is no certificate in ")
        );
    }
}
