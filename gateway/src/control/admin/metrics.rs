//! /metrics: what workers counted, what hangs on nodes and uses, and what became of reloads.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Admin;
use crate::control::status::Outcomes;
use crate::control::writer::lock;
use crate::node::Node;
use crate::plugin::{Cap, Compilations, FaultKind, QuarantineState, Role, Start, Step, Use, Worn};
use crate::snapshot::Snapshot;
use crate::telemetry::{Exposition, Kind};

/// The whole text of a scrape.
pub(super) fn text(admin: &Admin) -> String {
    let mut text = Exposition::new();
    let snapshot = admin.published.load_full();
    admin.telemetry.write(&mut text);
    write_nodes(&mut text, &snapshot);
    super::health::write(&mut text, &snapshot, &lock(&admin.health));
    super::limits::write(&mut text, &snapshot);
    super::discovery::write(&mut text, &admin.board);
    if let Some(registry) = &admin.registry {
        registry.write_metrics(&mut text);
    }
    write_plugins(&mut text, &snapshot);
    write_containment(&mut text, &snapshot);
    text.family("bascule_snapshot_number", Kind::Gauge, "Which snapshot rules; each swap counts one.")
        .sample(&[], snapshot.number);
    write_reloads(&mut text, &admin.status.read());
    super::certificates::write(&mut text, &snapshot, &admin.status.read());
    write_compilations(&mut text, admin.engine.compilations());
    super::stores::write(&mut text, &admin.services);
    let mut text = text.into_text();
    admin.services.metrics.render(&mut text);
    text
}

fn write_nodes(text: &mut Exposition, snapshot: &Snapshot) {
    let now = Instant::now();
    let mut family = |name: &str, kind, help: &str, read: &dyn Fn(&Node) -> f64| {
        let mut family = text.family(name, kind, help);
        for pool in snapshot.pools.iter() {
            for node in pool.nodes.iter() {
                family.sample(&[("pool", pool.name.as_str()), ("node", &node.spec.id)], read(node));
            }
        }
    };
    family("bascule_node_attempts_total", Kind::Counter, "Attempts on a node.", &|node| {
        node.live.attempts() as f64
    });
    family(
        "bascule_node_failures_total",
        Kind::Counter,
        "Attempts on a node that failed or were answered with 5xx.",
        &|node| node.live.failures() as f64,
    );
    family("bascule_node_in_flight", Kind::Gauge, "Requests that wait for a node now.", &|node| {
        f64::from(node.live.in_flight())
    });
    family("bascule_node_tunnels", Kind::Gauge, "Tunnels to a node that are open now.", &|node| {
        f64::from(node.live.tunnels())
    });
    family(
        "bascule_node_latency_seconds",
        Kind::Gauge,
        "Peak-sensitive moving average of a node's time to the response head.",
        &|node| f64::from(node.live.latency(now)) / 1e6,
    );
    let mut family =
        text.family("bascule_pool_candidates", Kind::Gauge, "Nodes of a pool that may be picked.");
    for pool in snapshot.pools.iter() {
        family.sample(&[("pool", pool.name.as_str())], pool.candidates.count());
    }
}

fn write_plugins(text: &mut Exposition, snapshot: &Snapshot) {
    let uses: Vec<_> = snapshot.uses.iter().map(Arc::as_ref).collect();
    let mut family = text.family("bascule_plugin_info", Kind::Gauge, "Always 1; the labels say what runs.");
    for used in &uses {
        family.sample(&[("plugin", &*used.spec.name), ("version", &used.module.version.to_string())], 1);
    }
    let mut family = text.family("bascule_plugin_generation", Kind::Gauge, "Counts a use's swaps.");
    for used in &uses {
        family.sample(&[("plugin", &*used.spec.name)], used.generation);
    }
    let mut family = text.family("bascule_plugin_calls_total", Kind::Counter, "Calls of a use, by role.");
    for used in &uses {
        for role in used.module.roles.iter() {
            family.sample(&[("plugin", &*used.spec.name), ("role", role.name())], used.stats.calls(role));
        }
    }
    let mut family = text.family(
        "bascule_plugin_faults_total",
        Kind::Counter,
        "Calls that failed, by role and kind of fault.",
    );
    for used in &uses {
        for role in Role::ALL.into_iter().filter(|role| used.module.roles.plays(*role)) {
            for kind in FaultKind::ALL {
                let labels = [("plugin", &*used.spec.name), ("role", role.name()), ("kind", kind.name())];
                family.sample(&labels, used.stats.faults(role, kind));
            }
        }
    }
}

