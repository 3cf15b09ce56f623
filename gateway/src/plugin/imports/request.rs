//! `request`: what the request says, and in `on-request` what it shall say.

use std::sync::Arc;

use twox_hash::XxHash64;
use wasmtime::component::{WasmList, WasmStr};

use super::{
    Call, Edited, Instance, LARGEST_VALUE, count_edit, edit_field, has_room, may_read, readable_field, refuse,
};
use crate::http::fields::Known;
use crate::plugin::caps::Cap;
use crate::plugin::host::{Host, Stage};

const LONGEST_NOTE: usize = 1024;

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    link_facts(instance)?;
    link_certificate(instance)?;
    link_fields(instance)?;
    link_edits(instance)?;
    link_notes(instance)
}

fn link_facts(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("method", |call: Call<'_>, (): ()| {
        Ok((call.data().context.request.method_name().to_owned(),))
    })?;
    instance.func_wrap("scheme", |call: Call<'_>, (): ()| {
        Ok((if call.data().context.secure { "https" } else { "http" },))
    })?;
    instance.func_wrap("authority", |call: Call<'_>, (): ()| {
        Ok((call.data().context.request.authority().to_vec(),))
    })?;
    instance
        .func_wrap("path", |call: Call<'_>, (): ()| Ok((call.data().context.request.path().to_vec(),)))?;
    instance.func_wrap("client-address", |call: Call<'_>, (): ()| {
        Ok((call.data().context.client.map(|client| client.to_string()).unwrap_or_default(),))
    })?;
    instance.func_wrap("id", |call: Call<'_>, (): ()| Ok((call.data().context.id.as_str().to_owned(),)))?;
    instance.func_wrap("route", |call: Call<'_>, (): ()| Ok((call.data().context.route.to_string(),)))?;
    instance.func_wrap("pool", |call: Call<'_>, (): ()| Ok((call.data().context.pool.to_string(),)))?;
    instance.func_wrap("pool-hash", |call: Call<'_>, (): ()| {
        Ok((XxHash64::oneshot(0, call.data().context.pool.as_bytes()),))
    })?;
    instance.func_wrap("attempt", |call: Call<'_>, (): ()| Ok((call.data().context.attempt,)))?;
    instance.func_wrap("node", |call: Call<'_>, (): ()| {
        Ok((call.data().context.node.as_ref().map(|node| Arc::clone(&node.spec.id)),))
    })
}

fn link_certificate(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("client-certificate-subject", |call: Call<'_>, (): ()| {
        let certificate = call.data().context.certificate.as_ref();
        Ok((certificate.map(|certificate| certificate.subject().to_owned()),))
    })?;
    instance.func_wrap("client-certificate-fingerprint", |call: Call<'_>, (): ()| {
        let certificate = call.data().context.certificate.as_ref();
        Ok((certificate.map(|certificate| certificate.fingerprint().to_owned()),))
    })?;
    instance.func_wrap("client-certificate-names", |call: Call<'_>, (kind,): (WasmStr,)| {
        let kind = kind.to_str(&call)?;
        let names = call.data().context.certificate.iter().flat_map(|certificate| certificate.names(&kind));
        Ok((names.map(str::to_owned).collect::<Vec<_>>(),))
    })
}

fn link_fields(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("header", |call: Call<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&call)?;
        Ok((readable_field(call.data(), &name).map(<[u8]>::to_vec),))
    })?;
    instance.func_wrap("header-values", |call: Call<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&call)?;
        let host = call.data();
        if !may_read(host, Known::from_name(name.as_bytes())) {
            return Ok((Vec::new(),));
        }
        let values = host.context.request.fields.get_all(&name);
        Ok((values.map(<[u8]>::to_vec).collect::<Vec<_>>(),))
    })?;
    instance.func_wrap("cookie", |call: Call<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&call)?;
        let value = call.data().context.request.cookie(&name);
        Ok((value.map(<[u8]>::to_vec),))
    })
}

