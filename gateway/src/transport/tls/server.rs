//! The gateway's side of a client's connection: which certificate it shows, and whom it lets in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::{Certificate, Facts};
use super::challenges::{ALPN, Challenges};
use super::names::Names;
use super::{Secure, provider};
use crate::http::client_certificate::ClientCertificate;
use crate::transport::stream::Stream;

/// What is spoken behind the handshake (RFC 7301).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// One is enough for a browser that comes back; each costs a record of a quarter of a kilobyte.
const TICKETS: usize = 1;

/// Keys of session tickets (RFC 8446, 4.6.1), which change by themselves every six hours. All workers and listeners of a
/// process share one, so that a client resumes on whichever it meets.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// New keys.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Tickets, rustls::Error> {
        Ticketer::new().map(Tickets)
    }
}

/// What clients get whose name no certificate is for, or who name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The first certificate.
    First,
    /// An alert instead of a handshake.
    Refuse,
}

/// Whether clients show a certificate, and of which authorities.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose certificates are believed.
    pub roots: RootCertStore,
    /// Whether those without one are turned away.
    pub required: bool,
}

/// On which terms clients are met.
#[derive(Debug)]
pub struct Terms {
    /// What clients get whose name no certificate is for.
    pub unknown: Unknown,
    /// Whether TLS 1.2 is left out.
    pub only_newest: bool,
    /// What clients have to show, if anything.
    pub asked: Option<Asked>,
    /// Whether nodes are told what they showed.
    pub client_certificate_field: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// What handshakes prove to an ACME server, if they do.
    pub challenges: Option<Arc<Challenges>>,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// What is sent as Strict-Transport-Security (RFC 6797), if a response has none.
    pub hsts: Option<Box<[u8]>>,
}

/// What a handshake came to.
#[derive(Debug)]
pub struct Accepted {
    /// What is spoken on now.
    pub stream: Stream,
    /// The name that the client asked for (RFC 6066, 3).
    pub name: Option<Box<str>>,
    /// What it showed of itself, which is good.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Whether that is HTTP/2.
    pub http2: bool,
}

/// How a listener's clients are met.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    /// What it shows, for who looks after it.
    pub certificates: Vec<Facts>,
    /// Whether nodes are told of clients' certificates (RFC 9440).
    pub client_certificate_field: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// What is sent as Strict-Transport-Security (RFC 6797), if a response has none.
    pub hsts: Option<Box<[u8]>>,
}

impl ServerTls {
    /// Shows these certificates. Until there is one, handshakes prove names to an ACME server, and nothing else.
    ///
    /// # Errors
    /// Roots of clients' certificates that are none.
    pub fn new(
        certificates: Vec<Certificate>,
        terms: Terms,
        tickets: &Tickets,
    ) -> Result<ServerTls, rustls::Error> {
        let mut names = Names::default();
        for (place, certificate) in (0..).zip(&certificates) {
            certificate.facts.names.iter().for_each(|name| names.add(name, place));
        }
        let (keys, certificates) =
            certificates.into_iter().map(|certificate| (certificate.key, certificate.facts)).unzip();
        let challenges = terms.challenges;
        let proves = challenges.is_some();
        let shown = Arc::new(Shown { names, keys, unknown: terms.unknown, challenges });
        let versions: &[&SupportedProtocolVersion] =
            if terms.only_newest { &[&TLS13] } else { &[&TLS13, &TLS12] };
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
        let builder = match terms.asked {
            Some(asked) => builder.with_client_cert_verifier(verifier(asked)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![HTTP1.to_vec()];
        if terms.http2 {
            config.alpn_protocols.insert(0, HTTP2.to_vec());
        }
        if proves {
            // Last: whoever speaks anything else is no ACME server.
            config.alpn_protocols.push(ALPN.to_vec());
        }
        config.ticketer = Arc::clone(&tickets.0);
        config.send_tls13_tickets = TICKETS;
        // Tickets do the same without memory for each client.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let Terms { client_certificate_field, handshake_timeout, hsts, .. } = terms;
        let config = Arc::new(config);
        Ok(ServerTls { config, shown, certificates, client_certificate_field, handshake_timeout, hsts })
    }

    /// Makes the handshake; nothing follows one that proved a name to an ACME server. The caller sets the time limit.
    ///
    /// # Errors
    /// The client spoke no TLS, or none that is good enough.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<Option<Accepted>> {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(tcp).await?;
        let session = stream.get_ref().1;
        if session.alpn_protocol() == Some(ALPN) {
            return Ok(None);
        }
        let name = session.server_name().map(Into::into);
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|shown| Arc::new(ClientCertificate::new(shown)));
        let http2 = session.alpn_protocol() == Some(HTTP2);
        Ok(Some(Accepted { stream: Stream::secure(Secure::new(stream)), name, certificate, http2 }))
    }

    /// Whether a client that asked for `asked` may ask this connection for `host` (RFC 9110, 7.4): the certificate that
    /// it was shown has to be the one for that host.
    pub fn is_for(&self, asked: &str, host: &str) -> bool {
        asked.eq_ignore_ascii_case(host) || self.shown.for_name(asked) == self.shown.for_name(host)
    }
}

fn verifier(asked: Asked) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(asked.roots), provider());
    let builder = if asked.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| rustls::Error::General(error.to_string()))
}

/// The certificates of a listener.
#[derive(Debug)]
struct Shown {
    names: Names,
    keys: Vec<Arc<CertifiedKey>>,
    unknown: Unknown,
    challenges: Option<Arc<Challenges>>,
}

impl Shown {
    /// The certificates that a name may get.
    fn for_name(&self, name: &str) -> &[u16] {
        match (self.names.find(name), self.unknown) {
            ([], Unknown::First) if !self.keys.is_empty() => &[0],
            (found, _) => found,
        }
    }

    /// Whether a client wants a name proved, and what proves it (RFC 8737, 3).
    fn proof(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<CertifiedKey>>> {
        let challenges = self.challenges.as_ref()?;
        let wants =
            hello.alpn().is_some_and(|mut offered| offered.next() == Some(ALPN) && offered.next().is_none());
        wants.then(|| challenges.handshake(hello.server_name()?))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(proof) = self.proof(&hello) {
            return proof;
        }
        // No host has an empty name: who names none gets what an unknown name gets.
        let places = self.for_name(hello.server_name().unwrap_or(""));
        let suits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        places.iter().map(|place| &self.keys[usize::from(*place)]).find(suits).cloned()
    }
}
