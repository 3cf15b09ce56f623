//! What the HTTP servers of the control path share: they accept within bounds, know a token, and answer plainly.
//!
//! hyper is enough here: callers are the operator's own, and no worker is touched. No path is known here.

use std::borrow::Cow;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::config::Secret;

/// How long a caller may take to send a request's head, and to begin its next one: who hangs must not hold a place for
/// ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may be on its way when it ends.
const LAST_REQUESTS: Duration = Duration::from_millis(250);
/// Browsers tell this of a request that a page made.
const FETCH_SITE: &str = "sec-fetch-site";

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// What is said to a caller.
pub(super) type Answer = Response<Full<Bytes>>;

/// Accepts so many callers at once until `end` is dropped, and then serves what it was asked already; more callers wait.
/// `whose` is what is served, for the log.
pub(super) async fn serve<A, F>(
    listener: TcpListener,
    whose: &'static str,
    most: usize,
    mut end: watch::Receiver<()>,
    answer: A,
) where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!("{whose} cannot be served: {error}"),
    };
    let places = Arc::new(Semaphore::new(most));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nothing closes this semaphore");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = end.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most often there is no file descriptor left: trying at once again would only burn the processor.
                warn!("{whose} cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (answer, end, places) = (answer.clone(), end.clone(), Arc::clone(&places));
        tokio::spawn(async move {
            let answer = |request| {
                // Who keeps a connection keeps a place, and others may wait for one.
                let is_crowded = places.available_permits() < most / 2;
                let answer = answer(request);
                async move { if is_crowded { last(answer.await) } else { answer.await } }
            };
            if let Err(error) = serve_connection(stream, answer, end).await {
                debug!("a caller of {whose} went away: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    let _all_closed = places.acquire_many(most as u32).await;
}

async fn serve_connection<A, F>(
    stream: TcpStream,
    answer: A,
    mut end: watch::Receiver<()>,
) -> hyper::Result<()>
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    let answer = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, hyper::Error>(answer.await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        served = connection.as_mut() => served,
        () = ended(&mut end) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// Waits for the end, and then a moment for requests that are on their way: hyper closes a connection without one at once.
async fn ended(end: &mut watch::Receiver<()>) {
    // Nothing is ever sent: it changes when the sender is gone.
    let _gone = end.changed().await;
    tokio::time::sleep(LAST_REQUESTS).await;
}

/// The same as the last answer on its connection.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Whether the request carries the token, if there is one.
pub(super) fn admits<B>(token: Option<&Secret>, request: &Request<B>) -> bool {
    let Some(token) = token else { return true };
    let sent = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    let Some((scheme, sent)) = sent.split_at_checked(b"Bearer ".len()) else {
        return false;
    };
    // The scheme's case does not matter (RFC 9110, 11.1); the token's does.
    scheme.eq_ignore_ascii_case(b"Bearer ") && same(sent, token.reveal().as_bytes())
}

/// Compares in a time that depends on the lengths only, so that a token cannot be guessed byte by byte.
fn same(one: &[u8], two: &[u8]) -> bool {
    let differences = one.iter().zip(two).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == two.len() && std::hint::black_box(differences) == 0
}

/// What is answered to a request without the token.
pub(super) fn unauthorized() -> Answer {
    let mut response = text(StatusCode::UNAUTHORIZED, "send the token: Authorization: Bearer TOKEN\n");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Whether a browser sent it for a page. Pages of these APIs' own there are none.
pub(super) fn is_of_a_page<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(ORIGIN) || request.headers().contains_key(FETCH_SITE)
}

/// A sentence.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    full(status, PLAIN, body)
}

/// An answer that nobody keeps.
pub(super) fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A part of a path without its percent-encoding (RFC 3986, 2.1); what is not well encoded stays as it is.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_be_percent_encoded() {
        for (text, plain) in [("a%20b%2Fc", "a b/c"), ("a%2", "a%2"), ("a%zz", "a%zz"), ("plain", "plain")] {
            assert_eq!(decoded(text), plain);
        }
    }
}
