//! Before the first request of a connection under TLS: its handshake, which has a time limit of its own.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tracing::debug;

use super::accept::Listener;
use super::connection::Connection;
use super::proxied::Arrival;
use super::worker::Worker;
use crate::http::client_certificate::ClientCertificate;
use crate::telemetry::HandshakeOutcome;
use crate::transport::deadline::Elapsed;
use crate::transport::tls::{Accepted, ServerTls};

/// What a handshake told.
pub(super) struct Handshake {
    /// How the client was met.
    pub tls: Arc<ServerTls>,
    /// The name that it asked for (RFC 6066, 3).
    pub name: Option<Box<str>>,
    /// The certificate that it showed, which was found good.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Handshake {
    /// The value of Client-Cert, if nodes are told.
    pub(super) fn certificate_field(&self) -> Option<&[u8]> {
        self.certificate.as_ref().filter(|_| self.tls.client_certificate_field).map(|shown| shown.field())
    }
}

/// Makes the handshake; none if nothing came of it, which is counted.
pub(super) async fn make(
    worker: &Worker,
    tls: Arc<ServerTls>,
    arrival: Arrival,
    listener: Rc<Listener>,
) -> Option<Connection> {
    let Arrival { tcp, peer, reached } = arrival;
    let deadline = worker.deadlines.deadline(listener.id.number());
    deadline.set(tls.handshake_timeout);
    let made = deadline.race(tls.accept(tcp)).await;
    let outcome = match &made {
        Ok(Ok(Some(_))) => HandshakeOutcome::Made,
        Ok(Ok(None)) => HandshakeOutcome::Proof,
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => HandshakeOutcome::Refused,
        Ok(Err(_)) => HandshakeOutcome::Gone,
        Err(Elapsed) => HandshakeOutcome::Late,
    };
    worker.metrics.handshake(outcome);
    match made {
        Ok(Ok(Some(Accepted { stream, name, certificate, http2 }))) => {
            let mut connection = Connection::new(worker, stream, peer, listener);
            connection.reached = reached;
            connection.secure = Some(Rc::new(Handshake { tls, name, certificate }));
            connection.http2 = http2;
            Some(connection)
        }
        Ok(Err(error)) => {
            debug!(%peer, %error, "a handshake failed");
            None
        }
        Ok(Ok(None)) => {
            debug!(%peer, "a handshake proved a name to an ACME server");
            None
        }
        Err(Elapsed) => None,
    }
}
