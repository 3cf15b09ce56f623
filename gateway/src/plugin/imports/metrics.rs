//! `metrics`: numbers for /metrics. What is refused is ignored: a metric must never cost a request.

use wasmtime::component::WasmStr;

use super::{Call, Instance};
use crate::plugin::metrics::{Kind, LONGEST_NAME, Metric};

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("counter", |call: Call<'_>, (name, increment): (WasmStr, u64)| {
        with_metric(call, &name, Kind::Counter, |metric| metric.add(increment))
    })?;
    instance.func_wrap("gauge", |call: Call<'_>, (name, value): (WasmStr, f64)| {
        with_metric(call, &name, Kind::Gauge, |metric| metric.set(value))
    })?;
    instance.func_wrap("histogram", |call: Call<'_>, (name, value): (WasmStr, f64)| {
        with_metric(call, &name, Kind::Histogram, |metric| metric.observe(value))
    })
}

fn with_metric(
    mut call: Call<'_>,
    name: &WasmStr,
    kind: Kind,
    act: impl FnOnce(&Metric),
) -> wasmtime::Result<()> {
    let name = name.to_str(&call)?;
    // A longer one is no name, and is not worth a copy of it all.
    let name = name[..name.floor_char_boundary(LONGEST_NAME + 4)].to_owned();
    if let Some(metric) = call.data_mut().metric(&name, kind) {
        act(metric);
    }
    Ok(())
}
