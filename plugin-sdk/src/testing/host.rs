//! The functions of the contract's imports, answered from the test's world. Signatures are those that the
//! bindings of `wit/bascule.wit` have in wasm; names and meaning are explained there.

use super::message::Fields;
use super::world::with;

/// What requests and responses have in common: reading and editing their fields.
macro_rules! header_fields {
    ($message:ident) => {
        pub(crate) fn header(name: &str) -> Option<Vec<u8>> {
            header_values(name).into_iter().next()
        }
        pub(crate) fn header_values(name: &str) -> Vec<Vec<u8>> {
            with(|world| world.$message.headers.values(name))
        }
        pub(crate) fn set_header(name: &str, value: &[u8]) -> Result<(), String> {
            Fields::check(name, value)?;
            remove_header(name)?;
            add_header(name, value)
        }
        pub(crate) fn add_header(name: &str, value: &[u8]) -> Result<(), String> {
            Fields::check(name, value)?;
            with(|world| world.$message.headers.add(name, value));
            Ok(())
        }
        pub(crate) fn remove_header(name: &str) -> Result<(), String> {
            Fields::check(name, b"")?;
            with(|world| world.$message.headers.remove(name));
            Ok(())
        }
    };
}

/// What both stores have in common. The contract gives each an error type of its own.
macro_rules! store_error {
    () => {
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum StoreError {
            Unavailable,
            #[allow(dead_code, reason = "the double of sessions takes everything")]
            Refused,
        }

        fn up() -> Result<(), StoreError> {
            if with(|world| world.store_down) { Err(StoreError::Unavailable) } else { Ok(()) }
        }
    };
}

pub(crate) mod nodes;
pub(crate) mod request;
pub(crate) mod sessions;
pub(crate) mod shared;

pub(crate) mod response {
    use super::{Fields, with};

    header_fields!(response);

    pub(crate) fn status() -> u16 {
        with(|world| world.response.status)
    }
    pub(crate) fn set_status(status: u16) -> Result<(), String> {
        if !(200..600).contains(&status) {
            return Err(format!("{status} is not a status from 200 to 599"));
        }
        with(|world| world.response.status = status);
        Ok(())
    }
}

pub(crate) mod reply {
    use super::{Fields, with};

    pub(crate) fn add_header(name: &str, value: &[u8]) -> Result<(), String> {
        Fields::check(name, value)?;
        with(|world| world.reply.headers.add(name, value));
        Ok(())
    }
    pub(crate) fn set_body(body: &[u8]) -> Result<(), String> {
        with(|world| world.reply.body = body.to_vec());
        Ok(())
    }
}

pub(crate) mod spare {
    use super::with;

    pub(crate) fn on_request() {
        with(|world| world.spares_requests = true);
    }
    pub(crate) fn on_response() {
        with(|world| world.request.spares_response.set(true));
    }
    pub(crate) fn on_response_where_bound() {
        with(|world| world.spares_bound = true);
    }
}

pub(crate) mod outcome {
    use super::with;

    pub(crate) fn node() -> String {
        with(|world| world.outcome.node.clone())
    }
    pub(crate) fn status() -> Option<u16> {
        with(|world| world.outcome.status)
    }
    pub(crate) fn latency() -> u64 {
        with(|world| world.outcome.latency.as_micros() as u64)
    }
    pub(crate) fn error() -> Option<String> {
        with(|world| world.outcome.error.clone())
    }
}

pub(crate) mod log {
    use super::with;

    #[derive(Debug)]
    pub(crate) enum Level {
        Trace,
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn write(level: Level, message: &str) {
        let level = format!("{level:?}").to_lowercase();
        with(|world| world.log.push(format!("{level}: {message}")));
    }
}

pub(crate) mod metrics {
    use super::with;

    pub(crate) fn counter(name: &str, increment: u64) {
        with(|world| *world.counters.entry(name.into()).or_default() += increment);
    }
    pub(crate) fn gauge(name: &str, value: f64) {
        with(|world| world.gauges.insert(name.into(), value));
    }
    pub(crate) fn histogram(name: &str, value: f64) {
        if value.is_finite() {
            with(|world| world.histograms.entry(name.into()).or_default().push(value));
        }
    }
}
