#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::node::live::AttemptResult;
use crate::node::testing::{candidate, pool};

fn select(candidates: Candidates) -> Selection {
    let mut selection = Selection::default();
    selection.begin(Arc::new(Arc::new(candidates)));
    selection
}

fn ids(selection: &Selection) -> Vec<&str> {
    let candidates = (0..selection.count()).map(|index| selection.candidate(index).unwrap());
    candidates.map(|candidate| &*candidate.node.spec.id).collect()
}

/// How often each node comes up.
fn tally(selection: &Selection, times: u32, draw: impl Fn() -> u32) -> BTreeMap<String, u32> {
    let mut tally = BTreeMap::new();
    for _ in 0..times {
        let id = selection.candidate(draw()).unwrap().node.spec.id.to_string();
        *tally.entry(id).or_default() += 1;
    }
    tally
}

#[test]
fn without_candidates_nothing_is_chosen() {
    let now = Instant::now();
    for selection in [Selection::default(), select(pool(&[]))] {
        assert_eq!((selection.count(), selection.load(0, now)), (0, None));
        assert!(selection.two_random(now).is_none() && selection.candidate(0).is_none());
        assert_eq!(selection.soonest(16, 0.0, 4.0, now, &mut Scales::default()), None);
        assert_eq!((selection.by_hash(b"key"), selection.by_hash_bounded(b"key", 125)), (None, None));
        assert_eq!((selection.round_robin(&Cell::new(7)), selection.find("n0")), (None, None));
        let mut out = Vec::new();
        selection.sample(4, now, &mut out);
        assert!(out.is_empty());
    }
}

#[test]
fn a_keep_counts_for_the_next_policy_and_ends_with_the_attempt() {
    let mut selection = select(pool(&[1000; 5]));
    selection.keep(&[3, 1, 3, 99]);
    assert_eq!(ids(&selection), ["n0", "n1", "n2", "n3", "n4"], "the policy that keeps still sees all");
    selection.settle();
    assert_eq!(ids(&selection), ["n1", "n3"]);
    assert_eq!((selection.find("n3"), selection.find("n0")), (Some(1), None));

    selection.keep(&[0]);
    selection.undo_keep();
    selection.settle();
    assert_eq!(ids(&selection), ["n1", "n3"], "a fault undoes its own keep only");
    selection.keep(&[99]);
    selection.settle();
    assert_eq!(ids(&selection), ["n1", "n3"], "nothing is not kept");
    selection.keep(&[1]);
    selection.settle();
    assert_eq!(ids(&selection), ["n3"]);

    selection.next_attempt(0);
    assert_eq!(ids(&selection), ["n0", "n1", "n2", "n4"]);
}

#[test]
fn draining_nodes_are_found_and_never_drawn() {
    let draining = vec![candidate("old", 1000), candidate("older", 1000)];
    let mut selection = select(Candidates::new(vec![candidate("a", 1000), candidate("b", 1000)], draining));
    let old = selection.find("old").unwrap();
    assert!(old >= selection.count());
    assert_eq!(&*selection.candidate(old).unwrap().node.spec.id, "old");
    assert_eq!(ids(&selection), ["a", "b"]);

    selection.next_attempt(selection.find("a").unwrap());
    let older = selection.find("older").unwrap();
    assert_eq!(&*selection.candidate(older).unwrap().node.spec.id, "older");
    selection.next_attempt(older);
    assert_eq!(selection.find("older"), None, "it was tried");
    assert_eq!(ids(&selection), ["b"], "and a draining one takes no candidate away");
    assert!(selection.find("old").is_some());
}

#[test]
fn round_robin_is_smooth_and_weighted() {
    let selection = select(pool(&[5000, 1000, 1000]));
    let turn = Cell::new(0);
    let picks: Vec<u32> = (0..7).map(|_| selection.round_robin(&turn).unwrap()).collect();
    assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0], "nginx's own example");

    let selection = select(pool(&[700; 3]));
    let picks: Vec<u32> = (0..6).map(|_| selection.round_robin(&turn).unwrap()).collect();
    assert_eq!(picks, [1, 2, 0, 1, 2, 0], "equal weights take turns");
}

#[test]
fn another_attempt_is_drawn_by_weight_and_takes_no_turn() {
    let mut selection = select(pool(&[5000, 3000, 1000]));
    selection.next_attempt(0);
    let turn = Cell::new(7);
    let tally = tally(&selection, 4000, || selection.round_robin(&turn).unwrap());
    assert!(tally.len() == 2 && (2800..3200).contains(&tally["n1"]), "{tally:?}");
    assert_eq!(turn.get(), 7);
}

