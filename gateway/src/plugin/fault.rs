//! What can go wrong with a plugin: it is refused when it is loaded, or a call of it fails.
//!
//! Both are values with words for people. Neither is ever a status code: who calls a plugin decides what its failure
//! means for the request.

use std::fmt::{self, Write as _};

use super::caps::{self, Cap};
use super::deadline::OutOfTime;
use super::host::Host;

/// Why a file or a use of it is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is nothing in the file (yet).
    #[error("the file is empty; if it is being copied, it is taken when that is done")]
    Empty,
    /// The file ends too early.
    #[error(
        "the file ends in the middle, after {0} bytes; if it is being copied, it is taken when that is done"
    )]
    Truncated(usize),
    /// One sentence that says what it is and what to do.
    #[error("{0}")]
    Refused(String),
}

impl LoadError {
    /// Whether the file looks half-copied: "not yet" rather than "no".
    pub fn is_partial(&self) -> bool {
        matches!(self, LoadError::Empty | LoadError::Truncated(_))
    }
}

/// What kind of failure ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The plugin panicked or broke a rule of WebAssembly.
    Trap,
    /// It used more CPU time than it may.
    Deadline,
    /// It wanted more memory than it may.
    Memory,
    /// A new instance could not be started or did not take its configuration.
    Start,
    /// The instance is in a call already.
    Busy,
    /// Its answer makes no sense, such as a status of 7.
    Garbage,
    /// The call was not made: its version failed too often. Counted as withheld, not as a fault.
    Quarantined,
}

impl FaultKind {
    /// The kinds of faults of calls that were made, in the order of their numbers.
    pub const ALL: [FaultKind; 6] = [
        FaultKind::Trap,
        FaultKind::Deadline,
        FaultKind::Memory,
        FaultKind::Start,
        FaultKind::Busy,
        FaultKind::Garbage,
    ];

    /// The kind as logs and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::Deadline => "deadline",
            FaultKind::Memory => "memory",
            FaultKind::Start => "start",
            FaultKind::Busy => "busy",
            FaultKind::Garbage => "garbage",
            FaultKind::Quarantined => "quarantined",
        }
    }
}

/// A call that failed. Its edits were dropped; its instance is gone, and the next call starts a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure.
    pub kind: FaultKind,
    /// What happened, in words.
    pub message: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        let message = message.into();
        Fault { kind, message }
    }

    /// What ended a call in this instance. What it wrote to its standard error comes first: there a panic says why.
    pub(super) fn explain(error: &wasmtime::Error, host: &mut Host) -> Fault {
        let (kind, cap) = if error.is::<OutOfTime>() {
            (FaultKind::Deadline, Some(Cap::Deadline))
        } else if host.limiter.refused_memory {
            (FaultKind::Memory, caps::behind(error))
        } else {
            (FaultKind::Trap, caps::behind(error))
        };
        if let Some(cap) = cap {
            host.caps.hit(cap);
        }
        let said = host.stderr.take_as_one();
        match &*said {
            "" => Fault::new(kind, describe(error)),
            said => Fault::new(kind, format!("{said} ({})", describe(error))),
        }
    }
}

/// The root cause, and where in the plugin it happened, on one line.
fn describe(error: &wasmtime::Error) -> String {
    let mut text = error.root_cause().to_string();
    let Some(backtrace) = error.downcast_ref::<wasmtime::WasmBacktrace>() else {
        return text;
    };
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    // The innermost frames are std's panic machinery, so a few more than one are needed to see the plugin's own.
    for (index, name) in names.take(8).enumerate() {
        text.push_str(if index == 0 { " in " } else { " < " });
        // Without the hash.
        let _ = write!(text, "{:#}", rustc_demangle::demangle(name));
    }
    text
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for Fault {}
