//! The gateway's side of a node's connection: whose certificates it believes, and what it shows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Facts, Secure, provider};
use crate::transport::dial::NodeProtocol;
use crate::transport::stream::Stream;

/// HTTP/2, as ALPN says it (RFC 9113, 3.2).
const HTTP2: &[u8] = b"h2";

/// How the nodes of a pool are met.
#[derive(Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// Whom the nodes have to be; their own addresses if it is none.
    name: Option<ServerName<'static>>,
    /// The certificate that they are shown, for who looks after it.
    pub shown: Option<Facts>,
    id: u32,
}

impl ClientTls {
    /// Believes certificates of these authorities for this name, or for each node's address; shows a chain with its key
    /// if it is given. What is spoken then is agreed on.
    ///
    /// # Errors
    /// The key is of no kind that TLS knows, or not this certificate's.
    pub fn new(
        roots: RootCertStore,
        name: Option<ServerName<'static>>,
        shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
        protocol: NodeProtocol,
    ) -> Result<ClientTls, rustls::Error> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let facts = shown.as_ref().map(|(chain, _)| Facts::read(chain)).transpose()?;
        let mut config = match shown {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![match protocol {
            NodeProtocol::Http1 => b"http/1.1".to_vec(),
            NodeProtocol::Http2 => HTTP2.to_vec(),
        }];
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(ClientTls { config: Arc::new(config), name, shown: facts, id })
    }

    /// Tells connections apart that were made in different ways; 0 stands for none.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Makes the handshake on a connection to a node.
    ///
    /// # Errors
    /// The node speaks no TLS, is not whom it has to be, or does not agree to HTTP/2 where that is to be spoken.
    pub(in crate::transport) async fn connect(&self, tcp: TcpStream, node: SocketAddr) -> io::Result<Stream> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(node.ip().into()));
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await?;
        // Who does not know ALPN speaks HTTP/1.1, which needs no agreement.
        let wants_http2 = self.config.alpn_protocols.iter().any(|protocol| protocol == HTTP2);
        if wants_http2 && stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
            let what =
                "the node does not agree to HTTP/2 (ALPN): make it, or leave `protocol = \"http2\"` out";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(Stream::secure(Secure::new(stream)))
    }
}