fn link_edits(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("set-path", |mut call: Call<'_>, (path,): (WasmList<u8>,)| {
        if path.len() > LARGEST_VALUE {
            return Ok((refuse(call.data_mut(), Cap::ValueBytes, "the path is longer than 16 KiB"),));
        }
        let path = path.as_le_slice(&call).to_vec();
        Ok((set_path(call.data_mut(), &path),))
    })?;
    type Field = (WasmStr, WasmList<u8>);
    instance.func_wrap("set-header", |call: Call<'_>, (name, value): Field| {
        edit_field(call, name, Some(value), set_field)
    })?;
    instance.func_wrap("add-header", |call: Call<'_>, (name, value): Field| {
        edit_field(call, name, Some(value), |host, name, value| {
            if Known::from_name(name) == Known::Host {
                // There is one Host, so to add is to replace.
                return set_field(host, name, value);
            }
            may_edit(host)?;
            has_room(host, host.context.request.fields.len())?;
            host.context.request.fields.add(name, value);
            Ok(())
        })
    })?;
    instance.func_wrap("remove-header", |call: Call<'_>, (name,): (WasmStr,)| {
        edit_field(call, name, None, |host, name, _| {
            may_edit(host).map(|()| host.context.request.fields.remove(name))
        })
    })
}

fn may_edit(host: &Host) -> Edited {
    match host.stage {
        Stage::OnRequest => Ok(()),
        _ => Err("a request can be edited in on-request only"),
    }
}

fn set_path(host: &mut Host, path: &[u8]) -> Edited {
    may_edit(host)?;
    count_edit(host, path.len())?;
    if let Err(why) = check_path(path) {
        return refuse(host, Cap::Forbidden, why);
    }
    host.context.request.set_path(path);
    Ok(())
}

fn set_field(host: &mut Host, name: &[u8], value: &[u8]) -> Edited {
    may_edit(host)?;
    has_room(host, host.context.request.fields.len())?;
    let request = &mut host.context.request;
    request.fields.set(name, value);
    if Known::from_name(name) == Known::Host {
        // The target of an absolute request line stands above the field, so it has to go.
        request.target_authority = None;
    }
    Ok(())
}

/// A path and query that can stand in a request line (RFC 9112, 3.2.1).
fn check_path(path: &[u8]) -> Edited {
    if !path.starts_with(b"/") {
        return Err("a path starts with \"/\"");
    }
    if path.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err("a path holds no space, no control, no \"#\" and nothing but ASCII");
    }
    Ok(())
}

fn link_notes(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("note", |call: Call<'_>, (): ()| Ok((call.data().note().0,)))?;
    instance.func_wrap("set-note", |mut call: Call<'_>, (value,): (u64,)| {
        call.data_mut().note_mut().0 = value;
        Ok(())
    })?;
    instance.func_wrap("note-text", |call: Call<'_>, (): ()| Ok((call.data().note().1.to_owned(),)))?;
    instance.func_wrap("set-note-text", |mut call: Call<'_>, (text,): (WasmStr,)| {
        let text = text.to_str(&call)?;
        if text.len() > LONGEST_NOTE {
            return Ok((refuse(call.data_mut(), Cap::Note, "a note's text is at most 1 KiB"),));
        }
        let text = text.into_owned();
        call.data_mut().note_mut().1 = text;
        Ok((Edited::Ok(()),))
    })
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn paths_that_could_split_a_request_line_are_refused() {
        for path in ["/", "/a/b?c=d&e", "/%20", "/*"] {
            assert_eq!(check_path(path.as_bytes()), Ok(()), "{path}");
        }
        for path in ["", "a", "*", "/a b", "/a\r\nb", "/a\0", "/\u{e9}", "/a#b", "http://x/"] {
            assert!(check_path(path.as_bytes()).is_err(), "{path}");
        }
    }
}
