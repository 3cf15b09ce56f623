//! What /snapshot and /metrics tell of nodes that are found.

use std::time::Instant;

use serde::Serialize;

use super::metrics::unix;
use crate::control::discovery::{Board, Facts, State, shortened};
use crate::telemetry::{Exposition, Kind};

/// A pool's `discovery` in /snapshot.
#[derive(Serialize)]
pub(super) struct DiscoveryRow {
    provider: &'static str,
    state: &'static str,
    /// How many nodes it tells; the pool's others are written down.
    nodes: usize,
    /// Whether it says that there is no node, which is not believed yet.
    doubted: bool,
    /// Since it last said something; none if it never did.
    staleness_ms: Option<u128>,
    changes: u64,
    /// How often it was lost.
    losses: u64,
    /// Why it was lost last.
    error: Option<Loss>,
    /// How many entries are not used, and the first of them.
    unused: usize,
    bad_entries: Vec<BadEntryRow>,
}

#[derive(Serialize)]
struct Loss {
    at: f64,
    text: String,
}

#[derive(Serialize)]
struct BadEntryRow {
    key: String,
    why: String,
}

impl DiscoveryRow {
    pub(super) fn of(facts: &Facts, now: Instant) -> Self {
        let (named, unused) = facts.unused();
        let row = |key: &str, why: &str| BadEntryRow { key: shortened(key), why: shortened(why) };
        Self {
            provider: facts.provider,
            state: facts.state.word(),
            nodes: facts.nodes,
            doubted: facts.doubted,
            staleness_ms: facts.heard.map(|heard| now.saturating_duration_since(heard).as_millis()),
            changes: facts.changes,
            losses: facts.losses,
            error: facts.error.as_ref().map(|(at, text)| Loss { at: unix(*at), text: text.clone() }),
            unused,
            bad_entries: named.map(|bad| row(&bad.key, &bad.why)).collect(),
        }
    }
}

/// Writes the families of discovery.
pub(super) fn write(text: &mut Exposition, board: &Board) {
    let (rows, now) = (board.read(), Instant::now());
    if rows.is_empty() {
        return;
    }
    let mut family = |name: &str, kind, help: &str, read: &dyn Fn(&Facts) -> Option<f64>| {
        let mut family = text.family(name, kind, help);
        for (pool, facts) in &rows {
            if let Some(value) = read(facts) {
                family.sample(&[("pool", pool.as_str())], value);
            }
        }
    };
    family("bascule_discovery_nodes", Kind::Gauge, "Nodes that a pool's registry tells.", &|facts| {
        Some(facts.nodes as f64)
    });
    let help = "1 while a pool's registry is followed, 0 while it is lost or has not answered yet.";
    family("bascule_discovery_up", Kind::Gauge, help, &|facts| {
        Some(if facts.state == State::Up { 1.0 } else { 0.0 })
    });
    let help = "How long ago a pool's registry last said something.";
    family("bascule_discovery_staleness_seconds", Kind::Gauge, help, &|facts| {
        facts.heard.map(|heard| now.saturating_duration_since(heard).as_secs_f64())
    });
    let help = "Changes of the nodes that a pool's registry tells.";
    family("bascule_discovery_changes_total", Kind::Counter, help, &|facts| Some(facts.changes as f64));
    let help = "How often a pool's registry was lost and had to be connected to again.";
    family("bascule_discovery_losses_total", Kind::Counter, help, &|facts| Some(facts.losses as f64));
    let help = "Entries of a pool's registry that are not used, each counted when it is new.";
    family("bascule_discovery_bad_entries_total", Kind::Counter, help, &|facts| Some(facts.bad_total as f64));
}
