//! The candidates of a pick: nodes that are healthy, do not drain and were not tried yet.

use std::time::Duration;

use crate::host::nodes::{self as host, Load};
use crate::random;

/// What two nodes are compared with that nobody knows, in microseconds: not so few that a large weight rounds them to none.
const UNKNOWN_LATENCY: u32 = 1000;

/// How many numbers the host tells of a candidate where it tells them flat.
const NUMBERS: usize = 7;

/// The candidates of this pick. What is asked of it is a call to the host: a policy for large pools asks for
/// a few candidates ([`Nodes::two_random`], [`Nodes::sample`]) and not for all of them.
#[derive(Debug)]
pub struct Nodes(());

impl Nodes {
    pub(crate) const CURRENT: Self = Self(());

    /// How many candidates there are; their indices are 0 to `count` - 1, for this call only.
    pub fn count(&self) -> u32 {
        host::count()
    }

    /// The candidate with this index; none if there is no such index.
    pub fn get(&self, index: u32) -> Option<Node> {
        host::load_of(index).map(Node::known)
    }

    /// Every candidate, by index. It costs in proportion to the pool.
    pub fn all(&self) -> Candidates {
        Candidates(Drawn::Many(host::loads()))
    }

    /// Up to `most` different candidates, drawn evenly at random.
    pub fn sample(&self, most: u32) -> Candidates {
        Candidates(Drawn::Many(host::sample(most)))
    }

    /// Two different candidates, drawn at random in proportion to their weights; the same one twice where
    /// there is only one; none where there is none.
    pub fn two_random(&self) -> Candidates {
        Candidates(match host::two_random() {
            Some((first, second)) => Drawn::Two(first, second),
            None => Drawn::Many(Vec::new()),
        })
    }

    /// The least loaded candidate: the one with the smallest [`Node::load`], [`Node::penalised`]; of equal ones, one at
    /// random. Of up to 32 candidates all are compared, of more only `sample` different ones, drawn evenly at random.
    ///
    /// The gateway compares, which costs less than to ask for the loads and compare them here; a policy that weighs
    /// anything else does that.
    pub fn least_loaded(&self, sample: u32) -> Option<Node> {
        host::least_loaded(sample).map(Node::at)
    }

    /// Of two candidates, drawn as [`Nodes::two_random`] draws them, the one where the request is expected to wait less:
    /// the one with the smaller [`Node::wait`], [`Node::penalised`]. The gateway compares, as for [`Nodes::least_loaded`].
    pub fn quicker_of_two(&self) -> Option<Node> {
        host::quicker_of_two().map(Node::at)
    }

    /// Candidates with their service times: of up to 32 candidates all, of more only `sample` different ones, drawn evenly
    /// at random. It is what [`Node::service`] needs.
    pub fn estimates(&self, sample: u32) -> Candidates {
        Candidates(Drawn::Estimated(host::estimates_flat(sample)))
    }

    /// Of the same candidates the one where the request is expected to be served first, of those that are neither *stuck* (they
    /// keep requests more than `slow` times as long as the median candidate) nor *hot* (their load is above the one at
    /// `quantile` of all loads). The gateway compares; the contract in `wit/bascule.wit` has the rule in full.
    pub fn soonest(&self, sample: u32, quantile: f64, slow: f64) -> Option<Node> {
        host::soonest(sample, quantile, slow).map(Node::at)
    }

    /// The node with this stable id, if it can be picked; it also reaches one that drains.
    pub fn find(&self, id: &str) -> Option<Node> {
        host::find(id).map(Node::at)
    }

    /// The candidate that owns this key on the gateway's consistent-hash ring; none where there is no candidate.
    pub fn by_hash(&self, key: impl AsRef<[u8]>) -> Option<Node> {
        host::by_hash(key.as_ref()).map(Node::at)
    }

    /// The same with bounded loads: goes on along the ring past nodes that would have more than `percent`
    /// hundredths of their fair share of the requests in flight.
    pub fn by_hash_bounded(&self, key: impl AsRef<[u8]>, percent: u32) -> Option<Node> {
        host::by_hash_bounded(key.as_ref(), percent).map(Node::at)
    }

    /// [`Nodes::by_hash_bounded`] of the client's address, or [`Nodes::by_hash`] if `percent` is 0. What the request says is
    /// hashed in the gateway and need not be copied into the plugin and back.
    pub fn by_client(&self, percent: u32) -> Option<Node> {
        host::by_client(percent).map(Node::at)
    }

    /// The same of the path, without its query.
    pub fn by_path(&self, percent: u32) -> Option<Node> {
        host::by_path(percent).map(Node::at)
    }

