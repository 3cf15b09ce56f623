//! The candidates of one request's picks: the pool's list, less what was tried, narrowed by what policies keep.
//!
//! Indices as plugins know them are dense over what is left, and the same as the list's own ("raw") while nothing was
//! tried or kept, which is the usual case and costs nothing. It chooses nothing by itself but the native fallback's
//! turn.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::candidates::{Candidate, Candidates, running_sums};

/// A bounded walk along the ring gives up after so many points: with half of the nodes above their bound, one walk in
/// 2^512 would need more.
const MOST_STEPS: usize = 512;

/// What the gateway knows of a candidate now; as the record of the plugin contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The candidate's index.
    pub node: u32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Moving average of the time to the response head, in microseconds; 0 if unknown.
    pub latency: u32,
    /// Effective weight, in thousandths.
    pub weight: u32,
    /// Moving average of the share of failed attempts, in thousandths.
    pub error_rate: u32,
    /// Age of the oldest request in flight, in microseconds; 0 if there is none.
    pub oldest: u32,
}

/// A worker's own handle on candidates that all workers share: a request counts itself in a cache line that no other
/// worker writes.
#[expect(
    clippy::redundant_allocation,
    reason = "the inner Arc is shared between workers"
)]
pub type LocalCandidates = Rc<Arc<Candidates>>;

/// What one request's picks choose from; reused between requests.
#[derive(Debug, Default)]
pub struct Selection {
    candidates: Option<LocalCandidates>,
    /// Eligible nodes that were tried: raw indices, ascending.
    tried: Vec<u32>,
    /// Draining nodes that were tried: raw indices.
    tried_draining: Vec<u32>,
    /// What policies kept: raw indices, ascending; all that is left if empty.
    kept: Vec<u32>,
    /// Running sums of the weights of what was kept.
    kept_sums: Vec<u64>,
    /// What the policy that plays now wants kept.
    wish: Vec<u32>,
}

