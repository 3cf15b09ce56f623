//! /metrics: what control made of the nodes' health.

use std::time::Instant;

use crate::control::health::{Health, NodeHealth};
use crate::snapshot::Snapshot;
use crate::telemetry::{Exposition, Kind};

/// A label beside pool and node, if there is one, and a value.
type Sample = (Option<(&'static str, &'static str)>, f64);

/// Writes the families of nodes' and pools' health.
pub(super) fn write(text: &mut Exposition, snapshot: &Snapshot, health: &Health) {
    let now = Instant::now();
    let pools = snapshot.pools.iter().map(|pool| (pool, health.nodes(&pool.name, now)));
    let pools: Vec<_> = pools.collect();
    let nodes = || {
        let of_pool =
            pools.iter().map(|(pool, healths)| pool.nodes.iter().zip(healths).map(move |it| (pool, it)));
        of_pool.flatten().map(|(pool, (node, health))| (pool.name.as_str(), &*node.spec.id, health))
    };
    let mut family = |name: &str, kind, help: &str, read: &dyn Fn(&NodeHealth) -> Vec<Sample>| {
        let mut family = text.family(name, kind, help);
        for (pool, node, health) in nodes() {
            for (label, value) in read(health) {
                let labels = [("pool", pool), ("node", node), label.unwrap_or_default()];
                family.sample(&labels[..2 + usize::from(label.is_some())], value);
            }
        }
    };
    let help = "1 for a node that may get requests; 0 while it is down, ejected or draining.";
    family("bascule_node_healthy", Kind::Gauge, help, &|health| vec![(None, f64::from(health.is_healthy()))]);
    let help = "The weight that a node is picked with now; 0 if it is no candidate.";
    family("bascule_node_weight", Kind::Gauge, help, &|health| {
        vec![(None, f64::from(health.effective_weight) / 1000.0)]
    });
    let help = "How often a node was taken out for its traffic, by reason.";
    family("bascule_node_ejections_total", Kind::Counter, help, &|health| {
        let count = |why| health.ejections.get(why).copied().unwrap_or(0) as f64;
        NodeHealth::reasons().map(|why| (Some(("why", why)), count(why))).collect()
    });
    family("bascule_node_checks_total", Kind::Counter, "Active checks of a node, by outcome.", &|health| {
        let outcomes = health.checks.map(|checks| [("good", checks.good), ("bad", checks.bad)]);
        let sample = |(outcome, count)| (Some(("outcome", outcome)), count as f64);
        outcomes.into_iter().flatten().map(sample).collect()
    });
    let help = "How long the last good check of a node took.";
    family("bascule_node_check_seconds", Kind::Gauge, help, &|health| {
        health.checks.iter().map(|checks| (None, checks.last_us as f64 / 1e6)).collect()
    });
    let help = "1 while nodes that are not healthy are used, since too few are.";
    let mut family = text.family("bascule_pool_panic", Kind::Gauge, help);
    for (pool, _) in &pools {
        family.sample(&[("pool", pool.name.as_str())], u8::from(health.panic(&pool.name).0));
    }
    let mut family = text.family("bascule_pool_panics_total", Kind::Counter, "How often it came to that.");
    for (pool, _) in &pools {
        family.sample(&[("pool", pool.name.as_str())], health.panic(&pool.name).1);
    }
}