    /// The same of a header's first value; none where it is missing or empty.
    pub fn by_header(&self, name: &str, percent: u32) -> Option<Node> {
        host::by_header(name, percent).map(Node::at)
    }

    /// The same of a cookie's value; none where it is missing or empty.
    pub fn by_cookie(&self, name: &str, percent: u32) -> Option<Node> {
        host::by_cookie(name, percent).map(Node::at)
    }

    /// Narrows the candidates for the policies after this one; nothing left leaves them as they were.
    pub fn keep(&self, nodes: impl IntoIterator<Item = Node>) {
        let indices: Vec<u32> = nodes.into_iter().map(|node| node.index).collect();
        host::keep(&indices);
    }

    /// How the candidates are spread over zones; none if the configuration does not say where the gateway stands.
    pub fn own_zone(&self) -> Option<ZoneWeights> {
        let host::ZoneWeights { here, all, zones } = host::own_zone()?;
        Some(ZoneWeights { here, all, zones })
    }

    /// Narrows the candidates for the policies after this one to those in the gateway's own zone. It costs no list of
    /// them.
    pub fn keep_own_zone(&self) {
        host::keep_zone(true);
    }

    /// The same to those outside of the gateway's own zone.
    pub fn keep_other_zones(&self) {
        host::keep_zone(false);
    }
}

/// How the candidates' effective weights are spread over zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneWeights {
    /// Of those in the gateway's own zone, in thousandths.
    pub here: u64,
    /// Of all.
    pub all: u64,
    /// In how many zones the pool's healthy nodes stand; those without one are in one more.
    pub zones: u32,
}

/// One node of this pick. It holds for this call only: what outlives it is the stable [`Node::id`].
#[derive(Clone, Copy, Debug)]
pub struct Node {
    index: u32,
    /// What the host said with the node; where it said nothing, a question about load asks.
    load: Option<Load>,
    /// The same of its service time, which is told by [`Nodes::estimates`] only; 0 if unknown.
    service: u32,
}

impl Node {
    /// The node with this index, which nobody looked up: where there is none, its load is that of an idle node,
    /// and a pick of it counts as no pick.
    pub fn at(index: u32) -> Self {
        Self { index, load: None, service: 0 }
    }

    fn known(load: Load) -> Self {
        Self { index: load.node, load: Some(load), service: 0 }
    }

    fn estimated(numbers: &[u32; NUMBERS]) -> Self {
        let [node, in_flight, latency, weight, error_rate, oldest, service] = *numbers;
        Self { service, ..Self::known(Load { node, in_flight, latency, weight, error_rate, oldest }) }
    }

    fn facts(&self) -> Load {
        let idle =
            Load { node: self.index, in_flight: 0, latency: 0, weight: 1000, error_rate: 0, oldest: 0 };
        self.load.or_else(|| host::load_of(self.index)).unwrap_or(idle)
    }

    /// Its index among the candidates.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Requests in flight, plus the one to come, for its weight: what least-connections policies compare. The
    /// unit is arbitrary; equal shares are equal numbers.
    pub fn load(&self) -> u64 {
        let facts = self.facts();
        ((u64::from(facts.in_flight) + 1) << 24) / u64::from(facts.weight.max(1))
    }

    /// Requests that wait for its answer now, from this gateway.
    pub fn in_flight(&self) -> u32 {
        self.facts().in_flight
    }

    /// Its effective weight, in thousandths: 1000 is a weight of 1. Never 0.
    pub fn weight(&self) -> u32 {
        self.load.map_or_else(|| host::weight(self.index), |load| load.weight).max(1)
    }

    /// Peak-sensitive moving average of the time to its response head, in microseconds; none if unknown.
    pub fn latency(&self) -> Option<u32> {
        Some(self.facts().latency).filter(|latency| *latency > 0)
    }

    /// Moving average of the time that one request takes there, queues aside, in microseconds: its latency divided by the
    /// requests that were in flight when it started, with itself. None if unknown, and for nodes that do not come from
    /// [`Nodes::estimates`].
    pub fn service(&self) -> Option<u32> {
        Some(self.service).filter(|service| *service > 0)
    }

    /// Moving average of the share of its attempts that failed, in thousandths.
    pub fn error_rate(&self) -> u32 {
        self.facts().error_rate
    }

