//! The certificate that all proxies show, and clients that trust it alone: TLS 1.3, X25519, ECDSA with P-256.

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Who the certificate is for. Clients send it as SNI.
pub(crate) const NAME: &str = "localhost";

/// The certificate, as clients know it.
pub(crate) struct Certificate(CertificateDer<'static>);

/// A connection of a client.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Certificate {
    /// Makes one that signs itself: `site.pem`, `site.key`, and both in `both.pem`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn make(folder: &Path) -> Result<Certificate> {
        let made =
            rcgen::generate_simple_self_signed([NAME.to_owned()]).context("no certificate can be made")?;
        let (site, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(folder.join("both.pem"), format!("{site}{key}"))?;
        std::fs::write(folder.join("site.pem"), site)?;
        std::fs::write(folder.join("site.key"), key)?;
        Ok(Certificate(made.cert.der().clone()))
    }

    /// A client that resumes what it remembers, as far as it shall.
    ///
    /// # Errors
    /// When the certificate is none.
    pub(crate) fn client(&self, resumption: Resumption) -> Result<Arc<ClientConfig>> {
        let provider =
            CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone())?;
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut client = client.with_no_client_auth();
        client.resumption = resumption;
        Ok(Arc::new(client))
    }
}

/// Connects; the handshake comes with what is written first.
///
/// # Errors
/// When nobody listens.
pub(crate) fn connect(client: &Arc<ClientConfig>, port: u16) -> Result<Stream> {
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(NAME).expect("a constant that is a name");
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(client), name)?, tcp))
}
