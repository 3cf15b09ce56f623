//! Draws among the candidates of one pick: at random, and the native fallback's turns.

use std::cell::Cell;
use std::time::Instant;

use super::{Estimate, Load, Selection};

/// So many nodes that are left out are passed over before the native fallback draws instead of counting on.
const MOST_PASSED: u32 = 64;
/// Pools of up to so many candidates are compared whole; as the contract says of `least-loaded`, `estimates` and `soonest`.
const COMPARED_WHOLE: u32 = 32;
/// A share of successes in thousandths below which a node gets no dearer: about a thousandfold.
const FEWEST_SUCCESSES: u64 = 31;
/// What two nodes are compared with that nobody knows, in microseconds: not so few that a large weight rounds them to none.
const UNKNOWN_LATENCY: u32 = 1000;

impl Selection {
    /// The loads of up to `most` different candidates, drawn evenly at random, in place of what `out` held. Their
    /// order means nothing.
    pub fn sample(&self, most: u32, now: Instant, out: &mut Vec<Load>) {
        self.draw_some(most, out, |load| load.node, |index| self.load(index, now));
    }

    /// Every candidate's load and service time in a small pool, in a large one those of `sample` different ones, drawn
    /// evenly at random, in place of what `out` held. Their order means nothing.
    pub fn estimates(&self, sample: u32, now: Instant, out: &mut Vec<Estimate>) {
        let most = self.compared(sample);
        self.draw_some(most, out, |estimate| estimate.load.node, |index| self.estimate(index, now));
    }

    /// How many candidates a policy compares that wants a sample of a large pool.
    pub(super) fn compared(&self, sample: u32) -> u32 {
        if self.count() <= COMPARED_WHOLE { COMPARED_WHOLE } else { sample }
    }

    /// What is made of up to `most` different indices, drawn evenly at random.
    pub(super) fn draw_some<T>(
        &self,
        most: u32,
        out: &mut Vec<T>,
        index_of: impl Fn(&T) -> u32,
        make: impl Fn(u32) -> Option<T>,
    ) {
        let count = self.count();
        out.clear();
        if most >= count {
            return out.extend((0..count).filter_map(make));
        }
        for last in count - most..count {
            let drawn = floyd(last, |drawn| out.iter().any(|made| index_of(made) == drawn));
            out.extend(make(drawn));
        }
    }

    /// The least loaded candidate; of equal ones, one at random, so that workers and gateways do not all choose the
    /// same. In a large pool only `sample` different ones are compared, drawn evenly at random: the best of 8 is on
    /// average within the least loaded eighth, and does not attract the herd that the best of all does. `scratch` is for
    /// the draw: costs and indices.
    pub fn least_loaded(&self, sample: u32, now: Instant, scratch: &mut Vec<(u64, u32)>) -> Option<u32> {
        scratch.clear();
        let count = self.count();
        let most = self.compared(sample).min(count);
        for last in count - most..count {
            let all = most == count;
            let taken = |drawn| scratch.iter().any(|&(_, index)| index == drawn);
            let index = if all { last } else { floyd(last, taken) };
            scratch.extend(self.cost(index, now).map(|cost| (cost, index)));
        }
        let least = scratch.iter().map(|&(cost, _)| cost).min()?;
        let mut equal = scratch.iter().filter(|&&(cost, _)| cost == least);
        // One draw, however many are equal.
        let chosen = match equal.clone().count() {
            1 => 0,
            equals => fastrand::usize(..equals),
        };
        equal.nth(chosen).map(|&(_, index)| index)
    }

    /// What a least-connections policy compares: requests in flight and the one to come, for the weight, divided by the
    /// square of the share of attempts that succeed. A node that fails fast looks idle, and must not attract for it.
    fn cost(&self, index: u32, now: Instant) -> Option<u64> {
        let candidate = self.candidate(index)?;
        let live = &candidate.node.live;
        let load = ((u64::from(live.in_flight()) + 1) << 24) / u64::from(candidate.weight.max(1));
        Some(penalised(load, live.error_rate(now)))
    }

    /// Two different candidates, drawn at random in proportion to their weights; the same one twice where there is
    /// only one.
    pub fn two_random(&self, now: Instant) -> Option<(Load, Load)> {
        let first = self.draw(None)?;
        let second = self.draw(Some(first)).unwrap_or(first);
        Some((self.load(first, now)?, self.load(second, now)?))
    }

