//! What operators ask of a node: drain it, take it back, give it another weight.
//!
//! The admin API sends orders to the writer, and the answer comes back when what follows is published.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::oneshot;

use super::report::NodeHealth;
use crate::control::command::Refusal;

/// What to do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Act {
    /// It gets nothing new; bound sessions reach it for so long, or for the gateway's `drain_timeout`.
    Drain(Option<Duration>),
    /// It serves again.
    Undrain,
    /// It has this weight in place of the configured one, or that one again.
    Weigh(Option<NonZeroU32>),
}

/// Whom to do it to.
pub struct Order {
    pub(in crate::control) pool: String,
    pub(in crate::control) node: String,
    pub(in crate::control) act: Act,
    pub(in crate::control) answer: oneshot::Sender<Answer>,
}

/// What the node is then.
pub(in crate::control) type Answer = Result<NodeHealth, Refusal>;
