//! Who counts what: hands each worker its own counters and adds them up for a scrape.
//!
//! It locks, so a worker asks when it starts and when it takes a new snapshot, never for a request. Counters outlive the
//! route or pool that they are for: a count that went down would read as a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::counters::{
    ErrorKind, FallbackReason, HandshakeOutcome, HedgeOutcome, LATENCY_BUCKETS, Latencies, LoadReport,
    NoRoom, PoolMetrics, ProxyHeader, Refusal, Refused, RetryReason, RetryRefusal, RouteMetrics,
    WorkerMetrics,
};
use super::exposition::{Exposition, Kind};
use super::process;
use crate::name::Name;

/// All counters of the request path.
#[derive(Debug)]
pub struct Telemetry {
    started: SystemTime,
    tables: Mutex<Tables>,
}

/// For each name, the counters of each worker that asked.
type ByName<T> = BTreeMap<Name, BTreeMap<usize, Arc<T>>>;

#[derive(Debug, Default)]
struct Tables {
    workers: BTreeMap<usize, Arc<WorkerMetrics>>,
    routes: ByName<RouteMetrics>,
    pools: ByName<PoolMetrics>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { started: SystemTime::now(), tables: Mutex::default() }
    }
}

impl Telemetry {
    /// No counter counts yet; the process counts as started now.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the process started.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// A worker's own counters; the same ones each time. Only that worker may write them.
    pub fn worker(&self, worker: usize) -> Arc<WorkerMetrics> {
        self.tables().workers.entry(worker).or_default().clone()
    }

    /// A worker's own counters for a route. Only that worker may write them.
    pub fn route(&self, worker: usize, name: &Name) -> Arc<RouteMetrics> {
        self.tables().routes.entry(name.clone()).or_default().entry(worker).or_default().clone()
    }

    /// A worker's own counters for a pool. Only that worker may write them.
    pub fn pool(&self, worker: usize, name: &Name) -> Arc<PoolMetrics> {
        self.tables().pools.entry(name.clone()).or_default().entry(worker).or_default().clone()
    }

