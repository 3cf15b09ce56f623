//! Certificates for one test: an authority, a server that it signed, and a client.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files in PEM, gone with this value: keep it as long as the server that uses them.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes all of them new.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn make() -> Certificates {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // One with the name of its authority would pass for signed by itself.
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(authority, key).expect("a certificate");
        let put =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("the file is written");
        put("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(names).expect("the names are names");
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            put(&format!("{name}.pem"), &certificate.pem());
            put(&format!("{name}.key"), &key.serialize_pem());
        }
        Certificates { folder }
    }

    /// The authority that signed the others.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The server's certificate, for localhost and 127.0.0.1.
    pub fn server(&self) -> PathBuf {
        self.path("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.path("server.key")
    }

    /// A client's certificate.
    pub fn client(&self) -> PathBuf {
        self.path("client.pem")
    }

    /// That client's key.
    pub fn client_key(&self) -> PathBuf {
        self.path("client.key")
    }

    /// The folder with all of them: ca.pem, server.pem, server.key, client.pem, client.key.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
