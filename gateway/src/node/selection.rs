//! The candidates of one request's picks: the pool's list, less what was tried, narrowed by what policies keep.
//!
//! Indices as plugins know them are dense over what is left, and the same as the list's own ("raw") while nothing was
//! tried or kept, which is the usual case and costs nothing. It chooses nothing by itself but the native fallback's
//! turn.

use std::sync::Arc;
use std::time::Instant;

use super::candidates::{Candidate, Candidates, running_sums};

mod draws;
mod hashing;
mod soonest;
mod zones;

pub use soonest::Scales;
pub use zones::ZoneWeights;

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

/// A candidate's load, and how long a request takes there; as the record of the plugin contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Its load.
    pub load: Load,
    /// The time that one request takes there, queues aside, in microseconds; 0 if unknown.
    pub service: u32,
}

/// A worker's own handle on candidates that all workers share: a request counts itself in a cache line that no other
/// worker writes. Not an `Rc`, since what plugins see of a request has to be `Send` (docs/decisions/0035).
pub type LocalCandidates = Arc<Arc<Candidates>>;

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
    /// Where the gateway stands.
    zone: Option<Arc<str>>,
}

impl Selection {
    /// Starts a request on a pool.
    pub fn begin(&mut self, candidates: LocalCandidates) {
        self.clear();
        self.candidates = Some(candidates);
    }

    /// Forgets the request and keeps the memory, and where the gateway stands.
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
        self.list().map_or(0, |list| list.count() as u32 - self.tried.len() as u32)
    }

    /// Whether a node is left that was not tried and that `suits`, beside the one of this index; whatever policies kept.
    /// When all were tried, the nodes of later tiers are left.
    pub fn has_other(&self, index: u32, suits: impl Fn(&Candidate) -> bool) -> bool {
        let Some(list) = self.list() else { return false };
        let this = self.raw(index);
        let is_left = |raw: &u32| Some(*raw) != this && self.tried.binary_search(raw).is_err();
        let mut left = (0..list.count() as u32).filter(is_left).filter_map(|raw| list.get(raw)).peekable();
        match (left.peek(), list.reserve()) {
            (None, Some(reserve)) => reserve.iter().any(suits),
            _ => left.any(suits),
        }
    }

    /// A candidate by index, or a draining node by the index that [`Selection::find`] told.
    pub fn candidate(&self, index: u32) -> Option<&Candidate> {
        self.list()?.get(self.raw(index)?)
    }

    /// One candidate's load.
    pub fn load(&self, index: u32, now: Instant) -> Option<Load> {
        let candidate = self.candidate(index)?;
        let seen = candidate.node.live.seen(now);
        Some(Load {
            node: index,
            in_flight: seen.in_flight,
            latency: seen.latency,
            weight: candidate.weight,
            error_rate: seen.error_rate,
            oldest: seen.oldest,
        })
    }

    /// One candidate's load and service time.
    pub fn estimate(&self, index: u32, now: Instant) -> Option<Estimate> {
        let service = self.candidate(index)?.node.live.service(now);
        Some(Estimate { load: self.load(index, now)?, service })
    }

    /// Every candidate's load, by index, in place of what `out` held.
    pub fn loads(&self, now: Instant, out: &mut Vec<Load>) {
        out.clear();
        out.extend((0..self.count()).filter_map(|index| self.load(index, now)));
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

    /// Wishes to narrow the candidates to these; the last wish of a policy counts, unknown indices do not. Indices
    /// stay as they are until [`Selection::settle`].
    pub fn keep(&mut self, indices: &[u32]) {
        let count = self.count();
        let mut wish = std::mem::take(&mut self.wish);
        wish.clear();
        wish.extend(indices.iter().filter(|&&index| index < count).filter_map(|&index| self.raw(index)));
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
        let mut sums = std::mem::take(&mut self.kept_sums);
        let weights = self.kept.iter().filter_map(|&raw| Some(self.list()?.get(raw)?.weight));
        sums.clear();
        sums.extend(running_sums(weights));
        self.kept_sums = sums;
    }

    /// Drops what the policy wished to keep: call it when a policy faulted.
    pub fn undo_keep(&mut self) {
        self.wish.clear();
    }

    /// Goes to the next attempt: without the node that was tried, and with all others that were not. When all were
    /// tried, the nodes of later tiers have their turn.
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
        if self.count() == 0
            && let Some(reserve) = self.list().and_then(Candidates::reserve).cloned()
        {
            self.begin(Arc::new(reserve));
        }
    }

    /// Whether any candidate is one that `suits`.
    pub fn any(&self, suits: impl Fn(&Candidate) -> bool) -> bool {
        (0..self.count()).filter_map(|index| self.candidate(index)).any(suits)
    }

    /// Leaves out every candidate that does not suit, as if it had been tried, and keeps nothing.
    pub fn leave_out_unless(&mut self, suits: impl Fn(&Candidate) -> bool) {
        self.forget_keeps();
        let mut tried = std::mem::take(&mut self.tried);
        let eligible = self.list().map_or(0, Candidates::count) as u32;
        let unfit = |raw: &u32| !self.list().and_then(|list| list.get(*raw)).is_some_and(&suits);
        tried.extend((0..eligible).filter(unfit));
        tried.sort_unstable();
        tried.dedup();
        self.tried = tried;
    }

    /// Makes a candidate of every node again, as at the start.
    pub fn start_over(&mut self) {
        self.tried.clear();
        self.tried_draining.clear();
        self.forget_keeps();
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
}

#[cfg(test)]
mod tests;
