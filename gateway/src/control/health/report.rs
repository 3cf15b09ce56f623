//! What is shown of a node's health in the admin API, and where metrics read it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::ejection::Why;
use super::member::{Member, State};

/// One node's health. The names of its fields are an interface: tools read them.
#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct NodeHealth {
    /// One word: up, starting, down, ejected or draining.
    pub(in crate::control) state: &'static str,
    /// When it came to be so, in Unix time.
    since: f64,
    why: Option<String>,
    /// The share that it is picked with now, in thousandths of a weight of 1; 0 if it is no candidate.
    pub(in crate::control) effective_weight: u32,
    /// The weight that an operator set.
    set_weight: Option<u32>,
    /// Whether it is draining and has no request in flight.
    pub(in crate::control) empty: bool,
    /// How often it was ejected, by reason; reasons that never were are left out.
    pub(in crate::control) ejections: BTreeMap<&'static str, u64>,
    /// Good and bad checks so far, and how long the last good one took.
    pub(in crate::control) checks: Option<Checks>,
}

/// What active checks came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::control) struct Checks {
    pub(in crate::control) good: u64,
    pub(in crate::control) bad: u64,
    pub(in crate::control) last_us: u64,
}

impl NodeHealth {
    pub(super) fn of(member: &Member, effective_weight: u32, now: Instant) -> Self {
        let state = member.state(now);
        let ejections = member.ejection.counts().filter(|(_, count)| *count > 0);
        let Member { check, .. } = member;
        Self {
            state: state.word(),
            since: unix(now.saturating_duration_since(member.since)),
            why: member.why(now),
            effective_weight,
            set_weight: member.weight.map(Into::into),
            empty: member.is_empty(),
            ejections: ejections.map(|(why, count)| (why.word(), count)).collect(),
            checks: (check.good + check.bad > 0).then(|| Checks {
                good: check.good,
                bad: check.bad,
                last_us: u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Whether it may get requests, as far as its health goes.
    pub(in crate::control) fn is_healthy(&self) -> bool {
        [State::Up, State::Starting].iter().any(|state| state.word() == self.state)
    }

    /// Every reason of ejections, for metrics that shall be there from the start.
    pub(in crate::control) fn reasons() -> impl Iterator<Item = &'static str> {
        Why::ALL.into_iter().map(Why::word)
    }
}

/// The Unix time of so long ago.
fn unix(age: Duration) -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(age).as_secs_f64()
}
