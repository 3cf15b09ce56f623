//! Certificates in /snapshot and /metrics: what is shown to clients and nodes, until when, and what became of the files.

use std::time::SystemTime;

use serde::Serialize;

use super::metrics::unix;
use super::report::Failure;
use crate::control::certificates::FilesOutcome;
use crate::control::status::{AcmeOutcome, Outcomes};
use crate::snapshot::Snapshot;
use crate::telemetry::{Exposition, Kind};
use crate::transport::tls::Facts;

/// The TLS of a listener or of a pool.
#[derive(Serialize)]
pub(super) struct TlsRow<'a> {
    /// What is shown to the others, if anything is.
    certificates: Vec<CertificateRow<'a>>,
    /// When the files were read.
    loaded: Option<f64>,
    /// Why they are not used as they are now, if they are not.
    refused: Option<Failure<'a>>,
    /// How the certificate is got by ACME, if it is.
    acme: Option<AcmeRow<'a>>,
}

#[derive(Serialize)]
struct AcmeRow<'a> {
    obtained: u64,
    failed: u64,
    /// When the next is ordered.
    next: Option<f64>,
    /// Why none was got last, if it was so.
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct CertificateRow<'a> {
    names: &'a [String],
    not_before: f64,
    not_after: f64,
}

impl<'a> TlsRow<'a> {
    pub(super) fn of(
        shown: &'a [Facts],
        outcome: Option<&'a FilesOutcome>,
        acme: Option<&'a AcmeOutcome>,
    ) -> TlsRow<'a> {
        let row = |facts: &'a Facts| CertificateRow {
            names: &facts.names,
            not_before: unix(facts.from),
            not_after: unix(facts.until),
        };
        let failure = |(at, text): &'a (SystemTime, String)| Failure { at: unix(*at), text };
        let acme = acme.map(|acme| AcmeRow {
            obtained: acme.obtained,
            failed: acme.failed,
            next: acme.next.map(unix),
            error: acme.error.as_ref().map(failure),
        });
        TlsRow {
            certificates: shown.iter().map(row).collect(),
            loaded: outcome.map(|outcome| unix(outcome.loaded)),
            refused: outcome.and_then(|outcome| outcome.refused.as_ref()).map(failure),
            acme,
        }
    }
}

/// When certificates end, and how many files are not used as they are.
pub(super) fn write(text: &mut Exposition, snapshot: &Snapshot, outcomes: &Outcomes) {
    let help = "When a certificate that clients are shown ends, in Unix time, by its first name.";
    let mut family = text.family("bascule_listener_certificate_expiry_seconds", Kind::Gauge, help);
    for listener in snapshot.listeners.iter() {
        let shown = listener.tls.iter().flat_map(|tls| &tls.certificates);
        for (name, until) in earliest(shown) {
            family.sample(&[("listener", listener.name.as_str()), ("certificate", name)], until);
        }
    }
    let help = "When the certificate that nodes of a pool are shown ends, in Unix time.";
    let mut family = text.family("bascule_pool_certificate_expiry_seconds", Kind::Gauge, help);
    for pool in snapshot.pools.iter() {
        let shown = pool.tls.iter().flat_map(|tls| &tls.shown);
        for (name, until) in earliest(shown) {
            family.sample(&[("pool", pool.name.as_str()), ("certificate", name)], until);
        }
    }
    let files = &outcomes.certificates;
    let refused = files.listeners.values().chain(files.pools.values());
    let refused = refused.filter(|outcome| outcome.refused.is_some()).count();
    let help =
        "Listeners and pools whose certificates' files changed and cannot be used; those read before are.";
    text.family("bascule_certificates_refused", Kind::Gauge, help).sample(&[], refused);
    let help = "Orders of a listener's certificate at an ACME server.";
    let mut family = text.family("bascule_acme_orders_total", Kind::Counter, help);
    for (listener, acme) in &outcomes.acme {
        for (outcome, count) in [("obtained", acme.obtained), ("failed", acme.failed)] {
            family.sample(&[("listener", listener.as_str()), ("outcome", outcome)], count);
        }
    }
}

/// Each name once: of several certificates of a name, as with two kinds of keys, the one that ends first.
fn earliest<'a>(shown: impl Iterator<Item = &'a Facts>) -> std::collections::BTreeMap<&'a str, f64> {
    let mut ends = std::collections::BTreeMap::new();
    for facts in shown {
        let until = unix(facts.until);
        let end = ends.entry(facts.title()).or_insert(until);
        *end = until.min(*end);
    }
    ends
}
