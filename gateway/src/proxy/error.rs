//! Why a request was not served by a node: one kind for each cause, so that status, retry and metrics are not guesses.

use std::io;

use super::timeouts::Limit;
use crate::http::h1::Malformed;
use crate::telemetry::{ErrorKind, Refusal, RetryReason};

/// What went wrong with one request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The request cannot be understood (RFC 9112) or is larger than the limits.
    #[error("the request is malformed: {0}")]
    BadRequest(Malformed),
    /// The client was too slow with its head.
    #[error("the request's head did not arrive in time")]
    HeadLate,
    /// The client was too slow with its body.
    #[error("the request's body did not arrive in time")]
    BodyLate,
    /// The client closed before the answer was ready; nobody waits for one.
    #[error("the client is gone")]
    ClientGone,
    /// The connection is another host's.
    #[error("the connection's certificate is not the one of this host")]
    Misdirected,
    /// No route matches.
    #[error("no route matches")]
    NoRoute,
    /// A router named a pool that the configuration does not have.
    #[error("a plugin named the pool {0:?}, which does not exist")]
    UnknownPool(String),
    /// A plugin with `on_fault = "fail"` faulted.
    #[error("the plugin {0} failed")]
    PluginFault(String),
    /// The pool has no candidate, or all were tried.
    #[error("no node is left to try")]
    NoNode,
    /// Where the client belongs could not be asked, and it is not to go elsewhere then.
    #[error("the store of sessions cannot be asked where the client belongs")]
    SessionLost,
    /// A policy refused with this status.
    #[error("a policy refused with {0}")]
    Refused(u16),
    /// The pool or its nodes have as much to do as its limits allow.
    #[error("{0}")]
    Overloaded(Refusal),
    /// No connection could be made. Nothing was sent.
    #[error("cannot connect to the node: {0}")]
    Connect(io::Error),
    /// The node closed or reset the connection before its response was complete.
    #[error("the node closed the connection before its answer was complete")]
    NodeClosed,
    /// The node did not look at the request (RFC 9113, 8.7), and so did nothing.
    #[error("the node refused the request without looking at it")]
    Unseen {
        /// Since it leaves the connection, and takes requests on the next.
        leaving: bool,
    },
    /// The node speaks HTTP/2 without tunnels. Nothing was sent.
    #[error(
        "the node opens no tunnels over HTTP/2 (RFC 8441): serve WebSocket from nodes that do, or from a pool with protocol = \"http1\""
    )]
    NoTunnels,
    /// The node's response cannot be understood.
    #[error("the node's response is malformed: {0}")]
    BadResponse(Malformed),
    /// A client of HTTP/2 asked for a tunnel, and what answered did so as if there was one.
    #[error("a tunnel was asked for, and the answer is neither a switch of protocols nor a refusal")]
    NotSwitched,
    /// One of the time limits was over.
    #[error("{}", .0.story())]
    Late(Limit),
    /// The client did not take its response.
    #[error("the client stopped to take its response")]
    ClientStalled,
}

impl Error {
    /// What it means that this limit is over.
    pub(super) fn late(limit: Limit) -> Error {
        match limit {
            Limit::Queue => Error::Overloaded(Refusal::QueueTimeout),
            limit => Error::Late(limit),
        }
    }

    /// The status that the client gets; 0 where nobody is left to read one.
    pub(super) fn status(&self) -> u16 {
        match self {
            Error::BadRequest(malformed) => malformed.status(),
            Error::HeadLate | Error::BodyLate => 408,
            Error::ClientGone | Error::ClientStalled => 0,
            Error::Misdirected => 421,
            Error::NoRoute => 404,
            Error::UnknownPool(_) | Error::PluginFault(_) => 500,
            Error::NoNode | Error::SessionLost | Error::Overloaded(_) => 503,
            Error::Refused(status) => *status,
            Error::Connect(_)
            | Error::NodeClosed
            | Error::Unseen { .. }
            | Error::NoTunnels
            | Error::BadResponse(_)
            | Error::NotSwitched => 502,
            Error::Late(_) => 504,
        }
    }

    /// Its kind for metrics.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Error::BadRequest(malformed) if matches!(malformed.status(), 414 | 431) => {
                ErrorKind::HeadTooLarge
            }
            Error::BadRequest(Malformed::BodyTooLarge) => ErrorKind::BodyTooLarge,
            Error::BadRequest(_) => ErrorKind::BadRequest,
            Error::HeadLate | Error::BodyLate | Error::ClientStalled => ErrorKind::ClientTimeout,
            Error::ClientGone => ErrorKind::ClientGone,
            Error::Misdirected => ErrorKind::Misdirected,
            Error::NoRoute => ErrorKind::NoRoute,
            Error::UnknownPool(_) | Error::PluginFault(_) => ErrorKind::Plugin,
            Error::NoNode => ErrorKind::NoNode,
            Error::SessionLost => ErrorKind::SessionStore,
            Error::Refused(_) => ErrorKind::Rejected,
            Error::Overloaded(Refusal::QueueFull) => ErrorKind::QueueFull,
            Error::Overloaded(Refusal::QueueTimeout) => ErrorKind::QueueTimeout,
            Error::Overloaded(Refusal::Memory) => ErrorKind::Memory,
            Error::Connect(_) => ErrorKind::Connect,
            Error::Late(limit) => late_kind(*limit),
            Error::NodeClosed | Error::Unseen { .. } => ErrorKind::Reset,
            Error::BadResponse(_) | Error::NotSwitched | Error::NoTunnels => ErrorKind::Protocol,
        }
    }

    /// In how many seconds the client may ask again, if it shall know. Drawn, so that those who were turned away
    /// together do not come back together.
    pub(super) fn retry_after(&self) -> Option<u32> {
        matches!(self, Error::Overloaded(_) | Error::SessionLost).then(|| fastrand::u32(1..=3))
    }

    /// The contract's word for observers, where the node is to blame.
    pub(super) fn node_error(&self) -> Option<&'static str> {
        match self {
            Error::Connect(_) | Error::Late(Limit::Connect) => Some("connect"),
            Error::NodeClosed | Error::Unseen { .. } => Some("reset"),
            Error::BadResponse(_) => Some("protocol"),
            Error::Late(_) => Some("timeout"),
            _ => None,
        }
    }

    /// What it is as a reason to try another node, if it is one. A limit on the whole request leaves no time for that.
    pub(super) fn retry_reason(&self) -> Option<RetryReason> {
        match self {
            Error::Connect(_) | Error::Unseen { .. } | Error::NoTunnels | Error::Late(Limit::Connect) => {
                Some(RetryReason::Connect)
            }
            Error::NodeClosed => Some(RetryReason::Reset),
            Error::BadResponse(_) => Some(RetryReason::Malformed),
            Error::Late(Limit::FirstByte | Limit::Ejected | Limit::Attempt) => Some(RetryReason::Timeout),
            _ => None,
        }
    }
}

fn late_kind(limit: Limit) -> ErrorKind {
    match limit {
        Limit::Queue => ErrorKind::QueueTimeout,
        Limit::Connect => ErrorKind::ConnectTimeout,
        Limit::FirstByte => ErrorKind::FirstByteTimeout,
        Limit::Hedge | Limit::Attempt => ErrorKind::AttemptTimeout,
        Limit::Answer | Limit::Ejected => ErrorKind::Timeout,
        Limit::BetweenBytes | Limit::Pace => ErrorKind::BetweenBytesTimeout,
        Limit::Total => ErrorKind::TotalTimeout,
    }
}
