//! Numbers that plugins give to /metrics, in Prometheus' text format.
//!
//! Instances keep what they looked up, so the lock here is taken once for each name and instance. Names are bounded:
//! a plugin that makes names of request data reaches its bound and loses the rest, and nothing else happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// So many names a use may have.
const MOST_NAMES: usize = 64;
/// The longest name, in bytes.
pub(super) const LONGEST_NAME: usize = 100;
/// What the gateway itself counts of plugins: a second family of the same name would spoil the whole scrape.
const RESERVED: [&str; 18] = [
    "calls_total",
    "capped_total",
    "compilations_total",
    "faults_total",
    "functions_total",
    "generation",
    "info",
    "loads_total",
    "memory_bytes",
    "quarantined",
    "quarantined_total",
    "recycled_total",
    "reloads_total",
    "replay_requests",
    "rollbacks_total",
    "starts_total",
    "withheld_total",
    "abandoned_total",
];
/// What a histogram's series end in.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Upper bounds of the histograms' buckets. The contract gives no unit: these serve seconds and milliseconds alike.
const BOUNDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Any value.
    Gauge,
    /// How often values fell below each bound.
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One use's value of a metric.
#[derive(Debug)]
pub enum Metric {
    /// A counter's sum.
    Counter(AtomicU64),
    /// A gauge's bits.
    Gauge(AtomicU64),
    /// A histogram.
    Histogram(Box<Histogram>),
}

/// Observed values.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One more than [`BOUNDS`]: the last is for all above.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

impl Metric {
    fn new(kind: Kind) -> Metric {
        match kind {
            Kind::Counter => Metric::Counter(AtomicU64::new(0)),
            Kind::Gauge => Metric::Gauge(AtomicU64::new(0)),
            Kind::Histogram => Metric::Histogram(Box::default()),
        }
    }

    /// Adds to a counter.
    pub(super) fn add(&self, increment: u64) {
        if let Metric::Counter(sum) = self {
            sum.fetch_add(increment, Relaxed);
        }
    }

    /// Sets a gauge.
    pub(super) fn set(&self, value: f64) {
        if let Metric::Gauge(bits) = self {
            bits.store(value.to_bits(), Relaxed);
        }
    }

    /// Observes a value.
    pub(super) fn observe(&self, value: f64) {
        let Metric::Histogram(histogram) = self else {
            return;
        };
        if !value.is_finite() {
            return;
        }
        let bucket = BOUNDS.partition_point(|&bound| bound < value);
        histogram.buckets[bucket].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always answers, so it never fails.
        let _ = histogram.sum.fetch_update(Relaxed, Relaxed, add);
    }
}

/// The metrics of all uses.
#[derive(Debug, Default)]
pub struct PluginMetrics(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    families: BTreeMap<String, Family>,
    names: BTreeMap<Arc<str>, usize>,
}

/// All uses' values under one name.
#[derive(Debug)]
struct Family {
    kind: Kind,
    series: BTreeMap<Arc<str>, Arc<Metric>>,
}

impl PluginMetrics {
    /// A use's metric of this name. None if the name can not stand in the text format, stands for another kind, or
    /// is one too many.
    pub fn metric(&self, user: &Arc<str>, name: &str, kind: Kind) -> Option<Arc<Metric>> {
        if !is_valid(name) {
            return None;
        }
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { families, names } = &mut *table;
        if would_clash(families, name, kind) {
            return None;
        }
        if let Some(family) = families.get(name) {
            if family.kind != kind {
                return None;
            }
            if let Some(metric) = family.series.get(user) {
                return Some(Arc::clone(metric));
            }
        }
        let count = names.entry(Arc::clone(user)).or_default();
        if *count >= MOST_NAMES {
            return None;
        }
        *count += 1;
        let family = Family { kind, series: BTreeMap::new() };
        let family = families.entry(name.to_owned()).or_insert(family);
        let metric = Arc::new(Metric::new(kind));
        family.series.insert(Arc::clone(user), Arc::clone(&metric));
        Some(metric)
    }

    /// Appends all of them in Prometheus' text format.
    pub fn render(&self, out: &mut String) {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in &table.families {
            // Writing to a String never fails, here and below.
            let _ = writeln!(out, "# TYPE bascule_plugin_{name} {}", family.kind.name());
            for (user, metric) in &family.series {
                render_one(out, name, user, metric);
            }
        }
    }
}

fn render_one(out: &mut String, name: &str, user: &str, metric: &Metric) {
    let user = user.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let _ = match metric {
        Metric::Counter(sum) => {
            writeln!(out, "bascule_plugin_{name}{{use=\"{user}\"}} {}", sum.load(Relaxed))
        }
        Metric::Gauge(bits) => {
            let value = f64::from_bits(bits.load(Relaxed));
            writeln!(out, "bascule_plugin_{name}{{use=\"{user}\"}} {}", number(value))
        }
        Metric::Histogram(histogram) => render_histogram(out, name, &user, histogram),
    };
}

