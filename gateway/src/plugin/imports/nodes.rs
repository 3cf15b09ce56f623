//! `nodes`: the candidates of this pick.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentType, Lower, WasmList, WasmStr};

use super::{Call, Instance, readable_field};
use crate::node::selection::{Estimate, Load, ZoneWeights};
use crate::plugin::context::Context;
use crate::plugin::host::Host;

/// Characters of the longest address: eight groups, the last two of them as IPv4.
const LONGEST_ADDRESS: usize = 45;

/// A candidate's load as the contract writes it.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct LoadRecord {
    node: u32,
    #[component(name = "in-flight")]
    in_flight: u32,
    latency: u32,
    weight: u32,
    #[component(name = "error-rate")]
    error_rate: u32,
    oldest: u32,
}

impl From<&Load> for LoadRecord {
    fn from(load: &Load) -> LoadRecord {
        LoadRecord {
            node: load.node,
            in_flight: load.in_flight,
            latency: load.latency,
            weight: load.weight,
            error_rate: load.error_rate,
            oldest: load.oldest,
        }
    }
}

/// A candidate's load and service time as the contract writes them.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct EstimateRecord {
    load: LoadRecord,
    service: u32,
}

impl From<&Estimate> for EstimateRecord {
    fn from(estimate: &Estimate) -> EstimateRecord {
        EstimateRecord { load: LoadRecord::from(&estimate.load), service: estimate.service }
    }
}

/// How the candidates' weights are spread over zones, as the contract writes it.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct ZoneWeightsRecord {
    here: u64,
    all: u64,
    zones: u32,
}

impl From<ZoneWeights> for ZoneWeightsRecord {
    fn from(weights: ZoneWeights) -> ZoneWeightsRecord {
        ZoneWeightsRecord { here: weights.here, all: weights.all, zones: weights.zones }
    }
}

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    link_loads(instance)?;
    link_facts(instance)?;
    link_zones(instance)?;
    link_hashing(instance)?;
    link_signals(instance)
}

fn link_loads(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("count", |call: Call<'_>, (): ()| Ok((call.data().context.selection.count(),)))?;
    instance.func_wrap("load-of", |call: Call<'_>, (node,): (u32,)| {
        let context = &call.data().context;
        Ok((context.selection.load(node, context.now).as_ref().map(LoadRecord::from),))
    })?;
    instance.func_wrap("weight", |call: Call<'_>, (node,): (u32,)| {
        let candidate = call.data().context.selection.candidate(node);
        Ok((candidate.map_or(0, |candidate| candidate.weight),))
    })?;
    instance.func_wrap("loads", |mut call: Call<'_>, (): ()| {
        let Host { context, loads, .. } = call.data_mut();
        context.selection.loads(context.now, loads);
        Ok((records(loads),))
    })?;
    instance.func_wrap("sample", |mut call: Call<'_>, (most,): (u32,)| {
        let Host { context, loads, .. } = call.data_mut();
        context.selection.sample(most, context.now, loads);
        Ok((records(loads),))
    })?;
    instance.func_wrap("estimates", |mut call: Call<'_>, (sample,): (u32,)| {
        let Host { context, estimates, .. } = call.data_mut();
        context.selection.estimates(sample, context.now, estimates);
        Ok((estimates.iter().map(EstimateRecord::from).collect::<Vec<_>>(),))
    })?;
    instance.func_wrap("estimates-flat", |mut call: Call<'_>, (sample,): (u32,)| {
        let Host { context, estimates, .. } = call.data_mut();
        context.selection.estimates(sample, context.now, estimates);
        Ok((estimates.iter().flat_map(numbers).collect::<Vec<_>>(),))
    })?;
    instance.func_wrap("least-loaded", |mut call: Call<'_>, (most,): (u32,)| {
        let Host { context, costs, .. } = call.data_mut();
        Ok((context.selection.least_loaded(most, context.now, costs),))
    })?;
    instance.func_wrap("soonest", |mut call: Call<'_>, (sample, quantile, slow): (u32, f64, f64)| {
        let Host { context, scales, .. } = call.data_mut();
        Ok((context.selection.soonest(sample, quantile, slow, context.now, scales),))
    })?;
    instance.func_wrap("quicker-of-two", |call: Call<'_>, (): ()| {
        let context = &call.data().context;
        Ok((context.selection.quicker_of_two(context.now),))
    })?;
    instance.func_wrap("two-random", |call: Call<'_>, (): ()| {
        let context = &call.data().context;
        let two = context.selection.two_random(context.now);
        Ok((two.map(|(one, other)| (LoadRecord::from(&one), LoadRecord::from(&other))),))
    })
}

fn records(loads: &[Load]) -> Vec<LoadRecord> {
    loads.iter().map(LoadRecord::from).collect()
}

/// A candidate's estimate as the contract writes it flat.
fn numbers(estimate: &Estimate) -> [u32; 7] {
    let Estimate { load, service } = *estimate;
    [load.node, load.in_flight, load.latency, load.weight, load.error_rate, load.oldest, service]
}

