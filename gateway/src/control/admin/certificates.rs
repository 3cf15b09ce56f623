//! Certificates in /snapshot and /metrics: what is shown to clients and nodes, until when, and what became of the files.

use serde::Serialize;

use super::metrics::unix;
use super::report::Failure;
use crate::control::certificates::{FilesOutcome, FilesOutcomes};
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
}

#[derive(Serialize)]
struct CertificateRow<'a> {
    names: &'a [String],
    not_before: f64,
    not_after: f64,
}

impl<'a> TlsRow<'a> {
    pub(super) fn of(shown: &'a [Facts], outcome: Option<&'a FilesOutcome>) -> TlsRow<'a> {
        let row = |facts: &'a Facts| CertificateRow {
            names: &facts.names,
            not_before: unix(facts.from),
            not_after: unix(facts.until),
        };
        let refused = outcome.and_then(|outcome| outcome.refused.as_ref());
        TlsRow {
            certificates: shown.iter().map(row).collect(),
            loaded: outcome.map(|outcome| unix(outcome.loaded)),
            refused: refused.map(|(at, text)| Failure { at: unix(*at), text }),
        }
    }
}

/// When certificates end, and how many files are not used as they are.
pub(super) fn write(text: &mut Exposition, snapshot: &Snapshot, outcomes: &FilesOutcomes) {
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
    let refused = outcomes.listeners.values().chain(outcomes.pools.values());
    let refused = refused.filter(|outcome| outcome.refused.is_some()).count();
    let help =
        "Listeners and pools whose certificates' files changed and cannot be used; those read before are.";
    text.family("bascule_certificates_refused", Kind::Gauge, help).sample(&[], refused);
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
