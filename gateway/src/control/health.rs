//! Which nodes may be picked, and with which weight: decided here and nowhere else.
//!
//! Three things speak of a node: active checks (`check`, asked by `checks` and `probe`), its traffic (`ejection`, by what
//! `pool` and `detect` find in the nodes' counters, and `question` makes sure of), and operators (`order`). `member` joins them for a node, `elect`
//! for a pool. Workers only count and ring a bell; the writer owns all of this, looks when the bell rings and ten times
//! a second, and publishes the candidates that changed. But for the checks' sockets it is pure, with `now` as an argument.
//! Why it decides as it does: docs/decisions/0024.

mod check;
mod checks;
mod detect;
mod ejection;
mod elect;
mod member;
mod order;
mod pool;
mod probe;
mod question;
mod report;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use checks::{Checked, Checks};
pub(super) use order::{Act, Order};
pub(super) use question::{Question, Questioned};
pub(super) use report::NodeHealth;

use check::Finding;
use member::By;
use pool::PoolHealth;

use super::command::Refusal;
use super::config::{Config, Node};
use crate::name::Name;
use crate::node::candidates::Candidates;
use crate::node::live::Bell;
use crate::snapshot::{Pool, Snapshot};

/// How often everything is looked at although no bell rang.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long the first round of checks may keep a gateway from being ready.
const FIRST_ROUND: Duration = Duration::from_secs(10);

/// Candidates that changed, by pool.
pub(super) type Elected = Vec<(Name, Arc<Candidates>)>;

/// The health of all pools.
#[derive(Debug)]
pub(super) struct Health {
    pools: BTreeMap<Name, PoolHealth>,
    bell: Arc<Bell>,
    drain_timeout: Duration,
    started: Instant,
}

