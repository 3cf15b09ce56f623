//! The admin API: whether the gateway lives and takes traffic, its numbers, the snapshot that rules, and what operators
//! ask of plugins' versions (`change`) and of nodes (`nodes`).
//!
//! It runs on control's thread, so a scrape never touches a worker; hyper is enough here, since its
//! clients are the operator's own.

mod attempts;
mod change;
mod discovery;
mod health;
mod limits;
mod metrics;
mod nodes;
mod report;

use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, warn};

use super::config::Secret;
use super::discovery::Board;
use super::folder::Hint;
use super::status::Status;
use super::writer::{Event, Shared, lock};
use crate::name::Name;
use crate::plugin::{Engine, Services};
use crate::snapshot::Published;
use crate::telemetry::{Exposition, Telemetry};

/// Callers at once; more wait. Scrapes and probes are a handful.
const MOST_CONNECTIONS: usize = 64;
/// How long a caller may take to send a request's head: a probe that hangs must not hold its place for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may be on its way when it ends.
const LAST_REQUESTS: Duration = Duration::from_millis(250);

/// How far the gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not every listener accepts yet.
    Starting,
    /// It takes traffic.
    Serving,
    /// It ends what is in flight and takes nothing new.
    Draining,
}

/// The phase, which the gateway sets and /readyz tells.
#[derive(Debug)]
pub(super) struct PhaseCell(watch::Sender<Phase>);

impl Default for PhaseCell {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }
}

impl PhaseCell {
    pub(super) fn set(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    pub(super) fn get(&self) -> Phase {
        *self.0.borrow()
    }

    async fn started(&self) {
        let mut phase = self.0.subscribe();
        // The sender is here.
        let _there = phase.wait_for(|phase| *phase != Phase::Starting).await;
    }
}

/// What the API reads.
pub(super) struct Admin {
    pub(super) published: Published,
    pub(super) status: Arc<Status>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) services: Arc<Services>,
    pub(super) phase: Arc<PhaseCell>,
    pub(super) token: Option<Secret>,
    /// To the builder thread.
    pub(super) hints: Sender<Hint>,
    /// To the writer.
    pub(super) events: mpsc::Sender<Event>,
    pub(super) health: Shared,
    pub(super) board: Arc<Board>,
    pub(super) engine: Arc<Engine>,
    /// Whether it accepts when the gateway serves, and not before.
    pub(super) waits: bool,
}

/// Serves until `end` is dropped, and then what it was asked already.
pub(super) async fn serve(listener: TcpListener, admin: Arc<Admin>, mut end: watch::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!("the admin API cannot be served: {error}"),
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    if admin.waits {
        admin.phase.started().await;
    }
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
                warn!("the admin API cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (admin, end) = (Arc::clone(&admin), end.clone());
        tokio::spawn(async move {
            serve_connection(stream, admin, end).await;
            drop(place);
        });
    }
    drop(listener);
    let _all_closed = places.acquire_many(MOST_CONNECTIONS as u32).await;
}

/// Waits for the end, and then a moment for requests that are on their way: hyper closes a connection without one at once.
async fn ended(end: &mut watch::Receiver<()>) {
    // Nothing is ever sent: it changes when the sender is gone.
    let _gone = end.changed().await;
    tokio::time::sleep(LAST_REQUESTS).await;
}

async fn serve_connection(stream: TcpStream, admin: Arc<Admin>, mut end: watch::Receiver<()>) {
    let answer = service_fn(|request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, hyper::Error>(admin.answer(&request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), answer));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ended(&mut end) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!("a caller of the admin API went away: {error}");
    }
}

impl Admin {
    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let change = change::Change::named_by(path);
        let node = nodes::NodeChange::named_by(path);
        let is_read = matches!(path, "/healthz" | "/readyz" | "/metrics" | "/snapshot");
        if change.is_none() && node.is_none() && !is_read {
            return text(StatusCode::NOT_FOUND, THERE);
        }
        let methods = match (&change, &node) {
            (Some(change), _) => change.methods(),
            (None, Some(_)) => "POST",
            (None, None) => "GET, HEAD",
        };
        if !methods.split(", ").any(|method| method == request.method().as_str()) {
            let mut response = full(StatusCode::METHOD_NOT_ALLOWED, PLAIN, format!("only {methods}\n"));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            return response;
        }
        // Probes carry no token, and what they learn is what the gateway's clients see anyway.
        if !matches!(path, "/healthz" | "/readyz") && !self.admits(request) {
            let mut response =
                text(StatusCode::UNAUTHORIZED, "send the token: Authorization: Bearer TOKEN\n");
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        match (change, node, path) {
            (Some(change), _, _) => change.carry_out(self, request).await,
            (None, Some(node), _) => node.carry_out(self, request).await,
            (None, None, "/healthz") => text(StatusCode::OK, "alive\n"),
            (None, None, "/readyz") => self.ready(),
            (None, None, "/metrics") => full(StatusCode::OK, Exposition::CONTENT_TYPE, metrics::text(self)),
            (None, None, _) => full(StatusCode::OK, JSON, report::json(self)),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.phase.get() {
            Phase::Serving if !lock(&self.health).is_checked(Instant::now()) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "not every node was checked yet\n")
            }
            Phase::Serving if let Some(pool) = self.waits_for() => {
                let what = format!("the pool \"{pool}\" has no node yet: its registry has not answered\n");
                full(StatusCode::SERVICE_UNAVAILABLE, PLAIN, what)
            }
            Phase::Serving => self.lacks_no_plugin(),
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "not every listener accepts yet\n"),
            Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n"),
        }
    }

    fn waits_for(&self) -> Option<Name> {
        self.board.waits_for(&self.published.load(), Instant::now())
    }

    /// It serves; but a gateway that lacks a plugin does not do what its configuration says.
    fn lacks_no_plugin(&self) -> Response<Full<Bytes>> {
        let outcomes = self.status.read();
        if outcomes.unavailable.is_empty() {
            return text(StatusCode::OK, "takes traffic\n");
        }
        let lines = outcomes.unavailable.iter();
        let lines = lines.map(|(name, why)| format!("the plugin \"{name}\" cannot be loaded: {why}\n"));
        full(StatusCode::SERVICE_UNAVAILABLE, PLAIN, lines.collect::<String>())
    }

    fn admits<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let Some((scheme, sent)) = sent.split_at_checked(b"Bearer ".len()) else {
            return false;
        };
        // The scheme's case does not matter (RFC 9110, 11.1); the token's does.
        scheme.eq_ignore_ascii_case(b"Bearer ") && same(sent, token.reveal().as_bytes())
    }
}

/// Compares in a time that depends on the lengths only, so that a token cannot be guessed byte by byte.
fn same(one: &[u8], two: &[u8]) -> bool {
    let differences = one.iter().zip(two).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == two.len() && std::hint::black_box(differences) == 0
}

const THERE: &str = "there are /healthz, /readyz, /metrics, /snapshot, /plugins/NAME/rollback, /pin and /unpin, and \
                     /pools/NAME/nodes/ID/drain, /undrain and /weight\n";
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    full(status, PLAIN, body)
}

fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
