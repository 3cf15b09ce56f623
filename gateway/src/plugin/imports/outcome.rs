//! `outcome`: what became of an attempt.

use std::sync::Arc;

use super::{Call, Instance};

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("node", |call: Call<'_>, (): ()| {
        let node = call.data().context.node.as_ref();
        Ok((node.map_or_else(|| Arc::from(""), |node| Arc::clone(&node.spec.id)),))
    })?;
    instance.func_wrap("status", |call: Call<'_>, (): ()| Ok((call.data().context.outcome.status,)))?;
    instance.func_wrap("latency", |call: Call<'_>, (): ()| {
        Ok((call.data().context.outcome.latency.as_micros() as u64,))
    })?;
    instance.func_wrap("error", |call: Call<'_>, (): ()| Ok((call.data().context.outcome.error,)))
}