    /// What a request would wait for here, in microseconds times a thousand: latency times the requests in flight with the
    /// one to come, for the weight. Where the oldest of them waits longer than the latency says, that wait is the latency. A
    /// node that nobody knows yet is taken to be as fast as `other`: requests in flight decide, so it gets its share, and no
    /// more while it has not answered.
    pub fn wait(&self, other: &Node) -> u64 {
        let latency = self.latency().or(other.latency()).unwrap_or(UNKNOWN_LATENCY).max(self.oldest());
        let queue = u64::from(latency) * (u64::from(self.in_flight()) + 1);
        queue.saturating_mul(1000) / u64::from(self.weight())
    }

    /// A cost made dearer by the node's errors: divided by the square of the share of attempts that succeed, at
    /// most a thousandfold. A node that fails fast looks idle; a policy that compares loads without this sends
    /// it more than its share.
    pub fn penalised(&self, cost: u64) -> u64 {
        let errors = self.error_rate();
        if errors == 0 {
            return cost;
        }
        let successes = u64::from(1000_u32.saturating_sub(errors)).max(31);
        (cost.saturating_mul(1000) / successes).saturating_mul(1000) / successes
    }

    /// Age of its oldest request in flight, in microseconds; 0 if there is none.
    pub fn oldest(&self) -> u32 {
        self.facts().oldest
    }

    /// Its stable id, which no other node of the pool has.
    pub fn id(&self) -> String {
        host::id(self.index)
    }

    /// Its zone, if it has one.
    pub fn zone(&self) -> Option<String> {
        host::zone(self.index)
    }

    /// The value of one of its labels.
    pub fn label(&self, name: &str) -> Option<String> {
        host::label(self.index, name)
    }

    /// A number about it that plugins and its own load reports share, unless it expired.
    pub fn signal(&self, name: &str) -> Option<f64> {
        host::signal(self.index, name)
    }

    /// Shares a number about it for `ttl`.
    pub fn set_signal(&self, name: &str, value: f64, ttl: Duration) {
        host::set_signal(self.index, name, value, millis(ttl));
    }
}

/// Two nodes are the same if they have the same place in this pick.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

/// Whole milliseconds, as the contract counts lifetimes; those too long to count are the longest.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// Candidates that the host drew or listed, each with its load.
#[derive(Debug)]
pub struct Candidates(Drawn);

/// A pair needs no memory of its own, and most policies draw a pair.
#[derive(Debug)]
enum Drawn {
    Two(Load, Load),
    Many(Vec<Load>),
    /// `NUMBERS` of each.
    Estimated(Vec<u32>),
}

impl Candidates {
    /// These candidates; for the native double of the host.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn of(loads: Vec<Load>) -> Self {
        Self(Drawn::Many(loads))
    }

    /// The candidate with the smallest key; of equal ones, one at random, so that many gateways or workers do
    /// not all choose the same. None where there is no candidate.
    pub fn min_by<K: Ord>(&self, key: impl Fn(&Node) -> K) -> Option<Node> {
        match &self.0 {
            // The host drew the pair in random order, so the first is as random as a coin.
            Drawn::Two(first, second) => {
                let (first, second) = (Node::known(*first), Node::known(*second));
                Some(if key(&second) < key(&first) { second } else { first })
            }
            Drawn::Many(loads) => smallest(loads.iter().map(|load| Node::known(*load)), key),
            Drawn::Estimated(known) => smallest(known.as_chunks().0.iter().map(Node::estimated), key),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Drawn::Two(..) => 2,
            Drawn::Many(loads) => loads.len(),
            Drawn::Estimated(known) => known.len() / NUMBERS,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in the host's order.
    pub fn iter(&self) -> impl Iterator<Item = Node> + '_ {
        let at = |index: usize| match &self.0 {
            Drawn::Two(first, second) => [first, second].get(index).map(|load| Node::known(**load)),
            Drawn::Many(loads) => loads.get(index).map(|load| Node::known(*load)),
            Drawn::Estimated(known) => known.as_chunks().0.get(index).map(Node::estimated),
        };
        (0..self.len()).filter_map(at)
    }
}

/// The node with the smallest key; of equal ones, each has the same chance (reservoir sampling).
fn smallest<K: Ord>(nodes: impl Iterator<Item = Node>, key: impl Fn(&Node) -> K) -> Option<Node> {
    let mut best: Option<(K, Node)> = None;
    let mut equals = 1;
    for node in nodes {
        let this = key(&node);
        match &best {
            Some((least, _)) if this > *least => {}
            Some((least, _)) if this == *least => {
                equals += 1;
                if random::below(equals) == 0 {
                    best = Some((this, node));
                }
            }
            _ => {
                equals = 1;
                best = Some((this, node));
            }
        }
    }
    best.map(|(_, node)| node)
}
