//! `wasi:io` and the standard streams: input is at its end, output and error end in the log.

use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType, WasmList};

use super::{Call, open, resource};
use crate::plugin::host::Host;

/// Bytes that a write may bring.
const MOST_BYTES: u64 = 4096;
/// An output stream's number: which of the two it is.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Types that only exist to tell handles apart.
enum Input {}
enum Output {}
enum Failure {}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

type Written = Result<(), StreamError>;

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    open(linker, "io/error")?.resource("error", ResourceType::host::<Failure>(), |_, _| Ok(()))?;
    resource(&mut open(linker, "io/poll")?, "pollable")?;
    link_input(linker)?;
    link_output(linker)?;
    open(linker, "cli/stdin")?
        .func_wrap("get-stdin", |_: Call<'_>, (): ()| Ok((Resource::<Input>::new_own(0),)))?;
    open(linker, "cli/stdout")?
        .func_wrap("get-stdout", |_: Call<'_>, (): ()| Ok((Resource::<Output>::new_own(STDOUT),)))?;
    open(linker, "cli/stderr")?
        .func_wrap("get-stderr", |_: Call<'_>, (): ()| Ok((Resource::<Output>::new_own(STDERR),)))
}

fn link_input(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut streams = open(linker, "io/streams")?;
    streams.resource("input-stream", ResourceType::host::<Input>(), |_, _| Ok(()))?;
    let ended = |_: Call<'_>, (_, _): (Resource<Input>, u64)| Ok((Err::<Vec<u8>, _>(StreamError::Closed),));
    streams.func_wrap("[method]input-stream.read", ended)?;
    streams.func_wrap("[method]input-stream.blocking-read", ended)
}

fn link_output(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut streams = open(linker, "io/streams")?;
    streams.resource("output-stream", ResourceType::host::<Output>(), |_, _| Ok(()))?;
    streams.func_wrap("[method]output-stream.check-write", |_: Call<'_>, (_,): (Resource<Output>,)| {
        Ok((Ok::<_, StreamError>(MOST_BYTES),))
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(&format!("[method]output-stream.{name}"), write)?;
    }
    let flushed = |_: Call<'_>, (_,): (Resource<Output>,)| Ok((Written::Ok(()),));
    streams.func_wrap("[method]output-stream.flush", flushed)?;
    streams.func_wrap("[method]output-stream.blocking-flush", flushed)
}

fn write(
    mut call: Call<'_>,
    (stream, bytes): (Resource<Output>, WasmList<u8>),
) -> wasmtime::Result<(Written,)> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wasmtime::Error::msg("it wrote more than the stream takes at once"));
    }
    let bytes = bytes.as_le_slice(&call).to_vec();
    let host = call.data_mut();
    if stream.rep() == STDERR {
        host.stderr.push(&bytes);
    } else {
        host.print(&bytes);
    }
    Ok((Ok(()),))
}
