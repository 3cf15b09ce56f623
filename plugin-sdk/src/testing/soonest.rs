//! The rule of `nodes.soonest`, as the gateway has it in `node/selection/soonest.rs`: a test there compares the two.

use crate::nodes::{Candidates, Node};
use crate::random;

/// Loads are equal up to a twentieth of them.
const EQUAL: u64 = 20;
/// Loads are nearly cold up to a third above.
const NEARLY_COLD: u64 = 3;
/// In thousandths of the delay at the best of the cold: from there on a nearly cold one is better.
const SOONER: u64 = 667;
/// A wait up to this many microseconds is never slow.
const SHORT_WAIT: u64 = 2000;

/// What is weighed of a candidate.
#[derive(Clone, Copy)]
struct Weighed {
    node: Node,
    load: u64,
    delay: u64,
    wait: u64,
}

pub(super) fn soonest(candidates: &Candidates, quantile: f64, slow: f64) -> Option<Node> {
    let mut weighed = weigh(candidates);
    let usual = rank(&weighed, 0.5, |one| one.wait)?;
    let longest = ((usual as f64 * slow) as u64).max(SHORT_WAIT);
    weighed.retain(|one| one.wait <= longest);
    let load = rank(&weighed, quantile, |one| one.load)?;
    let (cold, nearly) = (load.saturating_add(load / EQUAL), load.saturating_add(load / NEARLY_COLD));
    let best = weighed.iter().filter(|one| one.load <= cold).min_by_key(blurred)?;
    let sooner = best.delay * SOONER / 1000;
    let is_better = |one: &&Weighed| one.load > cold && one.load <= nearly && one.delay <= sooner;
    Some(weighed.iter().filter(is_better).min_by_key(blurred).unwrap_or(best).node)
}

fn weigh(candidates: &Candidates) -> Vec<Weighed> {
    let mut known: Vec<u64> = candidates.iter().filter_map(|node| node.service()).map(u64::from).collect();
    let typical = middle(&mut known, 0.5).unwrap_or(1);
    let weigh = |node: Node| {
        let service = node.service().map_or(typical, u64::from);
        let delay = service * (u64::from(node.in_flight()) + 1);
        let wait = node.penalised(delay.max(u64::from(node.oldest())));
        Weighed { node, load: node.penalised(node.load()), delay, wait }
    };
    candidates.iter().map(weigh).collect()
}

/// What this share of the candidates does not exceed; the lower one between two.
fn rank(weighed: &[Weighed], share: f64, key: impl Fn(&Weighed) -> u64) -> Option<u64> {
    middle(&mut weighed.iter().map(key).collect::<Vec<_>>(), share)
}

/// The value at a share of the way through all in order.
fn middle(values: &mut [u64], share: f64) -> Option<u64> {
    let last = values.len().checked_sub(1)?;
    let place = (last as f64 * share) as usize;
    Some(*values.select_nth_unstable(place.min(last)).1)
}

/// A delay, up to twice as long at random.
fn blurred(one: &&Weighed) -> u64 {
    one.delay.saturating_mul(1000 + u64::from(random::below(1001)))
}
