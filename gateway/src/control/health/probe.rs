//! One active check: connects as traffic does, and asks. What its outcome means is decided in `check`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::Outcome;
use crate::control::config::{HealthCheck, Probe};
use crate::http::h1::{self, HeadLimits};
use crate::http::head::{Method, ResponseHead};
use crate::snapshot::Pool;
use crate::transport::dial::{NodeProtocol, dial};
use crate::transport::proxy_protocol::{Version, encode};
use crate::transport::stream::Stream;
use crate::transport::tls::ClientTls;

mod http2;

/// What a response's head may hold; a check's is small.
const LIMITS: HeadLimits = HeadLimits { max_bytes: 16 * 1024, max_fields: 100 };
/// Who asks.
const IDENTITY: &str = concat!("bascule-check/", env!("CARGO_PKG_VERSION"));
/// Room for a read.
const ROOM: usize = 4 * 1024;
/// So many bytes of a body are read, so that a node sees its answer taken. Longer ones are cut off.
const MOST_BODY: usize = 64 * 1024;
/// Heads that are not final, before the final one.
const MOST_INFORMATIONAL: usize = 8;

/// How the nodes of a pool are met.
#[derive(Clone)]
pub(super) struct Met {
    pub(super) protocol: NodeProtocol,
    pub(super) tls: Option<Arc<ClientTls>>,
    pub(super) proxy_protocol: Option<Version>,
}

impl Met {
    pub(super) fn of(pool: &Pool) -> Met {
        Met { protocol: pool.protocol, tls: pool.tls.clone(), proxy_protocol: pool.proxy_protocol }
    }

    /// The PROXY header of a gateway that speaks for itself, if the nodes want one.
    fn greeting(&self) -> Vec<u8> {
        self.proxy_protocol.map_or_else(Vec::new, |version| encode(version, None))
    }

    /// Whether it is the same way to meet them.
    pub(super) fn is_same_as(&self, other: &Met) -> bool {
        let id = |met: &Met| met.tls.as_ref().map(|tls| tls.id());
        (self.protocol, self.proxy_protocol) == (other.protocol, other.proxy_protocol)
            && id(self) == id(other)
    }
}

/// Checks a node once, within the check's timeout.
pub(super) async fn probe(address: SocketAddr, met: &Met, check: &HealthCheck) -> Outcome {
    let start = Instant::now();
    match tokio::time::timeout(check.timeout, ask(address, met, &check.probe)).await {
        Ok(Ok(())) => Ok(start.elapsed()),
        Ok(Err(wrong)) => Err(wrong),
        Err(_) => Err(format!("it did not answer within {:?}", check.timeout)),
    }
}

/// Whether a node takes a question and says nothing for so long. It is asked for its options (RFC 9110, 9.3.7), which
/// does nothing; whatever it answers shows that it lives. What cannot be asked at all is another matter than silence.
pub(super) async fn is_silent(address: SocketAddr, met: &Met, patience: Duration) -> bool {
    let question = async {
        let stream = connect(address, met).await?;
        status(stream, met, "OPTIONS", "*", &address.to_string()).await
    };
    tokio::time::timeout(patience, question).await.is_err()
}

async fn ask(address: SocketAddr, met: &Met, probe: &Probe) -> Result<(), String> {
    let stream = connect(address, met).await?;
    let own = address.to_string();
    match probe {
        Probe::Tcp => Ok(()),
        Probe::Grpc { service, host } => {
            http2::ask_grpc(stream, service, host.as_deref().unwrap_or(&own), met.tls.is_some()).await
        }
        Probe::Http { path, host, status: good } => {
            let answered = status(stream, met, "GET", path, host.as_deref().unwrap_or(&own)).await?;
            let is_good = good.iter().any(|range| range.contains(&answered));
            if is_good { Ok(()) } else { Err(format!("it answered {answered}")) }
        }
    }
}

async fn connect(address: SocketAddr, met: &Met) -> Result<Stream, String> {
    let connected = dial(address, met.tls.as_deref(), &met.greeting()).await;
    connected.map_err(|error| format!("no connection can be made: {error}"))
}

/// What a node answers to a request without a body.
async fn status(mut stream: Stream, met: &Met, method: &str, path: &str, host: &str) -> Result<u16, String> {
    if met.protocol == NodeProtocol::Http2 {
        return http2::status(stream, http2::request(method, path, host, met.tls.is_some())?).await;
    }
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {IDENTITY}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let sent = stream.split().1.write_all(request.as_bytes()).await;
    sent.map_err(|error| format!("the check cannot be sent: {error}"))?;
    read_status(&mut stream).await
}

/// The status of the final head. Then reads the body on, as far as that is short and comes at once: a node that is cut
/// off may log it as a client's failure.
async fn read_status(stream: &mut Stream) -> Result<u16, String> {
    let mut buffer = Vec::with_capacity(ROOM);
    let mut head = ResponseHead::default();
    for _ in 0..=MOST_INFORMATIONAL {
        let taken = loop {
            let parsed = h1::parse_response(&buffer, &mut head, Method::Get, &LIMITS);
            match parsed.map_err(|malformed| format!("its answer is malformed: {malformed}"))? {
                Some((_, taken)) => break taken,
                None if !fill(stream, &mut buffer).await? => {
                    return Err("it closed the connection before it answered".to_owned());
                }
                None => {}
            }
        };
        if !(100..200).contains(&head.status) {
            let status = head.status;
            while buffer.len() < MOST_BODY && is_more(stream, &mut buffer).await {}
            return Ok(status);
        }
        buffer.drain(..taken);
    }
    Err("it sends informational answers only".to_owned())
}

/// Reads some more; false at the end.
async fn fill(stream: &mut Stream, buffer: &mut Vec<u8>) -> Result<bool, String> {
    buffer.reserve(ROOM);
    let read = stream.split().0.fill(buffer).await;
    read.map(|count| count > 0).map_err(|error| format!("it reset the connection: {error}"))
}

/// Whether more of a body is there; how it ends is no matter of a check.
async fn is_more(stream: &mut Stream, buffer: &mut Vec<u8>) -> bool {
    !stream.is_quiet() && fill(stream, buffer).await.unwrap_or(false)
}