    /// Of two candidates, drawn as [`Selection::two_random`] draws them, the one where the request is expected to wait
    /// less; of equal ones the first, which is as random as a coin.
    pub fn quicker_of_two(&self, now: Instant) -> Option<u32> {
        let (first, second) = self.two_random(now)?;
        Some(if wait(&second, &first) < wait(&first, &second) { second.node } else { first.node })
    }

    /// The native fallback: smooth weighted round robin over what is left. `turn` is a worker's own for the pool; let
    /// it start at random, or the workers choose the same nodes at the same time.
    pub fn round_robin(&self, turn: &Cell<u32>) -> Option<u32> {
        let list = self.list()?;
        let count = self.count();
        if count == 0 {
            return None;
        }
        // Another attempt takes no turn: of two nodes, one that fails would have every turn, and the other none.
        if !self.tried.is_empty() {
            return self.draw(None);
        }
        // What is left out is passed over; where nearly all is, a draw by weight is cheaper and as fair.
        for _ in 0..list.turns().min(MOST_PASSED) {
            let now = turn.get();
            turn.set(now.wrapping_add(1));
            if let Some(index) = list.turn(now).and_then(|raw| self.index_of(raw)) {
                return Some(index);
            }
        }
        self.draw(None)
    }

    /// A candidate at random in proportion to the weights, and not `except`.
    fn draw(&self, except: Option<u32>) -> Option<u32> {
        let count = self.count() - u32::from(except.is_some() && self.count() > 0);
        if count == 0 {
            return None;
        }
        if self.list()?.is_equal() {
            let drawn = fastrand::u32(..count);
            return Some(drawn + u32::from(except.is_some_and(|except| except <= drawn)));
        }
        self.draw_by_weight(except)
    }

    /// Places are raw indices, or those among what was kept. Whatever is left out is cut out of the line of weights,
    /// so that one draw is enough.
    fn draw_by_weight(&self, except: Option<u32>) -> Option<u32> {
        let all = self.kept.is_empty();
        let (sums, tried) =
            if all { (self.list()?.sums(), &*self.tried) } else { (&*self.kept_sums, &[][..]) };
        let except = if all { except.and_then(|index| self.raw(index)) } else { except };
        let begin = |place: u32| place.checked_sub(1).map_or(0, |before| sums[before as usize]);
        let weight = |place: u32| sums[place as usize] - begin(place);

        let (smaller, larger) = tried.split_at(tried.partition_point(|&place| Some(place) < except));
        let left_out = smaller.iter().copied().chain(except).chain(larger.iter().copied());
        let sum = sums.last()? - left_out.clone().map(weight).sum::<u64>();
        let mut drawn = fastrand::u64(..sum.max(1));
        for place in left_out {
            if drawn >= begin(place) {
                drawn += weight(place);
            }
        }
        let place = sums.partition_point(|&sum| sum <= drawn) as u32;
        if all { self.index_of(place) } else { Some(place) }
    }
}

/// What a request would wait for at this node, in microseconds times a thousand: latency times the requests in flight
/// with the one to come, for the weight. Where the oldest of them waits longer than the latency says, that wait is the
/// latency: a node that got stuck is noticed before it answers. One that nobody knows yet is taken to be as fast as the other.
fn wait(load: &Load, other: &Load) -> u64 {
    let known = [load.latency, other.latency].into_iter().find(|&latency| latency > 0);
    let latency = known.unwrap_or(UNKNOWN_LATENCY).max(load.oldest);
    let queue = u64::from(latency) * (u64::from(load.in_flight) + 1);
    penalised(queue.saturating_mul(1000) / u64::from(load.weight.max(1)), load.error_rate)
}

/// A cost divided by the square of the share of attempts that succeed.
pub(super) fn penalised(cost: u64, errors: u32) -> u64 {
    if errors == 0 {
        return cost;
    }
    let successes = u64::from(1000_u32.saturating_sub(errors)).max(FEWEST_SUCCESSES);
    (cost.saturating_mul(1000) / successes).saturating_mul(1000) / successes
}

/// Floyd's way to draw different numbers, as many as are wanted however many there are: one up to `last`, which itself was
/// not drawn so far.
fn floyd(last: u32, is_taken: impl Fn(u32) -> bool) -> u32 {
    let drawn = fastrand::u32(..=last);
    if is_taken(drawn) { last } else { drawn }
}