impl Health {
    /// Of no pool yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { pools: BTreeMap::new(), bell: Arc::default(), drain_timeout: Duration::ZERO, started: now }
    }

    /// What workers ring.
    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Follows a new snapshot of this configuration, which was built as if all nodes were well, and puts it right.
    pub(super) fn follow(&mut self, snapshot: Snapshot, config: &Config, now: Instant) -> Snapshot {
        self.drain_timeout = config.gateway.drain_timeout;
        self.pools.retain(|name, _| config.pools.contains_key(name));
        for pool in snapshot.pools.iter() {
            self.follow_nodes(pool, config, now);
        }
        self.put_right(snapshot, now)
    }

    /// The same if the nodes of this pool alone changed.
    pub(super) fn follow_pool(
        &mut self,
        snapshot: Snapshot,
        name: &Name,
        config: &Config,
        now: Instant,
    ) -> Snapshot {
        if let Some(place) = snapshot.pool_named(name.as_str()) {
            self.follow_nodes(&snapshot.pools[place as usize], config, now);
        }
        self.put_right(snapshot, now)
    }

    fn follow_nodes(&mut self, pool: &Pool, config: &Config, now: Instant) {
        let Some(configured) = config.pools.get(&pool.name) else { return };
        let known = self.pools.entry(pool.name.clone()).or_insert_with(|| PoolHealth::new(configured, now));
        known.follow(configured, &pool.nodes, self.drain_timeout, now);
    }

    fn put_right(&mut self, snapshot: Snapshot, now: Instant) -> Snapshot {
        let elected = self.look(now);
        if elected.is_empty() { snapshot } else { snapshot.with_candidates(&elected) }
    }

    /// Looks at all pools; answers those whose candidates changed.
    pub(super) fn look(&mut self, now: Instant) -> Elected {
        let mut elected = Elected::new();
        for (name, pool) in &mut self.pools {
            pool.look(&self.bell, now);
            elected.extend(pool.elect(now).map(|candidates| (name.clone(), Arc::new(candidates))));
        }
        elected
    }

    /// Nodes that seem to be silent, found by the looks since this was called last.
    pub(super) fn questions(&mut self) -> Vec<Question> {
        self.pools.values_mut().flat_map(|pool| std::mem::take(&mut pool.questions)).collect()
    }

    /// Notes what a node said that was asked.
    pub(super) fn questioned(&mut self, questioned: &Questioned, now: Instant) {
        let Questioned { question, silent } = questioned;
        let Some(pool) = self.pools.get_mut(&question.pool) else { return };
        // The node may have moved meanwhile.
        if *silent && pool.address_of(&question.node) == Some(question.address) {
            pool.is_silent(&question.node, question.asked, now);
        }
    }

    /// Notes what came of a check; answers whether that changed something.
    pub(super) fn checked(&mut self, checked: Checked, now: Instant) -> bool {
        let Some(pool) = self.pools.get_mut(&checked.pool) else { return false };
        let address = pool.address_of(&checked.node);
        // The check may have ended after its node moved.
        address == Some(checked.address) && pool.checked(&checked.node, checked.outcome, now)
    }

    /// Does what an operator asks for. What it is then is told by [`Health::node`], after a look.
    pub(super) fn obey(&mut self, order: &Order, now: Instant) -> Result<(), Refusal> {
        let Some(pool) = self.pools.get_mut(order.pool.as_str()) else {
            let there: Vec<_> = self.pools.keys().map(Name::as_str).collect();
            let there = there.join(", ");
            return Err(Refusal::Unknown(format!("there is no pool \"{}\"; there are: {there}", order.pool)));
        };
        let Some(place) = pool.members.iter().position(|member| member.id() == order.node) else {
            let what = format!("the pool \"{}\" has no node \"{}\"", order.pool, order.node);
            return Err(Refusal::Unknown(format!("{what}; /snapshot lists their ids")));
        };
        let member = &mut pool.members[place];
        let by_configuration = member.drain.is_some_and(|drain| drain.by == By::Configuration);
        match order.act {
            Act::Drain(timeout) => {
                let by = if by_configuration { By::Configuration } else { By::Operator };
                member.begin_drain(by, timeout.unwrap_or(self.drain_timeout), now);
            }
            Act::Undrain if by_configuration => {
                let why = "the configuration drains this node; take `drain = true` out there";
                return Err(Refusal::Conflict(why.to_owned()));
            }
            Act::Undrain if member.drain.is_none() => {
                return Err(Refusal::Conflict("this node is not draining".to_owned()));
            }
            Act::Undrain => pool.undrain(place, now),
            Act::Weigh(weight) => member.weight = weight,
        }
        Ok(())
    }

    /// A node as it is shown.
    pub(super) fn node(&self, pool: &str, node: &str, now: Instant) -> Option<NodeHealth> {
        let pool = self.pools.get(pool)?;
        let place = pool.members.iter().position(|member| member.id() == node)?;
        Some(NodeHealth::of(&pool.members[place], pool.weights[place], now))
    }

    /// All nodes of a pool, in the snapshot's order.
    pub(super) fn nodes(&self, pool: &Name, now: Instant) -> Vec<NodeHealth> {
        let Some(pool) = self.pools.get(pool) else { return Vec::new() };
        let members = pool.members.iter().zip(&pool.weights);
        members.map(|(member, weight)| NodeHealth::of(member, *weight, now)).collect()
    }

    /// Whether a pool uses nodes that are not healthy since too few are, and how often it came to that.
    pub(super) fn panic(&self, pool: &Name) -> (bool, u64) {
        self.pools.get(pool).map_or((false, 0), |pool| (pool.in_panic, pool.panics))
    }

    /// Whether the first round of checks is over; in any case after some time.
    pub(super) fn is_checked(&self, now: Instant) -> bool {
        let members = || self.pools.values().flat_map(|pool| &pool.members);
        let is_new = |finding| matches!(finding, Finding::New { .. });
        now.saturating_duration_since(self.started) >= FIRST_ROUND
            || !members().any(|member| is_new(member.check.finding()))
    }
}

/// The weight that a text says, if it is one that the configuration would take.
pub(super) fn weight(text: &str) -> Option<NonZeroU32> {
    text.parse().ok().filter(|weight: &NonZeroU32| weight.get() <= Node::MAX_WEIGHT)
}
