//! Certificates that the gateway gets by itself (ACME, RFC 8555): for each listener that wants it one task, which orders
//! when a third of the certificate's life is left and keeps what it got in the state directory.
//!
//! It only writes files. `certificates` reads them like any other and finds by itself that they changed, so a restart
//! comes up with what was there, and whatever goes wrong here leaves the certificate before in place. Nothing here is
//! near a request: the proofs of names are left in `transport`, where listeners find them.

mod account;
mod client;
mod error;
mod order;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::config::{Acme, Config};
use super::folder::Hint;
use super::pem;
use super::status::{AcmeOutcome, Status};
use super::store::write_whole;
use crate::name::Name;
use crate::transport::tls::{Challenges, Facts};
use error::AcmeError;
use schedule::Backoff;

/// How long it sleeps at most before it looks at the clock and the file anew: clocks are set, and files are copied.
const NAP: Duration = Duration::from_secs(60 * 60);
/// How long an order may take, all waits included.
const ORDER: Duration = Duration::from_secs(5 * 60);

/// The tasks of all listeners. The writer owns it.
pub(super) struct Acmes {
    tasks: BTreeMap<Name, Task>,
    desk: Arc<Desk>,
}

/// What the tasks share.
struct Desk {
    challenges: Arc<Challenges>,
    status: Arc<Status>,
    hints: Sender<Hint>,
    /// Held while an order runs: listeners may have an account in common, whose file is written once.
    ordering: Mutex<()>,
}

struct Task {
    wanted: Acme,
    running: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Acmes {
    /// No task yet.
    pub(super) fn new(challenges: Arc<Challenges>, status: Arc<Status>, hints: Sender<Hint>) -> Self {
        let desk = Desk { challenges, status, hints, ordering: Mutex::new(()) };
        Self { tasks: BTreeMap::new(), desk: Arc::new(desk) }
    }

    /// Gets what this configuration wants. What goes on as it was is not disturbed; the rest is tried at once.
    pub(super) fn follow(&mut self, config: &Config) {
        let mut earlier = std::mem::take(&mut self.tasks);
        for (name, listener) in &config.listeners {
            let Some(wanted) = listener.tls.as_ref().and_then(|tls| tls.acme.as_ref()) else { continue };
            let kept = earlier.remove(name).filter(|task| task.wanted == wanted.value);
            let task = kept.unwrap_or_else(|| {
                let keep = keep(name.clone(), wanted.value.clone(), Arc::clone(&self.desk));
                Task { wanted: wanted.value.clone(), running: tokio::spawn(keep) }
            });
            self.tasks.insert(name.clone(), task);
        }
        self.desk.status.read().acme.retain(|name, _| self.tasks.contains_key(name));
    }
}

/// Has a certificate for a listener, for as long as it is wanted.
async fn keep(listener: Name, wanted: Acme, desk: Arc<Desk>) {
    let (mut backoff, draw) = (Backoff::default(), fastrand::f64());
    let note = |note: &dyn Fn(&mut AcmeOutcome)| {
        note(desk.status.read().acme.entry(listener.clone()).or_default());
    };
    loop {
        let now = SystemTime::now();
        let due = schedule::due(kept(&wanted).as_ref(), &wanted.names, draw);
        note(&|outcome| outcome.next = Some(due.unwrap_or(now)));
        if let Some(left) = due.and_then(|due| due.duration_since(now).ok()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(NAP)).await;
            continue;
        }
        let why = match obtain(&wanted, &desk).await {
            Ok(until) => {
                let until = httpdate::fmt_http_date(until);
                info!(%listener, names = wanted.names.join(", "), until, "a certificate was got by ACME");
                note(&|outcome| {
                    outcome.obtained += 1;
                    outcome.error = None;
                });
                // The builder is gone only when all of this ends.
                drop(desk.hints.send(Hint::Look));
                backoff = Backoff::default();
                continue;
            }
            Err(why) => why,
        };
        let pause = backoff.pause(why.is_refusal(), fastrand::f64());
        warn!(%listener, names = wanted.names.join(", "), again_in = ?pause, "no certificate was got by ACME: {why}");
        note(&|outcome| {
            outcome.failed += 1;
            outcome.error = Some((SystemTime::now(), why.to_string()));
            outcome.next = Some(SystemTime::now() + pause);
        });
        tokio::time::sleep(pause).await;
    }
}

/// What is known of the certificate that is kept; none if it cannot be used.
fn kept(wanted: &Acme) -> Option<Facts> {
    pem::private_key(&wanted.kept).ok()?;
    Facts::read(&pem::chain(&wanted.kept).ok()?).ok()
}

/// Orders a certificate and keeps it; until when it is good.
async fn obtain(wanted: &Acme, desk: &Desk) -> Result<SystemTime, AcmeError> {
    let _one_at_a_time = desk.ordering.lock().await;
    let ordered = tokio::time::timeout(ORDER, async {
        let account = account::open(wanted).await?;
        match order::certificate(&account, wanted, &desk.challenges).await {
            Err(error) if error.is_no_account() => {
                // The server began anew, or somebody closed the account.
                account::forget(wanted)?;
                let account = account::open(wanted).await?;
                order::certificate(&account, wanted, &desk.challenges).await
            }
            ordered => ordered,
        }
    });
    let pem = ordered.await.map_err(|_| AcmeError::Late(ORDER))??;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| AcmeError::Unusable(error.to_string()))?;
    let facts = Facts::read(&chain).map_err(|error| AcmeError::Unusable(error.to_string()))?;
    if !schedule::is_for(&facts, &wanted.names) {
        return Err(AcmeError::Unusable(format!("it is for {}", facts.names.join(", "))));
    }
    // Only now: what is kept is shown.
    write_whole(&wanted.kept, pem.as_bytes()).map_err(|error| AcmeError::Kept(wanted.kept.clone(), error))?;
    Ok(facts.until)
}
