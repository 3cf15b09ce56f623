//! The least loaded candidates, and of them the one where the request is expected to be served first; never one that
//! keeps its requests much longer than the others do.
//!
//! Prequal (Wydrowski and others, NSDI 2024) asks nodes by probes; this has the gateway's own signals. The decision note 0029
//! says what that changes, and why the load is compared first: it is known exactly and at once, while every estimate is late.
//! Three steps:
//!
//! 1. A candidate is *stuck* if a request waits there more than `slow` times as long as at the median candidate, as it is
//!    expected to or as its oldest one has waited already.
//! 2. Of the others those are *hot* whose load is above a `quantile` of all loads: requests in flight and the one to come,
//!    for the weight, dearer the more attempts fail. By default only the least loaded are cold.
//! 3. Of the cold ones it is the one with the least expected delay: (requests in flight + 1) x service time. One that is hot
//!    by no more than a third takes its place if the request is expected to be served there a third sooner.

use bascule_plugin::prelude::*;

/// The policy.
#[derive(Debug, Default)]
pub struct Prequal {
    config: Config,
    /// Of the present pick; kept for their memory.
    seen: Vec<Seen>,
    sorted: Vec<u64>,
}

/// Its keys.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    sample: u32,
    quantile: f64,
    slow: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { sample: 16, quantile: 0.0, slow: 4.0 }
    }
}

/// What is weighed of a candidate.
#[derive(Clone, Copy, Debug)]
struct Seen {
    node: Node,
    /// Requests in flight and the one to come, for the weight and the errors.
    load: u64,
    /// Until the request would be served, in microseconds.
    delay: u64,
    /// The same, or how long the oldest request has waited, for the errors.
    wait: u64,
}

/// Loads are equal up to a twentieth of them: or the errors that every pool has now and then would decide.
const EQUAL: u64 = 20;
/// Loads are nearly cold up to a third above. Where each node serves one request at a time and all of them have a queue, one
/// request more at a faster node ends sooner; where some have none, an idle node is better. Chosen in the simulation.
const NEARLY_COLD: u64 = 3;
/// In thousandths of the delay at the best of the cold: from there on a nearly cold one is better.
const SOONER: u64 = 667;

/// A wait up to this many microseconds is never slow: ages are known to the millisecond only.
const SHORT_WAIT: u64 = 2000;

impl Lifecycle for Prequal {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if !(2..=100).contains(&config.sample) {
            return Err("sample: write how many candidates of a large pool are compared, 2 to 100".into());
        }
        if !(0.0..=1.0).contains(&config.quantile) {
            return Err("quantile: write a share, 0.0 to 1.0".into());
        }
        if !(1.0..=1000.0).contains(&config.slow) {
            return Err("slow: write how many times the usual wait is too long, 1.0 to 1000.0".into());
        }
        Ok(Self { config, ..Self::default() })
    }
}

impl Balancer for Prequal {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        self.see(&nodes.estimates(self.config.sample));
        if self.seen.is_empty() {
            return Choice::Abstain;
        }
        let usual = self.rank(0.5, |seen| seen.wait);
        let longest = ((usual as f64 * self.config.slow) as u64).max(SHORT_WAIT);
        self.seen.retain(|seen| seen.wait <= longest);
        let load = self.rank(self.config.quantile, |seen| seen.load);
        let (cold, nearly) = (load.saturating_add(load / EQUAL), load.saturating_add(load / NEARLY_COLD));
        let soonest = |seen: &&Seen| blurred(seen.delay);
        let Some(best) = self.seen.iter().filter(|seen| seen.load <= cold).min_by_key(soonest) else {
            return Choice::Abstain;
        };
        let sooner = best.delay * SOONER / 1000;
        let is_better = |seen: &&Seen| seen.load > cold && seen.load <= nearly && seen.delay <= sooner;
        self.seen.iter().filter(is_better).min_by_key(soonest).unwrap_or(best).node.into()
    }
}

impl Prequal {
    /// Weighs the candidates.
    fn see(&mut self, candidates: &bascule_plugin::Candidates) {
        self.sorted.clear();
        self.sorted.extend(candidates.iter().filter_map(|node| node.service()).map(u64::from));
        // A node of which nothing is known is taken to be as fast as the others: in-flight decides, so it gets its share.
        let is_needed = self.sorted.len() < candidates.len();
        let typical = if is_needed { middle(&mut self.sorted, 0.5).unwrap_or(1) } else { 1 };
        let see = |node: Node| {
            let service = node.service().map_or(typical, u64::from);
            let delay = service * (u64::from(node.in_flight()) + 1);
            let wait = node.penalised(delay.max(u64::from(node.oldest())));
            Seen { node, load: node.penalised(node.load()), delay, wait }
        };
        self.seen.clear();
        self.seen.extend(candidates.iter().map(see));
    }

    /// What this share of the candidates does not exceed; the lower one between two.
    fn rank(&mut self, share: f64, key: impl Fn(&Seen) -> u64) -> u64 {
        self.sorted.clear();
        self.sorted.extend(self.seen.iter().map(key));
        middle(&mut self.sorted, share).unwrap_or(0)
    }
}

/// The value at a share of the way through all in order.
fn middle(values: &mut [u64], share: f64) -> Option<u64> {
    let place = (values.len().checked_sub(1)? as f64 * share) as usize;
    Some(*values.select_nth_unstable(place).1)
}

/// A delay, up to twice as long at random: gateways and workers that know the same must not all choose the same node,
/// and an estimate is not better than that.
fn blurred(delay: u64) -> u64 {
    delay.saturating_mul(1000 + u64::from(random::below(1001)))
}

bascule_plugin::export!(Prequal: lifecycle, balancer);

#[cfg(test)]
mod faults;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
