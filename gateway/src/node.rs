//! Nodes: what one is, what the gateway knows of it now, and which of a pool's nodes a pick may choose from.
//!
//! A node's live state hangs on the node, so it survives every change of configuration and of plugins.
//! Workers count here; they never decide health, which is control's alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

mod average;
pub mod candidates;
pub mod gate;
pub mod gradient;
pub mod live;
pub mod ring;
pub mod selection;
pub mod signals;
#[cfg(test)]
mod testing;
mod zones;

use live::{InFlight, Live};

/// What the configuration or a registry says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// The stable id, unique in its pool.
    pub id: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the load against the pool's other nodes.
    pub weight: NonZeroU32,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
    /// Later tiers are used as far as earlier ones lack healthy nodes.
    pub tier: u8,
    /// Whether it shall get nothing new.
    pub drain: bool,
    /// What else is known of it.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// One server that answers requests.
#[derive(Debug)]
pub struct Node {
    /// What it was declared as.
    pub spec: NodeSpec,
    /// What the gateway sees of it. Shared with the same node of an earlier snapshot.
    pub live: Arc<Live>,
}

impl Node {
    /// A node that was never seen before.
    pub fn new(spec: NodeSpec) -> Arc<Node> {
        let live = Arc::new(Live::new());
        Arc::new(Node { spec, live })
    }

    /// A node as it is declared now, with what was learned of it while it was declared as `earlier`.
    pub fn with_live_of(spec: NodeSpec, earlier: &Node) -> Arc<Node> {
        let live = Arc::clone(&earlier.live);
        Arc::new(Node { spec, live })
    }

    /// Counts one request in flight until the answer is dropped.
    pub fn begin(self: &Arc<Self>, now: Instant) -> InFlight {
        InFlight::begin(Arc::clone(self), now)
    }

    /// The same, unless `most` are in flight already.
    pub fn begin_below(self: &Arc<Self>, most: u32, now: Instant) -> Option<InFlight> {
        InFlight::begin_below(self, most, now)
    }
}
