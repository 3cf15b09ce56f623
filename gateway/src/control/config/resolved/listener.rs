//! Where the gateway accepts, and TLS on both sides.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::Acme;
use crate::cidr::Cidr;
use crate::control::config::error::At;
use crate::name::Name;
use crate::transport::dial::NodeProtocol;

/// An address that the gateway accepts on.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name.
    pub name: At<Name>,
    /// Where. Port 0 takes a free one, for tests.
    pub address: At<SocketAddr>,
    /// What is done with its connections.
    pub protocol: ListenerProtocol,
    /// Clients' connections at once, if that is limited.
    pub connections: Option<NonZeroU32>,
    /// The same for each client; not above `connections`.
    pub connections_per_client: Option<NonZeroU32>,
    /// How many requests a client may make on one connection.
    pub requests_per_connection: NonZeroU32,
    /// How many requests at once a client may have on a connection of HTTP/2; none if that is not spoken.
    pub http2_streams: Option<u32>,
    /// Peers that begin each connection with a PROXY header.
    pub proxy_protocol: Vec<Cidr>,
    /// Where its clients are sent instead of being served, if they are.
    pub redirect: Option<Redirect>,
    /// How its clients are met, if that is not in the clear.
    pub tls: Option<At<ListenerTls>>,
}

/// What is done with a listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTP is spoken on them.
    Http,
    /// They are passed on to nodes as they are.
    Tcp,
}

impl Listener {
    /// Whether its connections are passed on as they are.
    pub fn passes(&self) -> bool {
        self.protocol == ListenerProtocol::Tcp
    }
}

/// Sends clients to the same place under HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// The port there.
    pub port: u16,
}

/// How a listener's clients are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// What is shown; at least one, or one comes by ACME.
    pub certificates: Vec<CertificateFiles>,
    /// The certificate that the gateway gets by itself, if it does.
    pub acme: Option<At<Acme>>,
    /// What clients get whose name no certificate is for.
    pub unknown_name: UnknownName,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// What clients have to show, if anything.
    pub clients: Option<ClientCertificates>,
    /// Whether HTTP/2 is offered: as the listener says it.
    pub http2: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How long clients shall remember to come under HTTPS only, if they shall.
    pub hsts: Option<Duration>,
}

/// A certificate's files, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and behind it those that lead to its root.
    pub certificate: At<PathBuf>,
    /// Its private key.
    pub key: At<PathBuf>,
    /// An OCSP response for it, as DER, if it is stapled.
    pub ocsp: Option<At<PathBuf>>,
}

/// What clients get whose name no certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName {
    /// The first certificate.
    First,
    /// No handshake.
    Refuse,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with what is safe of it.
    V12,
    /// RFC 8446.
    V13,
}

/// What clients have to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities whose certificates are believed.
    pub ca: At<PathBuf>,
    /// Whether one must be shown.
    pub certificate: ClientCertificate,
    /// Whether nodes are told of it as Client-Cert (RFC 9440).
    pub field: bool,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Who shows none is turned away.
    Required,
    /// Who shows none is let in; a bad one is not.
    Optional,
}

/// How a pool's nodes are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTls {
    /// The authorities whose certificates are believed; the system's if there is none.
    pub ca: Option<At<PathBuf>>,
    /// Whom nodes have to be; their own addresses if it is none.
    pub server_name: Option<At<String>>,
    /// What nodes are shown: a certificate and its key.
    pub shown: Option<(At<PathBuf>, At<PathBuf>)>,
    /// What is agreed on with them.
    pub protocol: NodeProtocol,
}