impl Selection {
    /// Starts a request on a pool.
    pub fn begin(&mut self, candidates: LocalCandidates) {
        self.clear();
        self.candidates = Some(candidates);
    }

    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        self.candidates = None;
        self.tried.clear();
        self.tried_draining.clear();
        self.forget_keeps();
    }

    /// The number of candidates: nodes that were not tried and that no policy left out.
    pub fn count(&self) -> u32 {
        if !self.kept.is_empty() {
            return self.kept.len() as u32;
        }
        self.list()
            .map_or(0, |list| list.count() as u32 - self.tried.len() as u32)
    }

    /// A candidate by index, or a draining node by the index that [`Selection::find`] told.
    pub fn candidate(&self, index: u32) -> Option<&Candidate> {
        self.list()?.get(self.raw(index)?)
    }

    /// One candidate's load.
    pub fn load(&self, index: u32, now: Instant) -> Option<Load> {
        let candidate = self.candidate(index)?;
        let live = &candidate.node.live;
        Some(Load {
            node: index,
            in_flight: live.in_flight(),
            latency: live.latency(now),
            weight: candidate.weight,
            error_rate: live.error_rate(now),
            oldest: live.oldest(now),
        })
    }

    /// Every candidate's load, by index, in place of what `out` held.
    pub fn loads(&self, now: Instant, out: &mut Vec<Load>) {
        out.clear();
        out.extend((0..self.count()).filter_map(|index| self.load(index, now)));
    }

    /// The loads of up to `most` different candidates, drawn evenly at random, in place of what `out` held. Their
    /// order means nothing.
    pub fn sample(&self, most: u32, now: Instant, out: &mut Vec<Load>) {
        let count = self.count();
        if most >= count {
            return self.loads(now, out);
        }
        out.clear();
        // Floyd's: as many draws as are wanted, however large the pool is.
        for last in count - most..count {
            let drawn = fastrand::u32(..=last);
            let taken = out.iter().any(|load| load.node == drawn);
            out.extend(self.load(if taken { last } else { drawn }, now));
        }
    }

    /// Two different candidates, drawn at random in proportion to their weights; the same one twice where there is
    /// only one.
    pub fn two_random(&self, now: Instant) -> Option<(Load, Load)> {
        let first = self.draw(None)?;
        let second = self.draw(Some(first)).unwrap_or(first);
        Some((self.load(first, now)?, self.load(second, now)?))
    }

    /// The index of the node with this id, if it is a candidate or draining, and was not tried.
    pub fn find(&self, id: &str) -> Option<u32> {
        let list = self.list()?;
        let raw = list.find(id)?;
        match raw.checked_sub(list.count() as u32) {
            None => self.index_of(raw),
            Some(_) if self.tried_draining.contains(&raw) => None,
            Some(draining) => Some(self.count() + draining),
        }
    }

    /// The candidate that owns this key on the pool's consistent-hash ring.
    pub fn by_hash(&self, key: &[u8]) -> Option<u32> {
        if self.count() == 0 {
            return None;
        }
        self.list()?.ring().walk(key).find_map(|raw| self.index_of(raw))
    }

    /// The same with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): goes on along the ring past nodes that would
    /// have more than `percent` hundredths of their fair share of the requests in flight.
    ///
    /// A second request on a node is always let through, so that an idle pool keeps its affinity. Where all nodes are
    /// above their bound (it is below 100 %, or nodes are left out), the least loaded that was met is the answer.
    pub fn by_hash_bounded(&self, key: &[u8], percent: u32) -> Option<u32> {
        let owner = self.by_hash(key)?;
        if self.candidate(owner)?.node.live.in_flight() <= 1 {
            return Some(owner);
        }
        let share = self.share_of_weight() * f64::from(percent) / 100.0;
        let mut least = (f64::INFINITY, owner);
        let steps = self.list()?.ring().walk(key).filter_map(|raw| self.index_of(raw));
        for index in steps.take(MOST_STEPS) {
            let candidate = self.candidate(index)?;
            let in_flight = candidate.node.live.in_flight();
            let weight = f64::from(candidate.weight);
            if in_flight <= 1 || f64::from(in_flight + 1) <= (share * weight).ceil() {
                return Some(index);
            }
            if f64::from(in_flight) / weight < least.0 {
                least = (f64::from(in_flight) / weight, index);
            }
        }
        Some(least.1)
    }

    /// Requests in flight for each thousandth of weight, with the one that is being placed. In large pools it is
    /// estimated from 64 candidates, spread over the list: reading 1,000 nodes' counters would cost more than the
    /// rest of the pick.
    fn share_of_weight(&self) -> f64 {
        let count = self.count();
        let looked_at = count.min(64);
        let (first, step) = (fastrand::u32(..count.max(1)), count / looked_at.max(1));
        let (mut in_flight, mut weight) = (0_u64, 0_u64);
        for number in 0..looked_at {
            let index = (u64::from(first) + u64::from(number * step)) % u64::from(count);
            if let Some(candidate) = self.candidate(index as u32) {
                in_flight += u64::from(candidate.node.live.in_flight());
                weight += u64::from(candidate.weight);
            }
        }
        let own = f64::from(looked_at) / f64::from(count.max(1));
        (in_flight as f64 + own) / weight.max(1) as f64
    }

    /// Wishes to narrow the candidates to these; the last wish of a policy counts, unknown indices do not. Indices
    /// stay as they are until [`Selection::settle`].
    pub fn keep(&mut self, indices: &[u32]) {
        let count = self.count();
        let mut wish = std::mem::take(&mut self.wish);
        wish.clear();
        wish.extend(
            indices
                .iter()
                .filter(|&&index| index < count)
                .filter_map(|&index| self.raw(index)),
        );
        wish.sort_unstable();
        wish.dedup();
        self.wish = wish;
    }

    /// Grants what the policy wished to keep, for the policies after it: call it when a policy abstained.
    pub fn settle(&mut self) {
        if self.wish.is_empty() {
            return;
        }
        std::mem::swap(&mut self.kept, &mut self.wish);
        self.wish.clear();
        let weights = self
            .kept
            .iter()
            .filter_map(|&raw| Some(self.list()?.get(raw)?.weight));
        self.kept_sums = running_sums(weights);
    }

    /// Drops what the policy wished to keep: call it when a policy faulted.
    pub fn undo_keep(&mut self) {
        self.wish.clear();
    }

    /// Goes to the next attempt: without the node that was tried, and with all others that were not.
    pub fn next_attempt(&mut self, tried: u32) {
        let raw = self.raw(tried);
        self.forget_keeps();
        let (Some(raw), Some(count)) = (raw, self.list().map(Candidates::count)) else {
            return;
        };
        if raw as usize >= count {
            self.tried_draining.push(raw);
        } else if let Err(place) = self.tried.binary_search(&raw) {
            self.tried.insert(place, raw);
        }
    }

    /// The native fallback: smooth weighted round robin over what is left. `turn` is a worker's own for the pool; let
    /// it start at random, or the workers choose the same nodes at the same time.
    pub fn round_robin(&self, turn: &Cell<u32>) -> Option<u32> {
        let list = self.list()?;
        let count = self.count();
        if count == 0 {
            return None;
        }
        // What is left out is passed over; where nearly all is, a draw by weight is cheaper and as fair.
        for _ in 0..list.turns().min(64) {
            let now = turn.get();
            turn.set(now.wrapping_add(1));
            if let Some(index) = list.turn(now).and_then(|raw| self.index_of(raw)) {
                return Some(index);
            }
        }
        self.draw(None)
    }

    fn list(&self) -> Option<&Candidates> {
        self.candidates.as_deref().map(|list| &**list)
    }

    fn forget_keeps(&mut self) {
        self.kept.clear();
        self.kept_sums.clear();
        self.wish.clear();
    }

    /// The list's index of a plugin's index.
    fn raw(&self, index: u32) -> Option<u32> {
        let count = self.count();
        if index >= count {
            return (self.list()?.count() as u32).checked_add(index - count);
        }
        if !self.kept.is_empty() {
            return self.kept.get(index as usize).copied();
        }
        let mut raw = index;
        for &tried in &self.tried {
            raw += u32::from(tried <= raw);
        }
        Some(raw)
    }

    /// The plugin's index of an eligible node, unless it was tried or is not kept.
    fn index_of(&self, raw: u32) -> Option<u32> {
        if !self.kept.is_empty() {
            return self.kept.binary_search(&raw).ok().map(|index| index as u32);
        }
        match self.tried.binary_search(&raw) {
            Ok(_) => None,
            Err(smaller) => Some(raw - smaller as u32),
        }
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
        let (sums, tried) = if all {
            (self.list()?.sums(), &*self.tried)
        } else {
            (&*self.kept_sums, &[][..])
        };
        let except = if all {
            except.and_then(|index| self.raw(index))
        } else {
            except
        };
        let begin = |place: u32| place.checked_sub(1).map_or(0, |before| sums[before as usize]);
        let weight = |place: u32| sums[place as usize] - begin(place);

        let (smaller, larger) = tried.split_at(tried.partition_point(|&place| Some(place) < except));
        let left_out = smaller
            .iter()
            .copied()
            .chain(except)
            .chain(larger.iter().copied());
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
