//! How often nodes registered, left and were refused, for /metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{Exposition, Kind};

/// What came of a request to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Registered,
    Changed,
    Renewed,
    Left,
    Listed,
    Unknown,
    Unauthorized,
    Malformed,
    TooLarge,
    Full,
    Unavailable,
}

impl Outcome {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Registered, "registered"),
        (Self::Changed, "changed"),
        (Self::Renewed, "renewed"),
        (Self::Left, "left"),
        (Self::Listed, "listed"),
        (Self::Unknown, "unknown"),
        (Self::Unauthorized, "unauthorized"),
        (Self::Malformed, "malformed"),
        (Self::TooLarge, "too_large"),
        (Self::Full, "full"),
        (Self::Unavailable, "unavailable"),
    ];
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    ended: AtomicU64,
}

impl Counts {
    pub(super) fn note(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// So many leases were not renewed.
    pub(super) fn ended(&self, leases: usize) {
        self.ended.fetch_add(leases as u64, Ordering::Relaxed);
    }

    pub(super) fn write(&self, text: &mut Exposition) {
        let help = "Requests to the registry, by what came of them.";
        let mut family = text.family("bascule_registry_requests_total", Kind::Counter, help);
        for (outcome, word) in Outcome::ALL {
            let count = self.outcomes[outcome as usize].load(Ordering::Relaxed);
            family.sample(&[("outcome", word)], count);
        }
        let help = "Leases in this gateway's memory that were not renewed.";
        text.family("bascule_registry_leases_ended_total", Kind::Counter, help)
            .sample(&[], self.ended.load(Ordering::Relaxed));
    }
}
