//! What became of an attempt: the feedback that adaptive policies learn from.

use std::time::Duration;

use crate::host::outcome as host;

/// What became of the attempt that this call is about.
#[derive(Debug)]
pub struct Outcome(());

impl Outcome {
    pub(crate) const CURRENT: Self = Self(());

    /// The stable id of the node that the attempt went to.
    pub fn node(&self) -> String {
        host::node()
    }

    /// The status of the node's response, if there was one.
    pub fn status(&self) -> Option<u16> {
        host::status()
    }

    /// From the pick to the response head, or to the failure.
    pub fn latency(&self) -> Duration {
        Duration::from_micros(host::latency())
    }

    /// What failed, as a word ("connect", "reset", "timeout", "protocol"), if something did.
    pub fn error(&self) -> Option<String> {
        host::error()
    }
}
