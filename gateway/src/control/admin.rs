//! The admin API: whether the gateway lives and takes traffic, its numbers, the snapshot that rules, and what operators
//! ask of plugins' versions (`change`) and of nodes (`nodes`).
//!
//! It runs on control's thread, so a scrape never touches a worker.

mod attempts;
mod certificates;
mod change;
mod discovery;
mod health;
mod limits;
mod metrics;
mod nodes;
mod report;
mod stores;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::sync::{mpsc, watch};

use super::api::{self, Answer, JSON, PLAIN, full, text};
use super::config::Secret;
use super::discovery::Board;
use super::folder::Hint;
use super::registry::Registry;
use super::status::Status;
use super::writer::{Event, Shared, lock};
use crate::name::Name;
use crate::plugin::{Engine, Services};
use crate::snapshot::{ListenerSpec, Published, Snapshot};
use crate::telemetry::{Exposition, Telemetry};

/// Callers at once; more wait. Scrapes and probes are a handful.
const MOST_CONNECTIONS: usize = 64;

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

    /// Waits until it serves.
    pub(super) async fn started(&self) {
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
    pub(super) registry: Option<Arc<Registry>>,
    pub(super) engine: Arc<Engine>,
    /// Whether it accepts when the gateway serves, and not before.
    pub(super) waits: bool,
}

/// Serves until `end` is dropped, and then what it was asked already.
pub(super) async fn serve(listener: TcpListener, admin: Arc<Admin>, end: watch::Receiver<()>) {
    if admin.waits {
        admin.phase.started().await;
    }
    let answer = move |request| {
        let admin = Arc::clone(&admin);
        async move { admin.answer(&request).await }
    };
    api::serve(listener, "the admin API", MOST_CONNECTIONS, end, answer).await;
}

impl Admin {
    async fn answer<B>(&self, request: &Request<B>) -> Answer {
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
        if !matches!(path, "/healthz" | "/readyz") && !api::admits(self.token.as_ref(), request) {
            return api::unauthorized();
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

    fn ready(&self) -> Answer {
        match self.phase.get() {
            Phase::Serving if !lock(&self.health).is_checked(Instant::now()) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "not every node was checked yet\n")
            }
            Phase::Serving if let Some(pool) = self.waits_for() => {
                let what = format!("the pool \"{pool}\" has no node yet: its registry has not answered\n");
                full(StatusCode::SERVICE_UNAVAILABLE, PLAIN, what)
            }
            Phase::Serving if let Some(listener) = without_certificate(&self.published.load()) => {
                let what =
                    format!("the listener \"{listener}\" has no certificate yet: none was got by ACME\n");
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
    fn lacks_no_plugin(&self) -> Answer {
        let outcomes = self.status.read();
        if outcomes.unavailable.is_empty() {
            return text(StatusCode::OK, "takes traffic\n");
        }
        let lines = outcomes.unavailable.iter();
        let lines = lines.map(|(name, why)| format!("the plugin \"{name}\" cannot be loaded: {why}\n"));
        full(StatusCode::SERVICE_UNAVAILABLE, PLAIN, lines.collect::<String>())
    }
}

/// A listener under TLS that has nothing to show yet: it can only prove names to an ACME server.
pub(super) fn without_certificate(snapshot: &Snapshot) -> Option<Name> {
    let lacks =
        |listener: &&ListenerSpec| listener.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty());
    snapshot.listeners.iter().find(lacks).map(|listener| listener.name.clone())
}

const THERE: &str = "there are /healthz, /readyz, /metrics, /snapshot, /plugins/NAME/rollback, /pin and /unpin, and \
                     /pools/NAME/nodes/ID/drain, /undrain and /weight\n";
