//! Who may be picked, and with which weight: tiers, slow start and panic. Pure.
//!
//! A later tier is used as far as the earlier ones lack healthy nodes. A tier with a healthy share h of its weight takes
//! 1.4 h of what the tiers before it left, so that a few lost nodes are made up for by their neighbours first. All of it
//! is said in weights, so that shares come out right whatever the policy: nodes of the first tier that is used keep
//! theirs, and those of the others are scaled.

/// A tier can carry so much more than its healthy part: with 72 % of its nodes it still carries all.
const OVERPROVISION: f64 = 1.4;

/// What is left of all the traffic by rounding alone.
const NOTHING: f64 = 1e-9;

/// One node, as an election sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    /// Whether it may be used as far as checks and traffic tell.
    pub(super) fit: bool,
    /// Whether it shall get nothing new.
    pub(super) draining: bool,
    pub(super) tier: u8,
    /// Its whole weight, in thousandths.
    pub(super) weight: u32,
    /// How much of it slow start allows now, in thousandths.
    pub(super) ramp: u32,
}

/// The outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Election {
    /// Whether too few nodes are healthy, so that all are used.
    pub(super) panic: bool,
    /// By place: the effective weight in thousandths, 0 for a node that may not be picked.
    pub(super) weights: Vec<u32>,
}

/// Elects among the nodes of a pool. It panics if in no tier `panic` percent of the nodes are fit.
pub(super) fn elect(stands: &[Stand], panic: u32) -> Election {
    let staying = || stands.iter().filter(|stand| !stand.draining);
    let mut tiers: Vec<u8> = staying().map(|stand| stand.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let is_well = |tier: &u8| {
        let (all, fit) = count(staying().filter(|stand| stand.tier == *tier));
        fit * 100 >= u64::from(panic) * all
    };
    if !tiers.iter().any(is_well) {
        let all = stands.iter().map(|stand| if stand.draining { 0 } else { stand.weight });
        return Election { panic: !tiers.is_empty(), weights: all.collect() };
    }
    let mut left = 1.0;
    let mut first = None;
    // For each tier by how much its weights are scaled; none where it gets nothing.
    let scales: Vec<(u8, f64)> = tiers
        .into_iter()
        .filter_map(|tier| {
            let (all, fit) = weigh(staying().filter(|stand| stand.tier == tier));
            let share = f64::min(left, OVERPROVISION * fit / all);
            left -= share;
            (share > NOTHING).then(|| (tier, share / fit / *first.get_or_insert(share / fit)))
        })
        .collect();
    let weight = |stand: &Stand| {
        let scale = scales.iter().find(|(tier, _)| *tier == stand.tier)?.1;
        let ramped = u64::from(stand.weight) * u64::from(stand.ramp) / 1000;
        (stand.fit && !stand.draining).then(|| ((ramped as f64 * scale).round() as u32).max(1))
    };
    Election { panic: false, weights: stands.iter().map(|stand| weight(stand).unwrap_or(0)).collect() }
}

/// How many there are, and how many of them are fit.
fn count<'a>(stands: impl Iterator<Item = &'a Stand>) -> (u64, u64) {
    stands.fold((0, 0), |(all, fit), stand| (all + 1, fit + u64::from(stand.fit)))
}