#[test]
fn another_node_is_one_that_was_not_tried() {
    let draining = vec![candidate("old", 1000)];
    let mut selection = select(Candidates::new(vec![candidate("a", 1000), candidate("b", 1000)], draining));
    let any = |_: &Candidate| true;
    assert!(selection.has_other(0, any) && !selection.has_other(0, |_| false));
    selection.keep(&[0]);
    selection.settle();
    assert!(selection.has_other(0, any), "what a policy kept is for one pick");
    selection.next_attempt(0);
    let old = selection.find("old").unwrap();
    assert!(selection.has_other(old, any), "beside a draining node there is the one that is left");
    assert!(!selection.has_other(0, any));
    assert!(!Selection::default().has_other(0, any));

    let tiers =
        Candidates::with_reserve(vec![candidate("a", 1000)], Vec::new(), vec![candidate("later", 1000)]);
    assert!(select(tiers).has_other(0, any), "a later tier serves when the first was tried");
}

#[test]
fn round_robin_passes_over_what_was_not_kept() {
    let turn = Cell::new(0);
    let mut selection = select(pool(&vec![1000; 1000]));
    selection.keep(&[500, 501]);
    selection.settle();
    let tally_of = tally(&selection, 1000, || selection.round_robin(&turn).unwrap());
    assert!(tally_of.len() == 2 && tally_of.values().all(|&times| times > 400), "{tally_of:?}");
}

#[test]
fn rounded_turns_keep_their_proportions() {
    // The sum of these is far above the longest order.
    let selection = select(pool(&[999_983, 500_009, 1]));
    let turn = Cell::new(0);
    let tally = tally(&selection, 4096, || selection.round_robin(&turn).unwrap());
    assert!((2700..2760).contains(&tally["n0"]) && (1340..1390).contains(&tally["n1"]), "{tally:?}");
    assert!(tally["n2"] <= 2, "{tally:?}");
}

#[test]
fn two_random_are_two_in_proportion_to_their_weights() {
    fastrand::seed(1);
    let now = Instant::now();
    let mut selection = select(pool(&[1000, 9_000_000, 2000, 1000]));
    selection.next_attempt(1);
    for _ in 0..1000 {
        let (one, other) = selection.two_random(now).unwrap();
        assert_ne!(one.node, other.node);
    }
    let tally = tally(&selection, 10_000, || selection.two_random(now).unwrap().0.node);
    assert!((4800..5200).contains(&tally["n2"]) && (2300..2700).contains(&tally["n0"]), "{tally:?}");

    selection.next_attempt(0);
    selection.next_attempt(0);
    let (one, other) = selection.two_random(now).unwrap();
    assert_eq!((one.node, other.node), (0, 0), "the last one is drawn twice");
}

#[test]
fn samples_are_different_and_even() {
    fastrand::seed(2);
    let (now, mut out) = (Instant::now(), Vec::new());
    let mut selection = select(pool(&(1..=10).map(|weight| weight * 1000).collect::<Vec<_>>()));
    selection.next_attempt(4);
    let mut tally = BTreeMap::<u32, u32>::new();
    for _ in 0..3000 {
        selection.sample(3, now, &mut out);
        assert_eq!(out.iter().map(|load| load.node).collect::<BTreeSet<_>>().len(), 3);
        out.iter().for_each(|load| *tally.entry(load.node).or_default() += 1);
    }
    assert!(tally.len() == 9 && tally.values().all(|times| (880..1120).contains(times)), "{tally:?}");
    selection.sample(100, now, &mut out);
    assert_eq!(out.len(), 9, "a small pool is told whole");
}

#[test]
fn bounded_hashing_spills_over_only_when_its_node_has_more_than_its_share() {
    let now = Instant::now();
    let selection = select(pool(&[1000; 4]));
    let owner = selection.by_hash(b"hot").unwrap();
    let begin = |index: u32| selection.candidate(index).unwrap().node.begin(now);
    let mut in_flight = vec![begin(owner), begin(owner)];
    let spill = selection.by_hash_bounded(b"hot", 125).unwrap();
    assert_ne!(spill, owner, "a third would be more than 1.25 of 3/4");
    in_flight.extend((0..4).filter(|&index| index != owner).flat_map(|index| [begin(index), begin(index)]));
    assert_eq!(
        selection.by_hash_bounded(b"hot", 125),
        Some(owner),
        "now all have two: 3 is within 1.25 x 9/4"
    );
    assert!(selection.by_hash_bounded(b"hot", 0).is_some(), "an impossible bound still finds a node");

    // The rule of the paper: however skewed the keys are, no node has more than the bound.
    let mut in_flight: Vec<_> = Vec::new();
    let selection = select(pool(&[1000, 1000, 2000]));
    for _ in 0..400 {
        let index = selection.by_hash_bounded(b"hot", 125).unwrap();
        in_flight.push(selection.candidate(index).unwrap().node.begin(now));
    }
    let of = |index: u32| selection.candidate(index).unwrap().node.live.in_flight();
    assert!(of(0) <= 126 && of(1) <= 126 && of(2) <= 251, "{} {} {}", of(0), of(1), of(2));
}