/// How the bounds of plugins held, and what came of faults.
fn write_containment(text: &mut Exposition, snapshot: &Snapshot) {
    let name = |used: &Use| used.spec.name.clone();
    let mut counts =
        |family: &str, help: &str, label: &str, of: &dyn Fn(&Use) -> Vec<(&'static str, u64)>| {
            let mut family = text.family(family, Kind::Counter, help);
            for used in snapshot.uses.iter() {
                for (value, count) in of(used) {
                    family.sample(&[("plugin", &name(used)), (label, value)], count);
                }
            }
        };
    counts("bascule_plugin_capped_total", "Times that a bound of a plugin held, by bound.", "cap", &|used| {
        Cap::ALL.map(|cap| (cap.name(), used.stats.capped(cap))).into()
    });
    counts("bascule_plugin_starts_total", "Instances, by how they came to work.", "start", &|used| {
        Start::ALL.map(|start| (start.name(), used.stats.starts(start))).into()
    });
    let help = "Instances that gave way to fresh ones without a fault.";
    counts("bascule_plugin_recycled_total", help, "why", &|used| {
        Worn::ALL.map(|worn| (worn.name(), used.stats.recycled(worn))).into()
    });
    counts("bascule_plugin_quarantined_total", "Steps of quarantines.", "step", &|used| {
        Step::ALL.map(|step| (step.name(), used.stats.quarantine_steps(step))).into()
    });
    let help = "1 while a version is not called, since it failed too often, or only tried.";
    let mut family = text.family("bascule_plugin_quarantined", Kind::Gauge, help);
    for used in snapshot.uses.iter() {
        let labels = [("plugin", &*name(used)), ("version", &used.module.version.to_string())];
        family.sample(&labels, u8::from(used.quarantine() != QuarantineState::Closed));
    }
    let help = "Calls that were not made since the version is in quarantine.";
    let mut family = text.family("bascule_plugin_withheld_total", Kind::Counter, help);
    for used in snapshot.uses.iter() {
        family.sample(&[("plugin", &name(used))], used.stats.withheld());
    }
    let help = "Calls that waited, and whose client left or whose request was out of time meanwhile.";
    let mut family = text.family("bascule_plugin_abandoned_total", Kind::Counter, help);
    for used in snapshot.uses.iter() {
        family.sample(&[("plugin", &name(used))], used.stats.abandoned());
    }
}

fn write_reloads(text: &mut Exposition, outcomes: &Outcomes) {
    let help = "Times that another process should have taken over and did not.";
    text.family("bascule_upgrades_failed_total", Kind::Counter, help).sample(&[], outcomes.upgrades_failed);
    let mut family = text.family(
        "bascule_configuration_reloads_total",
        Kind::Counter,
        "Configurations that took over or were refused; the first counts too.",
    );
    family.sample(&[("outcome", "applied")], outcomes.configurations_applied);
    family.sample(&[("outcome", "refused")], outcomes.configurations_refused);
    text.family(
        "bascule_configuration_ok",
        Kind::Gauge,
        "1 if the configuration that rules is what the files say, 0 if what they say is refused.",
    )
    .sample(&[], u8::from(outcomes.error.is_none()));
    if let Some(since) = outcomes.applied_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
        text.family("bascule_configuration_applied_seconds", Kind::Gauge, "When it took over, in Unix time.")
            .sample(&[], since.as_secs_f64());
    }
    let mut family =
        text.family("bascule_plugin_loads_total", Kind::Counter, "What became of a plugin file's contents.");
    for (file, outcomes) in &outcomes.files {
        for (outcome, count) in outcomes.counts() {
            family.sample(&[("file", file), ("outcome", outcome)], count);
        }
    }
    let mut family = text.family(
        "bascule_plugin_replay_requests",
        Kind::Gauge,
        "Recent requests that were played to the version loaded last and to the one before, by what they showed.",
    );
    for (file, outcomes) in &outcomes.files {
        let Some((_, replay)) = outcomes.replay else { continue };
        let same = replay.requests.saturating_sub(replay.differ);
        for (result, count) in [("same", same), ("differs", replay.differ), ("faults", replay.faults)] {
            family.sample(&[("file", file), ("result", result)], count);
        }
    }
    text.family(
        "bascule_plugins_unavailable",
        Kind::Gauge,
        "Uses that the configuration names and that cannot be loaded at all; /readyz is 503 while there are any.",
    )
    .sample(&[], outcomes.unavailable.len());
}

fn write_compilations(text: &mut Exposition, made: Compilations) {
    text.family(
        "bascule_plugin_compilations_total",
        Kind::Counter,
        "Contents of plugin files that were compiled.",
    )
    .sample(&[], made.modules);
    let mut family = text.family(
        "bascule_plugin_functions_total",
        Kind::Counter,
        "Functions of plugins by where their code came from; counted with a state directory only.",
    );
    family.sample(&[("from", "compiler")], made.functions);
    family.sample(&[("from", "state_directory")], made.reused);
}

/// Seconds since 1970.
pub(super) fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
