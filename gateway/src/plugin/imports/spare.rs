//! `spare`: the calls that a plugin does without.

use super::{Call, Instance};
use crate::plugin::host::Stage;

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("on-request", |mut call: Call<'_>, (): ()| {
        let host = call.data_mut();
        host.spares_requests |= host.stage == Stage::Configure;
        Ok(())
    })?;
    instance.func_wrap("on-response-where-bound", |mut call: Call<'_>, (): ()| {
        let host = call.data_mut();
        host.spares_bound |= host.stage == Stage::Configure;
        Ok(())
    })?;
    instance.func_wrap("on-response", |mut call: Call<'_>, (): ()| {
        let host = call.data_mut();
        host.spares_response = host.stage == Stage::Pick;
        Ok(())
    })
}