    /// What the front door refused so far; kinds that it never met are left out.
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        let tables = self.tables();
        let counted = Refused::ALL.map(|what| (what.as_str(), sum(&tables.workers, |w| w.refusals(what))));
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Writes every number that is counted here, and those of the process.
    pub fn write(&self, text: &mut Exposition) {
        let tables = self.tables();
        write_connections(text, &tables);
        write_no_room(text, &tables.workers);
        write_refused(text, &tables.workers);
        write_handshakes(text, &tables.workers);
        write_proxy_headers(text, &tables.workers);
        write_routes(text, &tables.routes);
        write_errors(text, &tables);
        write_pools(text, &tables.pools);
        write_queues(text, &tables.pools);
        write_reports(text, &tables.pools);
        drop(tables);
        process::write(text, self.started);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A panic while the maps were held leaves them whole: each change is one insertion.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_connections(text: &mut Exposition, tables: &Tables) {
    let mut counter = |name: &str, kind, help: &str, read: fn(&WorkerMetrics) -> u64| {
        let mut family = text.family(name, kind, help);
        for (worker, metrics) in &tables.workers {
            family.sample(&[("worker", &worker.to_string())], read(metrics));
        }
    };
    counter(
        "bascule_connections_accepted_total",
        Kind::Counter,
        "Clients' connections that were accepted.",
        |worker| worker.connections_accepted.get(),
    );
    counter("bascule_connections_open", Kind::Gauge, "Clients' connections that are open.", |worker| {
        worker.connections_open.get()
    });
    counter(
        "bascule_node_connections_total",
        Kind::Counter,
        "Connections to nodes that were made.",
        |worker| worker.node_connections.get(),
    );
    counter(
        "bascule_node_http2_connections",
        Kind::Gauge,
        "Connections of HTTP/2 to nodes that are open.",
        |worker| worker.node_http2_connections.get(),
    );
}

fn write_no_room(text: &mut Exposition, workers: &BTreeMap<usize, Arc<WorkerMetrics>>) {
    let mut family = text.family(
        "bascule_connections_refused_total",
        Kind::Counter,
        "Clients' connections that were turned away, by what there was no room for.",
    );
    for why in NoRoom::ALL {
        family.sample(&[("reason", why.as_str())], sum(workers, |worker| worker.without_room(why)));
    }
}

fn write_refused(text: &mut Exposition, workers: &BTreeMap<usize, Arc<WorkerMetrics>>) {
    let mut family = text.family(
        "bascule_refused_total",
        Kind::Counter,
        "What the front door refused clients, by what they did.",
    );
    for what in Refused::ALL {
        family.sample(&[("kind", what.as_str())], sum(workers, |worker| worker.refusals(what)));
    }
}

fn write_handshakes(text: &mut Exposition, workers: &BTreeMap<usize, Arc<WorkerMetrics>>) {
    let mut family = text.family(
        "bascule_tls_handshakes_total",
        Kind::Counter,
        "Clients' TLS handshakes, by what came of them.",
    );
    for outcome in HandshakeOutcome::ALL {
        let count = sum(workers, |worker| worker.handshakes(outcome));
        family.sample(&[("outcome", outcome.as_str())], count);
    }
}

fn write_proxy_headers(text: &mut Exposition, workers: &BTreeMap<usize, Arc<WorkerMetrics>>) {
    let mut family = text.family(
        "bascule_proxy_headers_total",
        Kind::Counter,
        "PROXY headers that peers had to send, by what came of them.",
    );
    for outcome in ProxyHeader::ALL {
        let count = sum(workers, |worker| worker.proxy_headers(outcome));
        family.sample(&[("outcome", outcome.as_str())], count);
    }
}

fn write_routes(text: &mut Exposition, routes: &ByName<RouteMetrics>) {
    let mut family = text.family(
        "bascule_requests_total",
        Kind::Counter,
        "Requests that were answered, by class of status.",
    );
    for (route, workers) in routes {
        for (class, word) in (1..).zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
            let count = sum(workers, |metrics| metrics.requests(class));
            family.sample(&[("route", route.as_str()), ("status", word)], count);
        }
    }
    let mut family = text.family(
        "bascule_request_duration_seconds",
        Kind::Histogram,
        "From the end of a request's head to the last byte of its response.",
    );
    for (route, workers) in routes {
        let (buckets, micros) = sum_latencies(workers, |metrics| &metrics.latencies);
        family.latencies(&[("route", route.as_str())], &buckets, micros);
    }
    let mut family = text.family(
        "bascule_passed_connections_total",
        Kind::Counter,
        "Connections that were passed on to a node as they are.",
    );
    for (route, workers) in routes {
        family.sample(&[("route", route.as_str())], sum(workers, |route| route.passed.get()));
    }
    let mut bytes = |name: &str, help: &str, read: fn(&RouteMetrics) -> u64| {
        let mut family = text.family(name, Kind::Counter, help);
        for (route, workers) in routes {
            family.sample(&[("route", route.as_str())], sum(workers, read));
        }
    };
    bytes("bascule_request_body_bytes_total", "Bytes of request bodies.", |route| route.bytes_in.get());
    bytes("bascule_response_body_bytes_total", "Bytes of response bodies.", |route| route.bytes_out.get());
}

fn write_pools(text: &mut Exposition, pools: &ByName<PoolMetrics>) {
    let mut family = text.family(
        "bascule_pick_fallbacks_total",
        Kind::Counter,
        "Picks that fell to the native round robin, by what the last policy did.",
    );
    for (pool, workers) in pools {
        for reason in FallbackReason::ALL {
            let count = sum(workers, |metrics| metrics.fallbacks(reason));
            family.sample(&[("pool", pool.as_str()), ("reason", reason.as_str())], count);
        }
    }
    let mut family =
        text.family("bascule_retries_total", Kind::Counter, "Requests that were sent again, by why.");
    for (pool, workers) in pools {
        for reason in RetryReason::ALL {
            let count = sum(workers, |metrics| metrics.retries(reason));
            family.sample(&[("pool", pool.as_str()), ("reason", reason.as_str())], count);
        }
    }
    let mut family = text.family(
        "bascule_retries_refused_total",
        Kind::Counter,
        "Failed attempts after which no other node was tried, by why not.",
    );
    for (pool, workers) in pools {
        for why in RetryRefusal::ALL {
            let count = sum(workers, |metrics| metrics.retries_refused(why));
            family.sample(&[("pool", pool.as_str()), ("why", why.as_str())], count);
        }
    }
    let mut family = text.family(
        "bascule_hedges_total",
        Kind::Counter,
        "Second attempts that were due beside a first one, by what came of them.",
    );
    for (pool, workers) in pools {
        for outcome in HedgeOutcome::ALL {
            let count = sum(workers, |metrics| metrics.hedges(outcome));
            family.sample(&[("pool", pool.as_str()), ("outcome", outcome.as_str())], count);
        }
    }
}

/// Refusals of every pool, zeros too; the histogram only where somebody waited.
fn write_queues(text: &mut Exposition, pools: &ByName<PoolMetrics>) {
    let mut family = text.family(
        "bascule_pool_refused_total",
        Kind::Counter,
        "Requests that a pool had no room for, by what was full.",
    );
    for (pool, workers) in pools {
        for refusal in Refusal::ALL {
            let count = sum(workers, |metrics| metrics.refusals(refusal));
            family.sample(&[("pool", pool.as_str()), ("reason", refusal.as_str())], count);
        }
    }
    let mut family = text.family(
        "bascule_pool_queue_seconds",
        Kind::Histogram,
        "How long requests waited in a pool's queue, those that did not wait left out.",
    );
    for (pool, workers) in pools {
        let (buckets, micros) = sum_latencies(workers, |metrics| &metrics.queue);
        if micros > 0 {
            family.latencies(&[("pool", pool.as_str())], &buckets, micros);
        }
    }
}

fn write_reports(text: &mut Exposition, pools: &ByName<PoolMetrics>) {
    let mut family = text.family(
        "bascule_load_reports_total",
        Kind::Counter,
        "Load reports of nodes that were looked at, by what came of them.",
    );
    for (pool, workers) in pools {
        for report in LoadReport::ALL {
            let count = sum(workers, |metrics| metrics.reports(report));
            family.sample(&[("pool", pool.as_str()), ("result", report.as_str())], count);
        }
    }
}

/// Totals by kind, zeros too, so that an alert on a kind works before its first error; by route only what happened.
fn write_errors(text: &mut Exposition, tables: &Tables) {
    let of_route =
        |workers: &BTreeMap<usize, Arc<RouteMetrics>>, kind| sum(workers, |metrics| metrics.errors(kind));
    let mut family = text.family(
        "bascule_errors_total",
        Kind::Counter,
        "Requests that the gateway failed, by what went wrong.",
    );
    for kind in ErrorKind::ALL {
        let routes: u64 = tables.routes.values().map(|workers| of_route(workers, kind)).sum();
        let elsewhere = sum(&tables.workers, |metrics| metrics.errors(kind));
        family.sample(&[("kind", kind.as_str())], routes + elsewhere);
    }
    let mut family = text.family("bascule_route_errors_total", Kind::Counter, "The same, by route.");
    for (route, workers) in &tables.routes {
        for kind in ErrorKind::ALL {
            let count = of_route(workers, kind);
            if count > 0 {
                family.sample(&[("route", route.as_str()), ("kind", kind.as_str())], count);
            }
        }
    }
}

/// All workers' histograms as one, and its sum in microseconds.
fn sum_latencies<T>(
    workers: &BTreeMap<usize, Arc<T>>,
    of: impl Fn(&T) -> &Latencies,
) -> ([u64; LATENCY_BUCKETS.len() + 1], u64) {
    let mut all = ([0; LATENCY_BUCKETS.len() + 1], 0);
    for metrics in workers.values() {
        let (own, micros) = of(metrics).read();
        all.0.iter_mut().zip(own).for_each(|(bucket, more)| *bucket += more);
        all.1 += micros;
    }
    all
}

fn sum<T>(workers: &BTreeMap<usize, Arc<T>>, read: impl Fn(&T) -> u64) -> u64 {
    workers.values().map(|metrics| read(metrics)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn scrape(telemetry: &Telemetry) -> String {
        let mut text = Exposition::new();
        telemetry.write(&mut text);
        text.into_text()
    }

    #[test]
    fn workers_are_added_up() {
        let telemetry = Telemetry::new();
        let name: Name = "api".parse().unwrap();
        for worker in 0..3 {
            let route = telemetry.route(worker, &name);
            route.answered(200, Duration::from_millis(2));
            route.error(ErrorKind::Timeout);
            telemetry.worker(worker).error(ErrorKind::NoRoute);
            let pool = telemetry.pool(worker, &name);
            pool.fallback(FallbackReason::BadIndex);
            pool.retry(RetryReason::Reset);
            pool.retry_refused(RetryRefusal::Budget);
            pool.hedge(HedgeOutcome::Won);
        }
        let text = scrape(&telemetry);
        for line in [
            "bascule_requests_total{route=\"api\",status=\"2xx\"} 3",
            "bascule_request_duration_seconds_count{route=\"api\"} 3",
            "bascule_errors_total{kind=\"timeout\"} 3",
            "bascule_errors_total{kind=\"no_route\"} 3",
            "bascule_errors_total{kind=\"connect\"} 0",
            "bascule_route_errors_total{route=\"api\",kind=\"timeout\"} 3",
            "bascule_pick_fallbacks_total{pool=\"api\",reason=\"bad_index\"} 3",
            "bascule_retries_total{pool=\"api\",reason=\"reset\"} 3",
            "bascule_retries_total{pool=\"api\",reason=\"status\"} 0",
            "bascule_retries_refused_total{pool=\"api\",why=\"budget\"} 3",
            "bascule_hedges_total{pool=\"api\",outcome=\"won\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_worker_gets_the_same_counters_again() {
        let telemetry = Telemetry::new();
        let name: Name = "api".parse().unwrap();
        assert!(Arc::ptr_eq(&telemetry.route(1, &name), &telemetry.route(1, &name)));
        assert!(!Arc::ptr_eq(&telemetry.route(1, &name), &telemetry.route(2, &name)));
    }
}