fn link_facts(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("id", |call: Call<'_>, (node,): (u32,)| {
        let candidate = call.data().context.selection.candidate(node);
        Ok((candidate.map_or_else(|| Arc::from(""), |candidate| Arc::clone(&candidate.node.spec.id)),))
    })?;
    instance.func_wrap("zone", |call: Call<'_>, (node,): (u32,)| {
        let candidate = call.data().context.selection.candidate(node);
        Ok((candidate.and_then(|candidate| candidate.node.spec.zone.clone()),))
    })?;
    instance.func_wrap("label", |call: Call<'_>, (node, name): (u32, WasmStr)| {
        let name = name.to_str(&call)?;
        let candidate = call.data().context.selection.candidate(node);
        Ok((candidate.and_then(|candidate| candidate.node.spec.labels.get(&*name).cloned()),))
    })?;
    instance.func_wrap("find", |call: Call<'_>, (id,): (WasmStr,)| {
        let id = id.to_str(&call)?;
        Ok((call.data().context.selection.find(&id),))
    })?;
    instance.func_wrap("keep", |mut call: Call<'_>, (nodes,): (Vec<u32>,)| {
        let selection = &mut call.data_mut().context.selection;
        // Sorting half a million repetitions of one index would hold up the worker, and no tick would see it.
        let most = nodes.len().min(selection.count() as usize);
        selection.keep(&nodes[..most]);
        Ok(())
    })
}

fn link_zones(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("own-zone", |call: Call<'_>, (): ()| {
        Ok((call.data().context.selection.own_zone().map(ZoneWeightsRecord::from),))
    })?;
    instance.func_wrap("keep-zone", |mut call: Call<'_>, (here,): (bool,)| {
        call.data_mut().context.selection.keep_zone(here);
        Ok(())
    })
}

fn link_hashing(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("by-hash", |call: Call<'_>, (key,): (WasmList<u8>,)| {
        Ok((call.data().context.selection.by_hash(key.as_le_slice(&call)),))
    })?;
    instance.func_wrap("by-hash-bounded", |call: Call<'_>, (key, percent): (WasmList<u8>, u32)| {
        let key = key.as_le_slice(&call);
        Ok((call.data().context.selection.by_hash_bounded(key, percent),))
    })?;
    link_hashing_of_requests(instance)
}

fn link_hashing_of_requests(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("by-client", |call: Call<'_>, (percent,): (u32,)| {
        let context = &call.data().context;
        let mut buffer = [0; LONGEST_ADDRESS];
        let key = context.client.map(|client| written(client, &mut buffer));
        Ok((by_value(context, key, percent),))
    })?;
    instance.func_wrap("by-path", |call: Call<'_>, (percent,): (u32,)| {
        let context = &call.data().context;
        let path = context.request.path().split(|&byte| byte == b'?').next();
        Ok((by_value(context, path, percent),))
    })?;
    instance.func_wrap("by-header", |call: Call<'_>, (name, percent): (WasmStr, u32)| {
        let name = name.to_str(&call)?;
        let host = call.data();
        Ok((by_value(&host.context, readable_field(host, &name), percent),))
    })?;
    instance.func_wrap("by-cookie", |call: Call<'_>, (name, percent): (WasmStr, u32)| {
        let name = name.to_str(&call)?;
        let context = &call.data().context;
        Ok((by_value(context, context.request.cookie(&name), percent),))
    })
}

/// An address as `client-address` tells it.
fn written(address: IpAddr, buffer: &mut [u8; LONGEST_ADDRESS]) -> &[u8] {
    let mut free = &mut buffer[..];
    // It has room for all.
    let _ = write!(free, "{address}");
    let length = LONGEST_ADDRESS - free.len();
    &buffer[..length]
}

/// The candidate of a key that the request has, if it has it.
fn by_value(context: &Context, key: Option<&[u8]>, percent: u32) -> Option<u32> {
    let key = key.filter(|key| !key.is_empty())?;
    match percent {
        0 => context.selection.by_hash(key),
        _ => context.selection.by_hash_bounded(key, percent),
    }
}

fn link_signals(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("signal", |call: Call<'_>, (node, name): (u32, WasmStr)| {
        let name = name.to_str(&call)?;
        let context = &call.data().context;
        let candidate = context.selection.candidate(node);
        Ok((candidate.and_then(|candidate| candidate.node.live.signal(&name, context.now)),))
    })?;
    type Signal = (u32, WasmStr, f64, u64);
    instance.func_wrap("set-signal", |call: Call<'_>, (node, name, value, ttl_ms): Signal| {
        let name = name.to_str(&call)?;
        let context = &call.data().context;
        if let Some(candidate) = context.selection.candidate(node) {
            candidate.node.live.set_signal(&name, value, Duration::from_millis(ttl_ms), context.now);
        }
        Ok(())
    })
}
