//! Each node in turn, in proportion to its weight, and evenly spaced: with weights 5, 1 and 1 it goes
//! a b a a a c a and not a a a a a b c.
//!
//! Every node has a next turn on a line of virtual time; the earliest is picked, and its next turn is one stride
//! later, the shorter the heavier the node. A heap finds the earliest, so that a pick among 1,000 nodes costs about
//! ten comparisons. The weight is read when a node has its turn, so a new weight needs no new schedule.

mod schedule;

use bascule_plugin::prelude::*;
use schedule::Schedule;

/// Enough for the pools and the zones of one use; beyond it the schedule that was not used for longest goes.
const SCHEDULES: usize = 64;

/// The policy: a schedule for each pool and number of candidates. One use may serve many pools, and a policy before
/// this one may narrow their candidates in turn.
#[derive(Debug, Default)]
pub struct RoundRobin {
    /// By the hash of a pool's name; the last used stands first.
    schedules: Vec<(u64, Schedule)>,
}

impl Lifecycle for RoundRobin {
    type Config = NoConfig;

    fn configure(_config: NoConfig) -> Result<Self, String> {
        Ok(Self::default())
    }
}

impl Balancer for RoundRobin {
    fn pick(&mut self, request: &Request, nodes: &Nodes) -> Choice {
        let (count, pool) = (nodes.count(), request.pool_hash());
        let known = self.schedules.iter().position(|(of, known)| known.len() == count && *of == pool);
        match known {
            Some(place) => self.schedules[..=place].rotate_right(1),
            // A retry has fewer candidates for once: its own schedule would be made and thrown away.
            None if request.attempt() > 1 => return nodes.two_random().iter().next().into(),
            None => {
                self.schedules.truncate(SCHEDULES - 1);
                self.schedules.insert(0, (pool, Schedule::new(nodes)));
            }
        }
        self.schedules[0].1.next().into()
    }
}

bascule_plugin::export!(RoundRobin: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bascule_plugin::testing::{Picked, PolicyTest, TestRequest, json, request};

    use super::RoundRobin;

    fn policy() -> PolicyTest<RoundRobin> {
        PolicyTest::configured(json!({})).expect("it has no keys")
    }

    fn picks(test: &mut PolicyTest<RoundRobin>, request: &TestRequest, count: usize) -> Vec<&'static str> {
        let pick = |_| match test.pick(request) {
            Picked::Node(id) => id,
            other => panic!("{other:?}"),
        };
        (0..count).map(pick).collect()
    }

    fn counts(picks: &[&'static str]) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for id in picks {
            *counts.entry(*id).or_default() += 1;
        }
        counts
    }

    #[test]
    fn each_in_turn() {
        let mut test = policy().nodes(["a", "b", "c"]);
        let seen = picks(&mut test, &request("GET", "/"), 9);
        assert_eq!(counts(&seen[..3]), [("a", 1), ("b", 1), ("c", 1)].into());
        assert_eq!(seen[..3], seen[3..6]);
        assert_eq!(seen[..3], seen[6..]);
    }

    #[test]
    fn weights_are_kept_in_every_window() {
        for seed in 0..100 {
            let mut test = policy()
                .node("a", |node| node.weight(5))
                .node("b", |node| node.weight(1))
                .node("c", |node| node.weight(1))
                .seed(seed);
            let seen = picks(&mut test, &request("GET", "/"), 70);
            for window in seen.windows(7) {
                assert_eq!(counts(window), [("a", 5), ("b", 1), ("c", 1)].into());
            }
            let longest = seen.split(|id| *id != "a").map(<[_]>::len).max();
            assert_eq!(longest, Some(3), "the turns are spaced: {seen:?}");
        }
    }

    #[test]
    fn nodes_of_one_weight_are_apart_whatever_it_is() {
        for (weight, seed) in [(1.0, 1), (3.0, 2), (0.5, 3), (400.0, 4)] {
            let mut test = policy().seed(seed);
            for id in ["a", "b", "c", "d"] {
                test = test.node(id, |node| node.weight(weight));
            }
            test = test.node("light", |node| node.weight(weight / 2.0));
            let seen = picks(&mut test, &request("GET", "/"), 900);
            assert_eq!(counts(&seen)["light"], 100);
            assert!(!seen.windows(2).any(|two| two[0] == two[1]), "{weight}: {seen:?}");
        }
    }

    #[test]
    fn instances_do_not_all_start_with_the_same_node() {
        let first = |seed| {
            let mut test = policy().nodes(["a", "b", "c", "d"]).seed(seed);
            picks(&mut test, &request("GET", "/"), 1)[0]
        };
        let starts: Vec<_> = (0..400).map(first).collect();
        assert!(counts(&starts).values().all(|count| (60..140).contains(count)), "{:?}", counts(&starts));
    }

    #[test]
    fn a_retry_disturbs_nobodys_turn() {
        let mut test = policy().nodes(["a", "b", "c"]);
        let plain = request("GET", "/");
        let before = picks(&mut test, &plain, 3);
        let retried = picks(&mut test, &plain.clone().tried("a"), 30);
        assert!(!retried.contains(&"a"));
        assert_eq!(picks(&mut test, &plain, 3), before);
        assert_eq!(test.full_scans(), 1);
    }

    #[test]
    fn pools_that_share_a_use_have_their_own_turns() {
        let mut test = policy().nodes(["a", "b"]);
        let (one, other) = (request("GET", "/").pool("one"), request("GET", "/").pool("other"));
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.extend(picks(&mut test, &one, 1));
            picks(&mut test, &other, 1);
        }
        assert_eq!(counts(&seen), [("a", 5), ("b", 5)].into());
    }

    #[test]
    fn a_new_weight_counts_without_a_new_schedule() {
        let mut test = policy().nodes(["a", "b"]);
        picks(&mut test, &request("GET", "/"), 4);
        test.change("a", |node| node.weight(3));
        picks(&mut test, &request("GET", "/"), 4);
        assert_eq!(counts(&picks(&mut test, &request("GET", "/"), 40)), [("a", 30), ("b", 10)].into());
        assert_eq!(test.full_scans(), 1);
    }

    #[test]
    fn nodes_that_come_and_go_get_their_share() {
        let mut test = policy().nodes(["a", "b", "c"]);
        picks(&mut test, &request("GET", "/"), 5);
        test.remove("b");
        assert_eq!(counts(&picks(&mut test, &request("GET", "/"), 10)), [("a", 5), ("c", 5)].into());
        let mut test = test.nodes(["d", "e"]);
        let seen = counts(&picks(&mut test, &request("GET", "/"), 40));
        assert_eq!(seen, [("a", 10), ("c", 10), ("d", 10), ("e", 10)].into());
    }

    #[test]
    fn a_thousand_nodes_are_listed_once() {
        let mut test = policy().nodes((0..1000).map(|id| id.to_string()));
        let seen = picks(&mut test, &request("GET", "/"), 2000);
        assert!(counts(&seen).values().all(|count| *count == 2));
        assert_eq!(test.full_scans(), 1);
    }

    #[test]
    fn many_pools_are_forgotten_in_turn() {
        let mut test = policy().nodes(["a", "b"]);
        for pool in 0..200 {
            picks(&mut test, &request("GET", "/").pool(&format!("pool-{pool}")), 1);
        }
        assert_eq!(test.plugin().schedules.len(), super::SCHEDULES);
    }

    #[test]
    fn without_candidates_it_abstains() {
        assert_eq!(policy().pick(&request("GET", "/")), Picked::Abstain);
    }
}
