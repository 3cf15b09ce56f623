//! Log lines, on the standard error: for people or, a JSON object a line, for machines.
//!
//! `tracing` carries them. Nothing here decides what is worth a line.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The environment variable whose filter stands above the configured level, for example `bascule=debug`.
pub const FILTER_VARIABLE: &str = "BASCULE_LOG";

/// What lines look like, and which there are.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// What this process logs with, once it does.
static LINES: OnceLock<reload::Handle<Lines, Registry>> = OnceLock::new();

/// A log filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{FILTER_VARIABLE} is not a log filter: {0}; write for example {FILTER_VARIABLE}=debug, or unset it")]
pub struct InvalidFilter(String);

/// Starts logging, once in a process (later calls change nothing). `level` is "error", "warn", "info", "debug" or
/// "trace" and counts for the gateway; the libraries below it say only what is at least a warning.
///
/// # Errors
/// If the environment's filter cannot be read.
pub fn init(json: bool, level: &str) -> Result<(), InvalidFilter> {
    let (lines, handle) = reload::Layer::new(lines(json, level)?);
    // A second call finds a subscriber already set: the first one stays.
    if tracing_subscriber::registry().with(lines).try_init().is_ok() {
        let _first = LINES.set(handle);
    }
    Ok(())
}

/// Logs otherwise from now on, if this process logs by [`init`]. The environment's filter still stands above `level`.
pub fn change(json: bool, level: &str) {
    let Some(handle) = LINES.get() else { return };
    match lines(json, level) {
        // It fails only if the subscriber is gone, and then nobody logs.
        Ok(lines) => drop(handle.reload(lines)),
        Err(error) => tracing::warn!("the log stays as it is: {error}"),
    }
}

fn lines(json: bool, level: &str) -> Result<Lines, InvalidFilter> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(text).map_err(|error| InvalidFilter(error.to_string()))?
        }
        _ => default_filter(level),
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    Ok(if json {
        Box::new(lines.json().flatten_event(true).and_then(filter))
    } else {
        Box::new(lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).and_then(filter))
    })
}

fn default_filter(level: &str) -> EnvFilter {
    let libraries = if level == "error" { "error" } else { "warn" };
    // ZooKeeper's client warns of each attempt that fails; discovery says once that there is no connection.
    EnvFilter::new(format!("{libraries},zookeeper_client=error,bascule={level},plugin={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_the_gateway() {
        assert_eq!(
            default_filter("debug").to_string(),
            "zookeeper_client=error,bascule=debug,plugin=debug,warn"
        );
        assert_eq!(
            default_filter("error").to_string(),
            "zookeeper_client=error,bascule=error,plugin=error,error"
        );
    }
}
