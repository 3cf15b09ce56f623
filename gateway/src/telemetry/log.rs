//! Log lines, on the standard error: for people or, a JSON object a line, for machines.
//!
//! `tracing` carries them. Nothing here decides what is worth a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable whose filter stands above the configured level, for example `bascule=debug`.
pub const FILTER_VARIABLE: &str = "BASCULE_LOG";

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
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(text).map_err(|error| InvalidFilter(error.to_string()))?
        }
        _ => default_filter(level),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call finds a subscriber already set: the first one stays.
    let _already_set = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    Ok(())
}

fn default_filter(level: &str) -> EnvFilter {
    let libraries = if level == "error" { "error" } else { "warn" };
    EnvFilter::new(format!("{libraries},bascule={level},plugin={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter_than_the_gateway() {
        assert_eq!(default_filter("debug").to_string(), "bascule=debug,plugin=debug,warn");
        assert_eq!(default_filter("error").to_string(), "bascule=error,plugin=error,error");
    }
}