/// The weight of all, and of those that are fit.
fn weigh<'a>(stands: impl Iterator<Item = &'a Stand>) -> (f64, f64) {
    stands.fold((0.0, 0.0), |(all, fit), stand| {
        let weight = f64::from(stand.weight);
        (all + weight, fit + if stand.fit { weight } else { 0.0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIT: Stand = Stand { fit: true, draining: false, tier: 0, weight: 1000, ramp: 1000 };
    const UNFIT: Stand = Stand { fit: false, ..FIT };
    const BACKUP: Stand = Stand { tier: 1, ..FIT };

    fn weights(stands: &[Stand]) -> Vec<u32> {
        elect(stands, 50).weights
    }

    #[test]
    fn who_is_unfit_or_draining_is_not_elected() {
        let draining = Stand { draining: true, ..FIT };
        assert_eq!(weights(&[FIT, UNFIT, draining, FIT]), [1000, 0, 0, 1000]);
        assert_eq!(weights(&[draining]), [0], "draining all of a pool is no reason to use them");
        assert!(!elect(&[draining], 50).panic && !elect(&[], 50).panic);
    }

    #[test]
    fn slow_start_takes_from_the_weight() {
        let starting = Stand { weight: 2000, ramp: 100, ..FIT };
        assert_eq!(weights(&[FIT, starting]), [1000, 200]);
        assert_eq!(weights(&[Stand { weight: 1, ramp: 1, ..FIT }]), [1], "never nothing");
    }

    #[test]
    fn with_too_few_fit_nodes_all_are_used_and_nobody_starts_slowly() {
        let slow = Stand { ramp: 100, ..UNFIT };
        assert_eq!(elect(&[FIT, UNFIT], 50), Election { panic: false, weights: vec![1000, 0] });
        assert_eq!(elect(&[FIT, slow, UNFIT], 50), Election { panic: true, weights: vec![1000; 3] });
        assert_eq!(elect(&[UNFIT, UNFIT], 0), Election { panic: false, weights: vec![0; 2] }, "it is off");
        assert_eq!(elect(&[FIT, UNFIT], 100), Election { panic: true, weights: vec![1000; 2] });
    }

    #[test]
    fn a_later_tier_takes_what_earlier_ones_lack() {
        assert_eq!(weights(&[FIT, FIT, BACKUP]), [1000, 1000, 0]);
        let three_of_four = [FIT, FIT, FIT, UNFIT, BACKUP];
        assert_eq!(
            weights(&three_of_four),
            [1000, 1000, 1000, 0, 0],
            "its neighbours carry a lost node's load"
        );
        // Half of the tier carries 70 %: 350 each; the backup's 300 are scaled to that.
        assert_eq!(weights(&[FIT, FIT, UNFIT, UNFIT, BACKUP]), [1000, 1000, 0, 0, 857]);
        assert_eq!(weights(&[UNFIT, UNFIT, UNFIT, BACKUP]), [0, 0, 0, 1000], "no panic: the backup is well");
        let third = Stand { tier: 9, ..FIT };
        let unfit_backup = Stand { fit: false, ..BACKUP };
        assert_eq!(weights(&[UNFIT, unfit_backup, third]), [0, 0, 1000]);
    }

    fn stand() -> impl Strategy<Value = Stand> {
        (any::<bool>(), any::<bool>(), 0_u8..3, 1_u32..=100_000, 100_u32..=1000).prop_map(
            |(fit, draining, tier, weight, ramp)| Stand { fit, draining, tier, weight: weight * 1000, ramp },
        )
    }

    proptest! {
        #[test]
        fn whoever_is_elected_may_be(stands in proptest::collection::vec(stand(), 0..20), panic in 0_u32..=100) {
            let election = elect(&stands, panic);
            prop_assert_eq!(election.weights.len(), stands.len());
            for (stand, weight) in stands.iter().zip(&election.weights) {
                prop_assert!(*weight == 0 || !stand.draining);
                prop_assert!(*weight == 0 || stand.fit || election.panic);
                prop_assert!(*weight > 0 || !election.panic || stand.draining, "in panic nobody is left out");
            }
            let could = |stand: &Stand| !stand.draining && stand.fit;
            if stands.iter().any(could) {
                prop_assert!(election.weights.iter().any(|weight| *weight > 0), "someone serves if someone can");
            }
        }

        #[test]
        fn no_node_of_the_first_tier_that_is_fit_is_left_out(stands in proptest::collection::vec(stand(), 1..20)) {
            let election = elect(&stands, 0);
            let could = |stand: &&Stand| !stand.draining && stand.fit;
            let first = stands.iter().filter(could).map(|stand| stand.tier).min();
            for (stand, weight) in stands.iter().zip(&election.weights) {
                if could(&stand) && Some(stand.tier) == first {
                    prop_assert!(*weight > 0);
                }
            }
        }
    }
}
