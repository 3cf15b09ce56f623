//! The two lanes on which calls run, and which one a use gets.
//!
//! On the synchronous lane no import waits: a call runs from its start to its end on the worker's thread, like any
//! function. On the waiting lane an import may have to ask elsewhere: the host suspends that instance, the worker goes on with other
//! requests, and the plugin notices nothing. That costs each call a stack of its own, so a use is on it only if one
//! of the interfaces that its plugin imports waits, as the stores are configured. See docs/decisions/0035.

use std::time::Duration;

use super::services::Services;
use crate::store::Space;

/// The interfaces whose functions wait where their store is elsewhere.
pub(super) const WAITING: [&str; 2] = ["sessions", "shared"];

/// How calls of a use run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// From their start to their end, one at a time on a worker.
    Synchronous,
    /// Suspended while they wait, many at a time.
    Waiting,
}

impl Lane {
    /// The lane of a use whose plugin imports these interfaces, and whose shared values are there.
    pub(super) fn of(interfaces: &[String], services: &Services, space: &Space) -> Lane {
        let waits = |interface: &String| match &**interface {
            "sessions" => services.sessions.waits(),
            "shared" => space.local().is_none(),
            _ => false,
        };
        if interfaces.iter().any(waits) { Lane::Waiting } else { Lane::Synchronous }
    }

    /// The lane as the admin API names it.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Synchronous => "synchronous",
            Lane::Waiting => "waiting",
        }
    }

    /// CPU time of a call, unless the configuration says otherwise.
    pub fn deadline(self) -> Duration {
        match self {
            // Nothing else runs on the worker meanwhile.
            Lane::Synchronous => Duration::from_millis(1),
            // It gives way to other requests each millisecond.
            Lane::Waiting => Duration::from_millis(5),
        }
    }

    /// Instances on each worker, unless the configuration says otherwise.
    pub fn instances(self) -> usize {
        match self {
            Lane::Synchronous => 1,
            // Chosen: with a store that answers in 1 ms, 64,000 calls a second.
            Lane::Waiting => 64,
        }
    }
}
