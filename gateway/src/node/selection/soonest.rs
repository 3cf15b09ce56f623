//! Where a request is expected to be served first: the whole of prequal's rule (docs/decisions/0029), compared here, since the
//! numbers of ten candidates cost more to hand to a plugin than the rest of a pick.
//!
//! The SDK's double has the same rule (plugin-sdk/src/testing/soonest.rs), and tests/simulated.rs compares the two: change
//! them together.

use std::time::Instant;

use fastrand::Rng;

use super::Selection;
use super::draws::penalised;
use crate::node::live::{Moment, Pace};

/// Loads are equal up to a twentieth of them: or the errors that every pool has now and then would decide.
const EQUAL: u64 = 20;
/// Loads are nearly cold up to a third above. Where each node serves one request at a time and all of them have a queue, one
/// request more at a faster node ends sooner; where some have none, an idle node is better. Chosen in the simulation.
const NEARLY_COLD: u64 = 3;
/// In thousandths of the delay at the best of the cold: from there on a nearly cold one is better.
const SOONER: u64 = 667;
/// A wait up to this many microseconds is never slow: ages are known to the millisecond only.
const SHORT_WAIT: u64 = 2000;

/// What is weighed of a candidate.
#[derive(Clone, Copy, Debug)]
struct Weighed {
    index: u32,
    pace: Pace,
    /// Requests in flight and the one to come, for the weight and the errors.
    load: u64,
    /// Until the request would be served, in microseconds.
    delay: u64,
    /// The same, or how long the oldest request has waited, for the errors.
    wait: u64,
}

/// Room to weigh candidates in, kept for its memory.
#[derive(Debug, Default)]
pub struct Scales {
    weighed: Vec<Weighed>,
    sorted: Vec<u64>,
}

impl Selection {
    /// The candidate where the request is expected to be served first, of all in a small pool, and in a large one of `sample`
    /// different ones, drawn evenly at random; none that keeps requests more than `slow` times as long as the median one
    /// does, nor one whose load is above the one at `quantile` of all loads.
    pub fn soonest(
        &self,
        sample: u32,
        quantile: f64,
        slow: f64,
        now: Instant,
        scales: &mut Scales,
    ) -> Option<u32> {
        self.weigh(sample, now, scales);
        scales.leave_out_stuck(slow);
        scales.choose(quantile)
    }

    fn weigh(&self, sample: u32, now: Instant, scales: &mut Scales) {
        let Scales { weighed, sorted } = scales;
        let now = Moment::from(now);
        self.draw_some(
            self.compared(sample),
            weighed,
            |one| one.index,
            |index| {
                let candidate = self.candidate(index)?;
                let pace = candidate.node.live.pace(now);
                let load = ((u64::from(pace.in_flight) + 1) << 24) / u64::from(candidate.weight.max(1));
                Some(Weighed { index, pace, load: penalised(load, pace.error_rate), delay: 0, wait: 0 })
            },
        );
        // A node of which nothing is known is taken to be as fast as the others: in-flight decides, so it gets its share.
        let mut typical = 1;
        if weighed.iter().any(|one| one.pace.service == 0) {
            sorted.clear();
            sorted.extend(weighed.iter().map(|one| u64::from(one.pace.service)).filter(|&known| known > 0));
            typical = at_share(sorted, 0.5).unwrap_or(1);
        }
        for one in weighed {
            let Pace { in_flight, service, oldest, error_rate } = one.pace;
            let service = if service == 0 { typical } else { u64::from(service) };
            one.delay = service * (u64::from(in_flight) + 1);
            one.wait = penalised(one.delay.max(u64::from(oldest)), error_rate);
        }
    }
}

impl Scales {
    fn leave_out_stuck(&mut self, slow: f64) {
        let longest = |usual: u64| ((usual as f64 * slow) as u64).max(SHORT_WAIT);
        let waits = self.weighed.iter().map(|one| one.wait);
        let (Some(least), Some(most)) = (waits.clone().min(), waits.clone().max()) else { return };
        // Mostly nobody is stuck, and the median, which is not below the least, need not be found to say so.
        if most <= longest(least) {
            return;
        }
        self.sorted.clear();
        self.sorted.extend(waits);
        let longest = longest(at_share(&mut self.sorted, 0.5).unwrap_or(0));
        self.weighed.retain(|one| one.wait <= longest);
    }

    fn choose(&mut self, quantile: f64) -> Option<u32> {
        let Scales { weighed, sorted } = self;
        let loads = weighed.iter().map(|one| one.load);
        let load = if quantile > 0.0 {
            sorted.clear();
            sorted.extend(loads);
            at_share(sorted, quantile)?
        } else {
            loads.min()?
        };
        let (cold, nearly) = (load.saturating_add(load / EQUAL), load.saturating_add(load / NEARLY_COLD));
        // One draw for all of them.
        let mut chance = Rng::with_seed(fastrand::u64(..));
        let mut blurred = |one: &&Weighed| {
            // A delay, up to twice as long at random: gateways and workers that know the same must not all choose the same
            // node, and an estimate is not better than that.
            one.delay.saturating_mul(1024 + (chance.u64(..) >> 54))
        };
        let best = weighed.iter().filter(|one| one.load <= cold).min_by_key(&mut blurred)?;
        let sooner = best.delay * SOONER / 1000;
        let is_better = |one: &&Weighed| one.load > cold && one.load <= nearly && one.delay <= sooner;
        Some(weighed.iter().filter(is_better).min_by_key(&mut blurred).unwrap_or(best).index)
    }
}

/// What this share of the values does not exceed; the lower one between two.
fn at_share(values: &mut [u64], share: f64) -> Option<u64> {
    let last = values.len().checked_sub(1)?;
    let place = (last as f64 * share) as usize;
    Some(*values.select_nth_unstable(place.min(last)).1)
}
