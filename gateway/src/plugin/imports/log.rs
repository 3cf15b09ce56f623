//! `log`: lines in the gateway's log.

use wasmtime::component::{ComponentType, Lift, WasmStr};

use super::{Call, Instance};
use crate::plugin::output::LONGEST_LINE;

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes them of what the plugin sends")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

pub(super) fn link(instance: &mut Instance<'_>) -> wasmtime::Result<()> {
    instance.func_wrap("write", |mut call: Call<'_>, (level, message): (Level, WasmStr)| {
        let message = message.to_str(&call)?;
        // One byte more than is logged, so that it shows that something was left out.
        let message = message[..message.floor_char_boundary(LONGEST_LINE + 4)].to_owned();
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        call.data_mut().log(level, &message);
        Ok(())
    })
}
