//! How a pool's nodes are watched: active checks, and what traffic shows of them.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

/// `[pool.NAME.health]`: nodes are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// From the start of a check to the start of the next.
    pub interval: Duration,
    /// How long a check may take; never longer than the interval.
    pub timeout: Duration,
    /// So many good checks in a row bring a node back.
    pub healthy: NonZeroU32,
    /// So many bad ones in a row take it out.
    pub unhealthy: NonZeroU32,
    /// By how many percent an interval may be longer or shorter, so that checks do not fall together.
    pub jitter: u32,
    /// What a new node is before its first check.
    pub start: CheckStart,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Whether it accepts a connection.
    Tcp,
    /// Whether it answers a GET in the right way.
    Http {
        /// Begins with a slash.
        path: String,
        /// What is sent as Host; the node's address if there is none.
        host: Option<String>,
        /// The statuses that are good.
        status: Vec<RangeInclusive<u16>>,
    },
    /// Whether it says that it serves (grpc.health.v1). Its pool speaks HTTP/2.
    Grpc {
        /// What is asked for; the server as a whole if it is empty.
        service: String,
        /// What is sent as Host; the node's address if there is none.
        host: Option<String>,
    },
}

/// What a new node is before its first check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStart {
    /// No candidate, unless its whole pool is as new.
    Check,
    /// A candidate.
    Up,
}

/// `[pool.NAME.outlier]`: what traffic shows of nodes, and when it takes them out. `None` is "off".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlier {
    /// Failures to connect in a row.
    pub connect_failures: Option<NonZeroU16>,
    /// Failures of any kind in a row: 5xx, resets, timeouts and failures to connect.
    pub failures: Option<NonZeroU16>,
    /// By how many points its share of good answers is below the others'.
    pub success_rate: Option<u32>,
    /// How many times its mean latency is the pool's median.
    pub latency: Option<u32>,
    /// How long it answers nothing while requests wait.
    pub silence: Option<Duration>,
    /// How long it is out for the first time; each further time twice as long,
    pub ejection: Duration,
    /// but never longer than this.
    pub max_ejection: Duration,
    /// How many percent of the pool's nodes may be out when one more is taken out for its traffic.
    pub max_ejected: u32,
}

impl Default for Outlier {
    /// Chosen so that they take out what is broken, and nothing that merely has a bad moment: docs/decisions/0024.
    fn default() -> Self {
        Self {
            connect_failures: NonZeroU16::new(3),
            failures: NonZeroU16::new(5),
            success_rate: Some(30),
            latency: None,
            silence: Some(Duration::from_millis(500)),
            ejection: Duration::from_secs(10),
            max_ejection: Duration::from_secs(300),
            max_ejected: 50,
        }
    }
}
