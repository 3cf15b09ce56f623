//! One active check: connects as traffic does, and asks. What its outcome means is decided in `check`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::check::Outcome;
use crate::control::config::{HealthCheck, Probe};
use crate::http::h1::{self, HeadLimits};
use crate::http::head::{Method, ResponseHead};
use crate::transport::dial::dial;
use crate::transport::stream::Stream;
use crate::transport::tls::ClientTls;

/// What a response's head may hold; a check's is small.
const LIMITS: HeadLimits = HeadLimits { max_bytes: 16 * 1024, max_fields: 100 };
/// Who asks.
const IDENTITY: &str = concat!("User-Agent: bascule-check/", env!("CARGO_PKG_VERSION"), "\r\n");
/// Room for a read.
const ROOM: usize = 4 * 1024;
/// So many bytes of a body are read, so that a node sees its answer taken. Longer ones are cut off.
const MOST_BODY: usize = 64 * 1024;
/// Heads that are not final, before the final one.
const MOST_INFORMATIONAL: usize = 8;

/// Checks a node once, within the check's timeout.
pub(super) async fn probe(address: SocketAddr, tls: Option<&ClientTls>, check: &HealthCheck) -> Outcome {
    let start = Instant::now();
    match tokio::time::timeout(check.timeout, ask(address, tls, &check.probe)).await {
        Ok(Ok(())) => Ok(start.elapsed()),
        Ok(Err(wrong)) => Err(wrong),
        Err(_) => Err(format!("it did not answer within {:?}", check.timeout)),
    }
}

/// Whether a node takes a question and says nothing for so long. It is asked for its options (RFC 9110, 9.3.7), which
/// does nothing; whatever it answers shows that it lives. What cannot be asked at all is another matter than silence.
pub(super) async fn is_silent(address: SocketAddr, tls: Option<&ClientTls>, patience: Duration) -> bool {
    let question = async {
        let mut stream = dial(address, tls).await.map_err(|error| error.to_string())?;
        let request = format!("OPTIONS * HTTP/1.1\r\nHost: {address}\r\n{IDENTITY}Connection: close\r\n\r\n");
        stream.split().1.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        read_status(&mut stream).await
    };
    tokio::time::timeout(patience, question).await.is_err()
}

async fn ask(address: SocketAddr, tls: Option<&ClientTls>, probe: &Probe) -> Result<(), String> {
    let connected = dial(address, tls).await;
    let mut stream = connected.map_err(|error| format!("no connection can be made: {error}"))?;
    let Probe::Http { path, host, status } = probe else { return Ok(()) };
    let own = address.to_string();
    let host = host.as_deref().unwrap_or(&own);
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{IDENTITY}Accept: */*\r\nConnection: close\r\n\r\n");
    let sent = stream.split().1.write_all(request.as_bytes()).await;
    sent.map_err(|error| format!("the check cannot be sent: {error}"))?;
    let answered = read_status(&mut stream).await?;
    if !status.iter().any(|range| range.contains(&answered)) {
        return Err(format!("it answered {answered}"));
    }
    Ok(())
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