#[test]
fn hashing_goes_on_to_the_next_node_for_what_was_tried() {
    let mut selection = select(pool(&[1000; 20]));
    let owner_of = |selection: &Selection, key: u32| {
        let index = selection.by_hash(&key.to_le_bytes()).unwrap();
        selection.candidate(index).unwrap().node.spec.id.clone()
    };
    let before: Vec<_> = (0..2000).map(|key| owner_of(&selection, key)).collect();
    selection.next_attempt(7);
    for (key, owner) in before.iter().enumerate() {
        let now = owner_of(&selection, key as u32);
        assert_ne!(&*now, "n7");
        assert!(&now == owner || &**owner == "n7", "only the keys of the one that is gone move");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Try(u32),
    Keep(Vec<u32>),
}

proptest! {
    #[test]
    fn indices_stay_dense_and_true_through_tries_and_keeps(
        count in 1..12_usize,
        equal: bool,
        steps in prop::collection::vec(
            prop_oneof![
                (0..14_u32).prop_map(Step::Try),
                prop::collection::vec(0..14_u32, 0..6).prop_map(Step::Keep),
            ],
            0..8,
        ),
    ) {
        let now = Instant::now();
        let weights: Vec<u32> = (0..count as u32).map(|index| if equal { 1000 } else { 500 + index * 700 }).collect();
        let mut selection = select(pool(&weights));
        // What should be left, by the plainest means.
        let mut untried: Vec<u32> = (0..count as u32).collect();
        let mut left = untried.clone();
        for step in steps {
            match step {
                Step::Try(index) => {
                    if let Some(&tried) = left.get(index as usize) {
                        untried.retain(|&node| node != tried);
                    }
                    selection.next_attempt(index);
                    left = untried.clone();
                }
                Step::Keep(indices) => {
                    selection.keep(&indices);
                    selection.settle();
                    let chosen = |place: &usize| indices.contains(&(*place as u32));
                    let kept: Vec<u32> = (0..left.len()).filter(chosen).map(|place| left[place]).collect();
                    if !kept.is_empty() {
                        left = kept;
                    }
                }
            }
            let expected: Vec<String> = left.iter().map(|node| format!("n{node}")).collect();
            prop_assert_eq!(ids(&selection), expected.iter().map(String::as_str).collect::<Vec<_>>());
            for node in 0..count as u32 {
                let place = left.iter().position(|&other| other == node).map(|place| place as u32);
                prop_assert_eq!(selection.find(&format!("n{node}")), place);
            }
            let inside = |index: Option<u32>| index.is_some_and(|index| (index as usize) < left.len());
            prop_assert_eq!(inside(selection.round_robin(&Cell::new(3))), !left.is_empty());
            prop_assert_eq!(inside(selection.by_hash(b"key")), !left.is_empty());
            prop_assert_eq!(inside(selection.by_hash_bounded(b"key", 125)), !left.is_empty());
            for _ in 0..20 {
                let drawn = selection.two_random(now).map(|(one, other)| (one.node, other.node));
                prop_assert_eq!(inside(drawn.map(|pair| pair.0)), !left.is_empty());
                prop_assert!(drawn.is_none_or(|(one, other)| inside(Some(other)) && (one != other || left.len() == 1)));
            }
        }
    }
}

#[test]
fn the_least_loaded_is_for_the_weight_and_ties_are_drawn() {
    let now = Instant::now();
    let selection = select(pool(&[1000, 1000, 4000]));
    let mut scratch = Vec::new();
    let begin = |index| selection.candidate(index).unwrap().node.begin(now);
    let _one_on_each_light_node = (begin(0), begin(1));
    let _three_on_the_heavy_one = [begin(2), begin(2), begin(2)];
    assert_eq!(selection.least_loaded(8, now, &mut scratch), Some(2), "(3 + 1) / 4 is less than (1 + 1) / 1");
    let _more = [begin(2), begin(2), begin(2), begin(2), begin(2)];
    let counts = tally(&selection, 2000, || selection.least_loaded(8, now, &mut Vec::new()).unwrap());
    assert!(counts.len() == 2 && counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    assert_eq!(select(pool(&[])).least_loaded(8, now, &mut scratch), None);
}

#[test]
fn the_least_loaded_is_none_that_fails() {
    let now = Instant::now();
    let selection = select(pool(&[1000; 2]));
    let node = &selection.candidate(0).unwrap().node;
    (0..100).for_each(|_| node.begin(now).observe(now, AttemptResult::Failed));
    let busy = &selection.candidate(1).unwrap().node;
    let _in_flight: Vec<_> = (0..20).map(|_| busy.begin(now)).collect();
    assert!((0..100).all(|_| selection.least_loaded(8, now, &mut Vec::new()) == Some(1)));
}

#[test]
fn the_least_loaded_of_a_large_pool_is_that_of_a_sample() {
    let now = Instant::now();
    let selection = select(pool(&[1000; 1000]));
    let _busy: Vec<_> = (1..1000).map(|index| selection.candidate(index).unwrap().node.begin(now)).collect();
    let found = (0..4000).filter(|_| selection.least_loaded(8, now, &mut Vec::new()) == Some(0)).count();
    // A fair sample of 8 has any one node in 0.8 % of the draws: 32 of 4,000.
    assert!((12..60).contains(&found), "{found}");
}

#[test]
fn what_is_left_out_is_no_candidate_until_it_starts_over() {
    let mut selection = select(pool(&[1000, 2000, 3000, 4000]));
    selection.keep(&[1, 2]);
    selection.settle();
    assert!(selection.any(|candidate| candidate.weight == 3000));
    assert!(!selection.any(|candidate| candidate.weight == 4000), "it is not kept");
    selection.leave_out_unless(|candidate| candidate.weight > 2000);
    assert_eq!(ids(&selection), ["n2", "n3"], "what was kept is forgotten, as after an attempt");
    selection.next_attempt(0);
    selection.leave_out_unless(|_| true);
    assert_eq!(ids(&selection), ["n3"], "what was tried stays tried");
    selection.leave_out_unless(|_| false);
    assert_eq!((selection.count(), selection.find("n3")), (0, None));
    selection.start_over();
    assert_eq!(ids(&selection), ["n0", "n1", "n2", "n3"]);
}

/// Gives the candidate of this index a latency, by one request.
fn answer_after(selection: &Selection, index: u32, since: Instant, micros: u64) {
    let mut request = selection.candidate(index).unwrap().node.begin(since);
    request.observe(since + Duration::from_micros(micros), AttemptResult::Ok);
}

#[test]
fn the_quicker_of_two_is_where_a_request_waits_less() {
    let start = Instant::now();
    let now = start + Duration::from_millis(10);
    let selection = select(pool(&[1000; 2]));
    let is_always = |index, now| (0..50).all(|_| selection.quicker_of_two(now) == Some(index));
    answer_after(&selection, 0, start, 1_000);
    let node = |index| &selection.candidate(index).unwrap().node;
    let _one_at_the_new_node = node(1).begin(now);
    assert!(is_always(0, now), "one that nobody knows is as fast as the other, and busier");
    answer_after(&selection, 1, start, 9_000);
    let _four_at_the_fast_one: Vec<_> = (0..4).map(|_| node(0).begin(now)).collect();
    assert!(is_always(0, now), "5 x 1 ms are less than 2 x 9 ms");
    assert_eq!(select(pool(&[])).quicker_of_two(now), None);
    assert_eq!(select(pool(&[1000])).quicker_of_two(now), Some(0));
}

#[test]
fn the_quicker_of_two_is_for_the_weight_and_none_that_fails_or_hangs() {
    let start = Instant::now();
    let selection = select(pool(&[1000, 4000]));
    let is_always = |index, now| (0..50).all(|_| selection.quicker_of_two(now) == Some(index));
    let node = |index| &selection.candidate(index).unwrap().node;
    let equal = select(pool(&[1000; 2]));
    assert_eq!(tally(&equal, 200, || equal.quicker_of_two(start).unwrap()).len(), 2, "equal ones share");

    let _one_on_the_light_node = node(0).begin(start);
    let _two_on_the_heavy_one = [node(1).begin(start), node(1).begin(start)];
    assert!(is_always(1, start), "(2 + 1) / 4 is less than (1 + 1) / 1");
    (0..100).for_each(|_| node(1).begin(start).observe(start, AttemptResult::Failed));
    assert!(is_always(0, start), "one that fails is dear");

    let selection = select(pool(&[1000; 2]));
    let _hangs = selection.candidate(0).unwrap().node.begin(start);
    let now = start + Duration::from_secs(1);
    let _busy: Vec<_> = (0..9).map(|_| selection.candidate(1).unwrap().node.begin(now)).collect();
    assert!((0..50).all(|_| selection.quicker_of_two(now) == Some(1)), "one that waits for a second is slow");
}
