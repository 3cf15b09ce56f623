//! Three gateways with one rate limit, which is offered five times as much as it allows. What passes is counted by the nodes.

use super::{Options, aim};
use crate::bench::faults::load::{Load, during};
use crate::bench::faults::nodes::{Nodes, Service};
use crate::bench::faults::ports::Ports;
use crate::bench::faults::seen::Seen;
use crate::bench::gateways::{Gateway, Place};
use crate::bench::table::Table;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, Instant};
use test_servers::Redis;

const GATEWAYS: usize = 3;
/// So many times what is allowed.
const OFFERED: u32 = 5;
/// The limit is kept within so many percent.
const WITHIN: f64 = 2.0;
/// Connections are made, the burst is used up.
const WARM_UP: Duration = Duration::from_secs(2);
/// Far more than is asked of a node.
const SERVICE: Service = Service { places: 256, mean: Duration::from_micros(100) };

/// # Errors
/// When a server does not start.
pub(super) fn measure(gateway: &Path, redis: &Redis, options: &Options) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("bascule-cluster-").tempdir()?;
    let place = Place { program: gateway, folder: folder.path() };
    let mut ports = Ports::new();
    let nodes = Nodes::start(&mut ports, &[SERVICE; 2], 1)?;
    let limit = options.pace / OFFERED;
    let tables = tables(redis, &nodes.ports(), limit);
    let start = |number: usize| place.start(&format!("gateway-{number}"), &mut ports, &tables);
    let gateways: Vec<Gateway> = (0..GATEWAYS).map(start).collect::<Result<_>>()?;
    let ports: Vec<u16> = gateways.iter().map(Gateway::port).collect();
    let pace = f64::from(options.pace) / GATEWAYS as f64;
    under_load(&ports, pace, &mut || pause(WARM_UP))?;
    let mut passed = 0.0;
    let mut took = Duration::ZERO;
    let seen = under_load(&ports, pace, &mut || {
        let (before, start) = (nodes.asked(), Instant::now());
        pause(options.duration());
        passed = nodes.asked().iter().sum::<u64>() as f64 - before.iter().sum::<u64>() as f64;
        took = start.elapsed();
    })?;
    let mut table = table(options, passed / took.as_secs_f64(), took, &seen);
    for gateway in &gateways {
        table.remarks.extend(gateway.faults()?);
    }
    Ok(table)
}

/// Does something while each gateway gets its share of the load.
fn under_load(ports: &[u16], pace: f64, done: &mut dyn FnMut()) -> Result<Vec<Seen>> {
    let Some((port, others)) = ports.split_first() else {
        done();
        return Ok(Vec::new());
    };
    let load = Load { port: *port, pace, seed: u64::from(*port) };
    let (seen, others) = during(&load, || under_load(others, pace, done))?;
    let mut all = others?;
    all.push(seen);
    Ok(all)
}

fn table(options: &Options, allowed: f64, took: Duration, seen: &[Seen]) -> Table {
    let offered = seen.iter().map(Seen::requests).sum::<u64>();
    let refused: u64 = seen.iter().map(|seen| seen.answered_with(429)).sum();
    let failed = seen.iter().map(Seen::failed).sum::<u64>() - refused;
    let limit = f64::from(options.pace / OFFERED);
    let off = 100.0 * (allowed - limit) / limit;
    let met = off.abs() <= WITHIN && failed == 0;
    let troubles = seen.iter().filter_map(Seen::trouble);
    let mut remarks: Vec<_> = if failed > 0 { troubles.collect() } else { Vec::new() };
    let late = seen.iter().filter_map(Seen::late).max();
    remarks.extend(
        late.map(|lag| format!("the load itself was late by up to {} ms: a noisy run", lag.as_millis())),
    );
    Table {
        title: format!(
            "{GATEWAYS} gateways, one limit of {limit} requests a second, for {} s",
            options.seconds
        ),
        head: vec![
            "offered/s",
            "passed/s",
            "off the limit, %",
            "refused",
            "failed otherwise",
            "p99 ms",
            "aim",
        ],
        rows: vec![vec![
            // The load begins a little before what is counted, and ends a little after.
            format!("{:.0}", offered as f64 / took.as_secs_f64()),
            format!("{allowed:.1}"),
            format!("{off:+.2}"),
            refused.to_string(),
            failed.to_string(),
            seen.iter().map(|seen| seen.percentile(0.99)).max().unwrap_or_default().as_millis().to_string(),
            aim("within 2 %", met),
        ]],
        remarks,
    }
}

fn tables(redis: &Redis, nodes: &[u16], limit: u32) -> String {
    let nodes: Vec<_> = nodes.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    format!(
        "[redis]\nservers = [\"{}\"]\n[plugin.rate-limit]\ngrants = [\"shared\"]\nshared = \"cluster\"\non_fault = \"fail\"\n\
         config = {{ rate = \"{limit}/s\", burst = 10, by = \"all\" }}\n[route.bench]\nfilters = [\"rate-limit\"]\npool = \"bench\"\n\
         [pool.bench]\nnodes = [{}]\n",
        redis.url(),
        nodes.join(", ")
    )
}

#[allow(clippy::disallowed_methods, reason = "a load lasts")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
