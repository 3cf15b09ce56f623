//! What plugins answer, as the contract writes it, and which answers make sense.

use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};

use super::host::Host;
use crate::http::fields::valid_value;

/// The longest name of a pool that is looked up (no configured name is longer), and the longest Location, in bytes.
const LONGEST_POOL: usize = 63;
const LONGEST_LOCATION: usize = 16 * 1024;

/// What a policy chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Choice {
    /// No opinion: the next policy is asked.
    #[component(name = "abstain")]
    Abstain,
    /// The candidate with this index.
    #[component(name = "node")]
    Node(u32),
    /// No node may serve this: answer with this status.
    #[component(name = "reject")]
    Reject(u16),
}

/// What a filter decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum Verdict {
    /// The message goes on, with the edits.
    #[component(name = "go-on")]
    GoOn,
    /// Answer now with this status; head and body stand in [`Context::reply`](super::context::Context::reply).
    #[component(name = "answer")]
    Answer(u16),
    /// As `GoOn`; and the filter need not see the response of this request.
    #[component(name = "done")]
    Done,
}

/// Where a router sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No opinion.
    GoOn,
    /// This pool instead of the route's. Whether there is one of that name is for the caller to see.
    Pool(String),
    /// Answer now with this status; head and body stand in [`Context::reply`](super::context::Context::reply).
    Answer(u16),
    /// Send the client elsewhere.
    Redirect {
        /// 300 to 399.
        status: u16,
        /// The Location field; a valid field value.
        location: String,
    },
}

/// A decision as the contract writes it.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum RawDecision {
    #[component(name = "go-on")]
    GoOn,
    #[component(name = "pool")]
    Pool(String),
    #[component(name = "answer")]
    Answer(u16),
    #[component(name = "redirect")]
    Redirect(Redirection),
}

/// Where a client is sent.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Redirection {
    status: u16,
    location: String,
}

impl From<RawDecision> for Decision {
    fn from(raw: RawDecision) -> Decision {
        match raw {
            RawDecision::GoOn => Decision::GoOn,
            RawDecision::Pool(name) => Decision::Pool(name),
            RawDecision::Answer(status) => Decision::Answer(status),
            RawDecision::Redirect(Redirection { status, location }) => {
                Decision::Redirect { status, location }
            }
        }
    }
}

/// Where a timer acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum Scope {
    /// On each worker, on an instance of its own.
    #[component(name = "every-worker")]
    EveryWorker,
    /// On one of the gateway's workers.
    #[component(name = "one-worker")]
    OneWorker,
}

/// When and where a timer acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct Schedule {
    /// Milliseconds between two ticks, at least 1.
    #[component(name = "period-ms")]
    pub period_ms: u64,
    /// On which workers.
    pub scope: Scope,
}

/// An answer of a plugin.
pub(super) trait Answer {
    /// Says what is wrong with it, if something is.
    fn check(&self, _host: &Host) -> Result<(), String> {
        Ok(())
    }

    /// Whether it answers the client, so that the reply counts.
    fn is_final(&self) -> bool {
        false
    }

    /// Whether it sends the request to this candidate.
    fn picks(&self, _candidate: u32) -> bool {
        false
    }
}

impl Answer for Choice {
    fn check(&self, host: &Host) -> Result<(), String> {
        match *self {
            Choice::Abstain => Ok(()),
            Choice::Node(index) => match host.context.selection.candidate(index) {
                Some(_) => Ok(()),
                None => {
                    let count = host.context.selection.count();
                    Err(format!("pick answered node {index}, of {count} candidates"))
                }
            },
            Choice::Reject(status) => check_status(status),
        }
    }

    fn picks(&self, candidate: u32) -> bool {
        *self == Choice::Node(candidate)
    }

    fn is_final(&self) -> bool {
        matches!(self, Choice::Reject(_))
    }
}

impl Answer for Verdict {
    fn check(&self, _host: &Host) -> Result<(), String> {
        match *self {
            Verdict::GoOn | Verdict::Done => Ok(()),
            Verdict::Answer(status) => check_status(status),
        }
    }

    fn is_final(&self) -> bool {
        matches!(self, Verdict::Answer(_))
    }
}

impl Answer for RawDecision {
    fn check(&self, _host: &Host) -> Result<(), String> {
        match self {
            RawDecision::Pool(name) if name.len() > LONGEST_POOL => {
                Err(format!("route named a pool with {} bytes, and no name is that long", name.len()))
            }
            RawDecision::GoOn | RawDecision::Pool(_) => Ok(()),
            RawDecision::Answer(status) => check_status(*status),
            RawDecision::Redirect(Redirection { status, .. }) if !(300..=399).contains(status) => {
                Err(format!("a redirection's status is 300 to 399, not {status}"))
            }
            RawDecision::Redirect(Redirection { location, .. })
                if location.is_empty()
                    || location.len() > LONGEST_LOCATION
                    || !valid_value(location.as_bytes()) =>
            {
                Err("a redirection's location can not stand in a field".to_owned())
            }
            RawDecision::Redirect(_) => Ok(()),
        }
    }

    fn is_final(&self) -> bool {
        matches!(self, RawDecision::Answer(_) | RawDecision::Redirect(_))
    }
}

impl Answer for () {}

/// What a function of the contract answers, as wasmtime hands it over.
pub(super) trait Answers: ComponentNamedList + Lift + 'static {
    /// The one answer in it.
    type Answer: Answer;

    /// Takes that out.
    fn answer(self) -> Self::Answer;
}

impl<A: Answer + ComponentType + Lift + 'static> Answers for (A,) {
    type Answer = A;

    fn answer(self) -> A {
        self.0
    }
}

impl Answers for () {
    type Answer = ();

    fn answer(self) {}
}

impl Answer for Schedule {
    fn check(&self, _host: &Host) -> Result<(), String> {
        match self.period_ms {
            0 => Err("a timer's period is at least 1 ms".to_owned()),
            _ => Ok(()),
        }
    }
}

fn check_status(status: u16) -> Result<(), String> {
    match status {
        200..=599 => Ok(()),
        _ => Err(format!("an answer's status is 200 to 599, not {status}")),
    }
}
