//! One pool's task: follows the registry, again and again, and hands on what is believed.
//!
//! Two loops side by side. One asks the provider and waits longer each time that it is lost; the other takes the newest
//! set, leaves out what cannot be used, doubts, and hands on what changed. So the registry's loss stops neither the wait
//! for a name nor that for an empty answer to prove true.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;

use super::backoff::Backoff;
use super::board::Row;
use super::names::Names;
use super::provider::{self, Newest, Provider, Sets, Trouble};
use super::schema::{BadEntry, NodeSet};
use super::screen::screen;
use super::trust::{Answer, Trust};
use crate::control::config;
use crate::control::registry::Registry;
use crate::name::Name;
use crate::node::NodeSpec;

/// After a change the next one waits for so long, and all that come meanwhile are one: when a thousand nodes change one
/// by one, fifty snapshots a second are made of it.
const PACE: Duration = Duration::from_millis(20);
/// Nodes that a log line names.
const NAMED: usize = 5;

/// What a pool's task works with.
pub(super) struct Supervisor {
    pool: Name,
    discovery: config::Discovery,
    row: Arc<Row>,
    names: Names,
    trust: Trust,
    /// The newest set, as far as it can be used.
    set: Option<Arc<NodeSet>>,
    screened: NodeSet,
    /// What was handed on last, and whether that was because of an answer.
    believed: Arc<[NodeSpec]>,
    answered: bool,
}

impl Supervisor {
    /// For a pool of which these nodes are known from before.
    pub(super) fn new(
        pool: Name,
        discovery: config::Discovery,
        row: Arc<Row>,
        known: Arc<[NodeSpec]>,
    ) -> Self {
        row.believed(known.len(), false);
        Self {
            names: Names::new(pool.clone()),
            trust: Trust::new(discovery.empty, !known.is_empty()),
            pool,
            discovery,
            row,
            set: None,
            screened: NodeSet::default(),
            believed: known,
            answered: false,
        }
    }

    /// Works until it is dropped. `hand_on` is given all nodes that are believed to be there, whenever they change and
    /// once when the registry answered first.
    pub(super) async fn run<H: Future<Output = ()>>(
        self,
        registry: Option<Arc<Registry>>,
        hand_on: impl Fn(Arc<[NodeSpec]>) -> H,
    ) {
        let (wanted, pool) = (self.discovery.provider.clone(), self.pool.clone());
        self.run_with(|| provider::of(&wanted, &pool, registry.as_ref()), hand_on).await;
    }

    /// The same with any provider.
    pub(super) async fn run_with<H: Future<Output = ()>>(
        self,
        provider: impl Fn() -> Result<Box<dyn Provider>, Trouble>,
        hand_on: impl Fn(Arc<[NodeSpec]>) -> H,
    ) {
        let row = Arc::clone(&self.row);
        let sets = Sets::new(Arc::clone(&row));
        let newest = sets.subscribe();
        tokio::join!(keep_following(provider, &sets, &row), self.believe(newest, hand_on));
    }

    /// Hands on what is believed.
    async fn believe<H: Future<Output = ()>>(
        mut self,
        mut newest: watch::Receiver<Newest>,
        hand_on: impl Fn(Arc<[NodeSpec]>) -> H,
    ) {
        loop {
            let deadline = self.trust.deadline();
            let proven = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                changed = newest.changed() => changed.expect("whoever follows holds the other end"),
                () = self.names.changed() => {}
                () = proven => {}
            }
            let now = newest.borrow_and_update().clone();
            if let Some(nodes) = self.look(&now, Instant::now()) {
                hand_on(nodes).await;
                sleep(PACE).await;
            }
        }
    }

    /// Looks at what the registry says now; the nodes to hand on, if that is due.
    pub(super) fn look(&mut self, newest: &Newest, now: Instant) -> Option<Arc<[NodeSpec]>> {
        let (_, set) = newest.set.as_ref()?;
        if !self.set.as_ref().is_some_and(|same| Arc::ptr_eq(same, set)) {
            self.screened = screen(set);
            self.names.follow(&self.screened.nodes);
            self.set = Some(Arc::clone(set));
        }
        let (nodes, bad) = self.placed();
        let looked_up = nodes.len() + bad.len() >= self.screened.nodes.len() + self.screened.bad.len();
        let answer = match (nodes.is_empty(), bad.is_empty() && self.screened.nodes.is_empty()) {
            (false, _) => Answer::Nodes,
            (true, true) => Answer::Nothing,
            (true, false) => Answer::Unusable,
        };
        self.row.bad(bad);
        let connection = newest.connection.filter(|_| newest.is_fresh());
        let is_believed = self.trust.believes(answer, connection, now);
        self.row.doubts(self.trust.deadline().is_some(), self.discovery.empty);
        let changed = is_believed && *nodes != *self.believed;
        if changed {
            self.tell(&nodes);
            self.believed = nodes.into();
        }
        self.row.believed(self.believed.len(), changed);
        // If all that it tells is names, it has not answered before one is found.
        let is_answer = looked_up || !self.believed.is_empty();
        let is_first = is_answer && !std::mem::replace(&mut self.answered, true);
        (changed || is_first).then(|| Arc::clone(&self.believed))
    }

    /// The nodes whose place is known, and all entries that are not used. A name that is just being looked up is neither.
    fn placed(&self) -> (Vec<NodeSpec>, Vec<BadEntry>) {
        let mut nodes = Vec::with_capacity(self.screened.nodes.len());
        let mut bad = self.screened.bad.clone();
        for node in &self.screened.nodes {
            match self.names.address(node) {
                Ok(address) => nodes.push(node.spec(address)),
                Err(why) if why.is_empty() => {}
                Err(why) => bad.push(BadEntry { key: node.id.clone(), why }),
            }
        }
        (nodes, bad)
    }

    /// One line for a change.
    fn tell(&self, nodes: &[NodeSpec]) {
        let (before, after) = (by_id(&self.believed), by_id(nodes));
        let came = some(after.keys().filter(|id| !before.contains_key(*id)));
        let left = some(before.keys().filter(|id| !after.contains_key(*id)));
        let changed = after.iter().filter(|(id, node)| before.get(*id).is_some_and(|before| before != *node));
        let changed = some(changed.map(|(id, _)| id));
        let provider = self.discovery.provider.word();
        info!(pool = %self.pool, provider, nodes = nodes.len(), came, left, changed, "the pool's nodes changed");
    }
}

fn by_id(nodes: &[NodeSpec]) -> BTreeMap<&str, &NodeSpec> {
    nodes.iter().map(|node| (&*node.id, node)).collect()
}

/// The first ids of a list, and how many more there are.
fn some<'a>(ids: impl Iterator<Item = &'a &'a str>) -> String {
    let ids: Vec<&str> = ids.copied().collect();
    let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Follows the registry, and again whenever it was lost.
async fn keep_following(provider: impl Fn() -> Result<Box<dyn Provider>, Trouble>, sets: &Sets, row: &Row) {
    let mut backoff = Backoff::default();
    let mut kept = None;
    loop {
        let began = Instant::now();
        sets.begin();
        let trouble = match kept.take().map_or_else(&provider, Ok) {
            Ok(mut provider) => {
                let trouble = provider.follow(sets).await;
                kept = Some(provider);
                trouble
            }
            Err(trouble) => trouble,
        };
        sets.lost();
        row.lost(&trouble);
        sleep(backoff.pause(began.elapsed(), fastrand::f64())).await;
    }
}
