//! The roles that a plugin can play: a trait for each, and what each call decides.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Answer, Node, Nodes, Outcome, Request, RequestMut, ResponseMut};

/// Makes an instance from the use's configuration. A plugin that lists `lifecycle` in [`export!`](crate::export)
/// is made by it; one that does not is a unit struct.
///
/// An instance is a cache that may be lost at any time, and each worker has its own: what must last goes to
/// [`shared`](crate::shared), [`sessions`](crate::sessions) or a node's signals.
pub trait Lifecycle: Sized {
    /// The shape of `config`. Put `#[serde(deny_unknown_fields)]` on it, so that a misspelt key is refused.
    type Config: DeserializeOwned;

    /// Makes an instance, or refuses the configuration in words for its owner, which say what to write.
    fn configure(config: Self::Config) -> Result<Self, String>;
}

/// The configuration of a plugin that has fields but no keys: anything in `config` is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Chooses where a request goes, before any node is picked.
pub trait Router {
    /// Decides for one request.
    fn route(&mut self, request: &Request) -> Decision;
}

/// Picks the node for each attempt: a policy.
pub trait Balancer {
    /// Picks for one attempt; on a retry it is asked again, without the nodes that were tried.
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice;
}

/// Sees and edits a request and its response.
pub trait Filter {
    /// Before a node is picked.
    fn on_request(&mut self, _request: &mut RequestMut) -> Verdict {
        Verdict::GoOn
    }

    /// Before the response head goes to the client. `request.node()` is the node that gave it; there is none
    /// where the gateway or a plugin answered.
    fn on_response(&mut self, _request: &Request, _response: &mut ResponseMut) -> Verdict {
        Verdict::GoOn
    }
}

/// Learns what became of each attempt.
pub trait Observer {
    /// After one attempt.
    fn on_complete(&mut self, request: &Request, outcome: &Outcome);
}

/// Acts between requests.
pub trait Timer {
    /// When to act; asked once, after the instance was made.
    fn schedule(&mut self) -> Schedule;

    /// Acts.
    fn tick(&mut self);
}

/// What a [`Balancer`] chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// No opinion: the next policy is asked.
    Abstain,
    /// The node with this index.
    Node(u32),
    /// No node may serve this: answer with this status.
    Reject(u16),
}

impl From<Node> for Choice {
    fn from(node: Node) -> Self {
        Self::Node(node.index())
    }
}

/// No node is no opinion.
impl From<Option<Node>> for Choice {
    fn from(node: Option<Node>) -> Self {
        node.map_or(Self::Abstain, Self::from)
    }
}

/// What a [`Filter`] decided.
#[derive(Debug)]
pub enum Verdict {
    /// The message goes on, with the edits.
    GoOn,
    /// This answer goes to the client instead.
    Answer(Answer),
    /// The message goes on, with the edits, and this filter is spared the response of the same request. A filter that
    /// has nothing to do there saves half of its cost. On a response it is the same as [`Verdict::GoOn`].
    Done,
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// What a [`Router`] decided.
#[derive(Debug)]
pub enum Decision {
    /// No opinion: the route's own pool, unless a later filter names one.
    GoOn,
    /// This pool; the first that is named wins.
    Pool(String),
    /// This answer goes to the client, and no node is asked.
    Answer(Answer),
    /// The client is sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308 (RFC 9110, 15.4).
        status: u16,
        /// The Location field.
        location: String,
    },
}

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// When a [`Timer`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The time between two ticks, in whole milliseconds.
    pub period: Duration,
    /// Where it acts.
    pub scope: Scope,
}

/// On which workers a [`Timer`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On each worker, on an instance of its own.
    EveryWorker,
    /// On one of the gateway's workers.
    OneWorker,
}
