//! Of two random candidates, the one where the request is expected to wait less: latency, times the requests in
//! flight with the one to come, for the weight, and dearer the more attempts fail.
//!
//! Two random choices avoid the herds that the best of all attracts (Mitzenmacher 2001), and cost the same in any pool.
//! The host's latency rises at once and sinks slowly, so one slow answer is enough to be noticed. A node need
//! not even answer for that: where its oldest request waits longer than the latency says, that wait is the latency.

use bascule_plugin::prelude::*;

/// The policy. It has no keys and keeps no state.
#[derive(Debug)]
pub struct PowerOfTwo;

impl Balancer for PowerOfTwo {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let pair = nodes.two_random();
        let mut drawn = pair.iter();
        let (Some(first), Some(second)) = (drawn.next(), drawn.next()) else {
            return Choice::Abstain;
        };
        if wait(&second, &first) < wait(&first, &second) { second.into() } else { first.into() }
    }
}

/// What a request would wait for at this node, in microseconds times a thousand. A node that nobody knows yet is taken
/// to be as fast as the other: requests in flight decide, so it gets its share, and no more while it has not answered.
fn wait(node: &Node, other: &Node) -> u64 {
    let latency = node.latency().or(other.latency()).unwrap_or(1).max(node.oldest());
    let queue = u64::from(latency) * (u64::from(node.in_flight()) + 1);
    node.penalised(queue.saturating_mul(1000) / u64::from(node.weight()))
}

bascule_plugin::export!(PowerOfTwo: balancer);

#[cfg(test)]
mod simulated;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bascule_plugin::testing::{Picked, PolicyTest, request};

    use super::PowerOfTwo;

    const MS: Duration = Duration::from_millis(1);

    /// How many of 1,000 picks go to a node.
    fn share(test: &mut PolicyTest<PowerOfTwo>, id: &'static str) -> usize {
        (0..1000).filter(|_| test.pick(&request("GET", "/")) == Picked::Node(id)).count()
    }

    fn pair() -> PolicyTest<PowerOfTwo> {
        PolicyTest::new(PowerOfTwo)
    }

    #[test]
    fn the_faster_of_two_is_picked() {
        let mut test = pair().node("slow", |node| node.latency(MS * 9)).node("fast", |node| node.latency(MS));
        assert!(share(&mut test, "fast") == 1000);
    }

    #[test]
    fn a_queue_is_worth_its_latency() {
        let mut test = pair()
            .node("fast", |node| node.latency(MS).in_flight(9))
            .node("slow", |node| node.latency(MS * 4).in_flight(1));
        assert!(share(&mut test, "slow") == 1000, "10 x 1 ms is more than 2 x 4 ms");
    }

    #[test]
    fn a_heavier_node_takes_more() {
        let mut test = pair()
            .node("light", |node| node.latency(MS).in_flight(1))
            .node("heavy", |node| node.latency(MS).in_flight(2).weight(4));
        assert!(share(&mut test, "heavy") == 1000);
    }

    #[test]
    fn errors_do_not_attract() {
        let mut test = pair()
            .node("broken", |node| node.latency(MS / 10).error_rate(1.0))
            .node("good", |node| node.latency(MS * 5).in_flight(10));
        assert!(share(&mut test, "good") == 1000);
    }

    #[test]
    fn a_node_that_got_stuck_is_noticed_before_it_answers() {
        let mut test = pair()
            .node("stuck", |node| node.latency(MS).in_flight(1).oldest(MS * 900))
            .node("good", |node| node.latency(MS * 10).in_flight(3).oldest(MS * 5));
        assert!(share(&mut test, "good") == 1000);
    }

    #[test]
    fn a_new_node_is_neither_starved_nor_flooded() {
        let mut test = pair().node("known", |node| node.latency(MS).in_flight(2)).node("new", |node| node);
        assert!(share(&mut test, "new") == 1000, "it is idle, so it is tried");
        test.change("new", |node| node.in_flight(3).oldest(MS / 100));
        assert!(share(&mut test, "known") == 1000, "it has not answered, so it gets no more");
    }

    #[test]
    fn unknown_nodes_share_evenly() {
        let mut test = pair().nodes(["a", "b"]);
        assert!((400..600).contains(&share(&mut test, "a")));
    }

    #[test]
    fn one_candidate_is_picked_and_none_is_no_opinion() {
        assert_eq!(pair().nodes(["only"]).pick(&request("GET", "/")), Picked::Node("only"));
        assert_eq!(pair().pick(&request("GET", "/")), Picked::Abstain);
    }
}