fn render_histogram(out: &mut String, name: &str, user: &str, histogram: &Histogram) -> std::fmt::Result {
    let mut count = 0;
    for (index, bucket) in histogram.buckets.iter().enumerate() {
        count += bucket.load(Relaxed);
        let bound = BOUNDS.get(index).copied().unwrap_or(f64::INFINITY);
        let bound = number(bound);
        writeln!(out, "bascule_plugin_{name}_bucket{{use=\"{user}\",le=\"{bound}\"}} {count}")?;
    }
    let sum = number(f64::from_bits(histogram.sum.load(Relaxed)));
    writeln!(out, "bascule_plugin_{name}_sum{{use=\"{user}\"}} {sum}")?;
    writeln!(out, "bascule_plugin_{name}_count{{use=\"{user}\"}} {count}")
}

/// A number as the text format spells it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// Whether a histogram's series and another metric would have one name.
fn would_clash(families: &BTreeMap<String, Family>, name: &str, kind: Kind) -> bool {
    let is_series = SERIES
        .iter()
        .filter_map(|series| name.strip_suffix(series))
        .any(|base| families.get(base).is_some_and(|family| family.kind == Kind::Histogram));
    is_series
        || kind == Kind::Histogram
            && SERIES.iter().any(|series| families.contains_key(&format!("{name}{series}")))
}

fn is_valid(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && !RESERVED.contains(&name)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uses_share_a_family_and_keep_their_own_values() {
        let metrics = PluginMetrics::default();
        let (one, two) = (Arc::from("one"), Arc::from("t\"wo"));
        metrics.metric(&one, "hits", Kind::Counter).unwrap().add(2);
        metrics.metric(&one, "hits", Kind::Counter).unwrap().add(3);
        metrics.metric(&two, "hits", Kind::Counter).unwrap().add(1);
        metrics.metric(&two, "level", Kind::Gauge).unwrap().set(-0.5);
        let mut text = String::new();
        metrics.render(&mut text);
        assert_eq!(
            text,
            "# TYPE bascule_plugin_hits counter\n\
             bascule_plugin_hits{use=\"one\"} 5\n\
             bascule_plugin_hits{use=\"t\\\"wo\"} 1\n\
             # TYPE bascule_plugin_level gauge\n\
             bascule_plugin_level{use=\"t\\\"wo\"} -0.5\n"
        );
    }

    #[test]
    fn a_histogram_counts_below_each_bound_and_ignores_what_is_no_number() {
        let metrics = PluginMetrics::default();
        let histogram = metrics.metric(&"one".into(), "time", Kind::Histogram).unwrap();
        for value in [0.001, 0.002, 20_000.0, f64::NAN, f64::INFINITY] {
            histogram.observe(value);
        }
        let mut text = String::new();
        metrics.render(&mut text);
        for line in [
            "_bucket{use=\"one\",le=\"0.001\"} 1",
            "_bucket{use=\"one\",le=\"0.005\"} 2",
            "_bucket{use=\"one\",le=\"10000\"} 2",
            "_bucket{use=\"one\",le=\"+Inf\"} 3",
            "_sum{use=\"one\"} 20000.003",
            "_count{use=\"one\"} 3",
        ] {
            assert!(text.contains(&format!("bascule_plugin_time{line}\n")), "{line} in {text}");
        }
    }

    #[test]
    fn a_histograms_series_clash_with_nothing() {
        let metrics = PluginMetrics::default();
        let user = Arc::from("one");
        assert!(metrics.metric(&user, "time", Kind::Histogram).is_some());
        assert!(metrics.metric(&user, "time_count", Kind::Counter).is_none());
        assert!(metrics.metric(&user, "other_count", Kind::Counter).is_some());
        assert!(metrics.metric(&user, "other", Kind::Histogram).is_none());
    }

    #[test]
    fn what_the_gateway_counts_of_plugins_is_reserved() {
        let sources = include_str!("../control/admin/metrics.rs");
        let names = sources.split("\"bascule_plugin_").skip(1).filter_map(|rest| rest.split('"').next());
        for name in names {
            assert!(RESERVED.contains(&name), "{name} is not reserved");
        }
    }

    #[test]
    fn names_are_valid_of_one_kind_and_few() {
        let metrics = PluginMetrics::default();
        let user = Arc::from("one");
        for name in ["", "1st", "with-dash", "with space", "x\ny", &"x".repeat(LONGEST_NAME + 1)] {
            assert!(metrics.metric(&user, name, Kind::Gauge).is_none(), "{name}");
        }
        for name in RESERVED {
            assert!(metrics.metric(&user, name, Kind::Counter).is_none(), "{name}");
        }
        for index in 0..MOST_NAMES {
            assert!(metrics.metric(&user, &format!("n{index}"), Kind::Gauge).is_some());
        }
        assert!(metrics.metric(&user, "n0", Kind::Counter).is_none());
        assert!(metrics.metric(&user, "more", Kind::Gauge).is_none());
        assert!(metrics.metric(&user, "n0", Kind::Gauge).is_some());
    }
}
