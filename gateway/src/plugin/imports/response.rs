//! `response`: what the response says, and in `on-response` what it shall say.

use wasmtime::component::{WasmList, WasmStr};

use super::{Call, Edited, Instance, count_edit, edit_field, has_room, refuse};
use crate::plugin::caps::Cap;
use crate::plugin::host::{Host, Stage};

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("status", |call: Call<'_>, (): ()| Ok((call.data().context.response.status,)))?;
    instance.func_wrap("header", |call: Call<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&call)?;
        let value = call.data().context.response.fields.get(&name);
        Ok((value.map(<[u8]>::to_vec),))
    })?;
    instance.func_wrap("header-values", |call: Call<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&call)?;
        let values = call.data().context.response.fields.get_all(&name);
        Ok((values.map(<[u8]>::to_vec).collect::<Vec<_>>(),))
    })?;
    link_edits(instance)
}

fn link_edits(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("set-status", |mut call: Call<'_>, (status,): (u16,)| {
        let host = call.data_mut();
        Ok((set_status(host, status),))
    })?;
    type Field = (WasmStr, WasmList<u8>);
    instance.func_wrap("set-header", |call: Call<'_>, (name, value): Field| {
        edit_field(call, name, Some(value), |host, name, value| {
            may_edit(host)?;
            has_room(host, host.context.response.fields.len())?;
            host.context.response.fields.set(name, value);
            Ok(())
        })
    })?;
    instance.func_wrap("add-header", |call: Call<'_>, (name, value): Field| {
        edit_field(call, name, Some(value), |host, name, value| {
            may_edit(host)?;
            has_room(host, host.context.response.fields.len())?;
            host.context.response.fields.add(name, value);
            Ok(())
        })
    })?;
    instance.func_wrap("remove-header", |call: Call<'_>, (name,): (WasmStr,)| {
        edit_field(call, name, None, |host, name, _| {
            may_edit(host).map(|()| host.context.response.fields.remove(name))
        })
    })
}

fn set_status(host: &mut Host, status: u16) -> Edited {
    may_edit(host)?;
    count_edit(host, 0)?;
    if !(200..=599).contains(&status) {
        return refuse(host, Cap::Forbidden, "a status is 200 to 599");
    }
    host.context.response.status = status;
    Ok(())
}

fn may_edit(host: &Host) -> Edited {
    match host.stage {
        Stage::OnResponse => Ok(()),
        _ => Err("a response can be edited in on-response only"),
    }
}
