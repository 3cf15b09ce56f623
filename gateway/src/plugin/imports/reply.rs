//! `reply`: head and body of an answer that the plugin gives. It counts if the call ends with an answer.

use wasmtime::component::{WasmList, WasmStr};

use super::{Call, Edited, Instance, edit_field, refuse};
use crate::plugin::caps::Cap;

const LARGEST_BODY: usize = 1024 * 1024;

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("add-header", |call: Call<'_>, (name, value): (WasmStr, WasmList<u8>)| {
        edit_field(call, name, Some(value), |host, name, value| {
            host.reply.fields.push((name.into(), value.into()));
            Ok(())
        })
    })?;
    instance.func_wrap("set-body", |mut call: Call<'_>, (body,): (WasmList<u8>,)| {
        if body.len() > LARGEST_BODY {
            return Ok((refuse(call.data_mut(), Cap::ReplyBody, "an answer's body is at most 1 MiB"),));
        }
        let mut kept = std::mem::take(&mut call.data_mut().reply.body);
        kept.clear();
        kept.extend_from_slice(body.as_le_slice(&call));
        call.data_mut().reply.body = kept;
        Ok((Edited::Ok(()),))
    })
}
