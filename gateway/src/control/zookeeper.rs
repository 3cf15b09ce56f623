//! A session with ZooKeeper: what the provider of nodes and nodes that register share.
//!
//! Errors are one line, and name no secret.

mod registration;

pub use registration::Registration;

use std::time::Duration;

use base64::Engine as _;
use zookeeper_client::{Client, Error, TlsOptions};

use super::client_tls::Pem;
use super::config::{ClientTls, Login, NodeAddress};

/// How long one call may take. A server that hears nothing of the others for so long closes its connections.
const ANSWER: Duration = Duration::from_secs(3);

/// Where ZooKeeper is, and who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Servers {
    /// Members of the ensemble; at least one.
    pub servers: Vec<NodeAddress>,
    /// Who asks, for what not everybody may read or write (the scheme "digest").
    pub login: Option<Login>,
    /// Whether it is spoken to over TLS.
    pub tls: Option<ClientTls>,
}

/// Begins a session that ends when nothing was heard of this client for so long. The server may choose another time.
///
/// # Errors
/// What is wrong with files of certificates, or that no server could be reached.
pub(super) async fn connect(servers: &Servers, session: Duration) -> Result<Client, String> {
    let mut connector = Client::connector().with_session_timeout(session).with_fail_eagerly();
    if let Some(Login { user, password }) = &servers.login {
        connector = connector.with_auth("digest", format!("{user}:{}", password.reveal()).as_bytes());
    }
    let list = servers.servers.iter().map(NodeAddress::as_str).collect::<Vec<_>>().join(",");
    let connected = match &servers.tls {
        Some(settings) => {
            let connector = connector.with_tls(tls(settings)?);
            connector.secure_connect(&list).await
        }
        None => connector.connect(&list).await,
    };
    connected.map_err(|error| match error {
        Error::NoHosts | Error::Timeout => format!("none of {list} could be reached"),
        error => error.to_string(),
    })
}

/// What a call answers, unless it takes too long.
pub(super) async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(ANSWER, call).await.unwrap_or(Err(Error::Timeout))
}

fn tls(settings: &ClientTls) -> Result<TlsOptions, String> {
    let pem = Pem::read(settings)?;
    let ca = pem.ca.unwrap_or_else(system_authorities);
    let mut options = TlsOptions::new().with_pem_ca(&ca).map_err(|error| format!("`ca`: {error}"))?;
    if let Some((certificate, key)) = pem.identity {
        let with = options.with_pem_identity(&certificate, &key);
        options = with.map_err(|error| format!("`certificate` and `key`: {error}"))?;
    }
    Ok(options)
}

/// The system's, in the only form that the client takes.
fn system_authorities() -> String {
    let one = |certificate: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    rustls_native_certs::load_native_certs().certs.iter().map(|certificate| one(certificate)).collect()
}

/// A child's whole path.
pub(super) fn child(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}
