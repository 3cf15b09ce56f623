//! One pick at a time: what each step of the rule does.

use std::time::Duration;

use bascule_plugin::testing::{Picked, PolicyTest, TestNode, json, request};

use super::Prequal;

const MS: Duration = Duration::from_millis(1);

fn pool() -> PolicyTest<Prequal> {
    PolicyTest::new(Prequal::default())
}

/// How many of 1,000 picks go to a node.
fn share(test: &mut PolicyTest<Prequal>, id: &'static str) -> usize {
    (0..1000).filter(|_| test.pick(&request("GET", "/")) == Picked::Node(id)).count()
}

/// A node as most are: it takes 10 ms.
fn usual(node: TestNode) -> TestNode {
    node.service(MS * 10).latency(MS * 10)
}

#[test]
fn the_least_loaded_are_cold_and_the_fastest_of_them_serves() {
    let mut test = pool()
        .node("busy", |node| node.service(MS).in_flight(2))
        .node("slow", |node| usual(node).service(MS * 35).in_flight(1))
        .node("fast", |node| usual(node).in_flight(1));
    assert_eq!(share(&mut test, "fast"), 1000);
}

#[test]
fn what_is_nearly_as_fast_takes_turns() {
    let mut test = pool()
        .node("a", usual)
        .node("b", |node| node.service(MS * 12))
        .node("c", |node| node.service(MS * 15));
    let shares = ["a", "b", "c"].map(|id| share(&mut test, id));
    assert!(shares[0] > shares[1] && shares[1] > shares[2] && shares[2] > 0, "{shares:?}");
}

#[test]
fn load_is_for_the_weight() {
    let mut test = pool()
        .node("light", |node| usual(node).in_flight(1))
        .node("heavy", |node| usual(node).in_flight(3).weight(4));
    assert_eq!(share(&mut test, "heavy"), 1000, "(3 + 1) / 4 is less than (1 + 1) / 1");
}

#[test]
fn a_node_that_is_slower_by_far_gets_nothing_even_if_it_is_idle() {
    let mut test = pool()
        .node("far", |node| node.service(MS * 200))
        .node("a", |node| usual(node).in_flight(2))
        .node("b", |node| usual(node).in_flight(2));
    assert_eq!(share(&mut test, "far"), 0);
    test.change("far", |node| node.service(MS * 100));
    assert_eq!(share(&mut test, "far"), 1000, "three times the usual wait is no reason to leave it idle");
}

#[test]
fn a_node_that_hangs_is_noticed_by_its_oldest_request() {
    let mut test = pool()
        .node("hangs", |node| usual(node).in_flight(1).oldest(MS * 200))
        .node("a", |node| usual(node).in_flight(2).oldest(MS * 12))
        .node("b", |node| usual(node).in_flight(2).oldest(MS * 3));
    assert_eq!(share(&mut test, "hangs"), 0);
    for id in ["a", "b"] {
        test.change(id, |node| node.in_flight(9).oldest(MS * 70));
    }
    assert_eq!(share(&mut test, "hangs"), 1000, "where all requests are that old, it is the least loaded");
}

#[test]
fn a_wait_below_what_clocks_can_tell_is_not_long() {
    let mut test = pool()
        .node("young", |node| node.service(MS / 10).in_flight(1).oldest(MS * 2))
        .node("a", |node| node.service(MS / 10).in_flight(2))
        .node("b", |node| node.service(MS / 10).in_flight(2));
    assert_eq!(share(&mut test, "young"), 1000);
}

#[test]
fn a_node_that_fails_fast_does_not_attract() {
    let mut test = pool().node("broken", |node| node.service(MS / 10).error_rate(1.0));
    for id in 0..5 {
        test = test.node(&format!("{id}"), |node| usual(node).in_flight(10));
    }
    assert_eq!(share(&mut test, "broken"), 0);
    test.change("broken", |node| node.error_rate(0.3));
    assert_eq!(share(&mut test, "broken"), 1000, "the rate has faded: it may try again");
}

#[test]
fn a_few_errors_do_not_decide() {
    let mut test = pool()
        .node("slow", |node| node.service(MS * 30))
        .node("fast", |node| node.service(MS).error_rate(0.02));
    assert_eq!(share(&mut test, "fast"), 1000);
}

#[test]
fn a_new_node_is_neither_starved_nor_flooded() {
    let mut test = pool().node("new", |node| node);
    for id in 0..3 {
        test = test.node(&format!("{id}"), usual);
    }
    assert!((200..300).contains(&share(&mut test, "new")), "it counts as fast as the others");
    test.change("new", |node| node.in_flight(1));
    assert_eq!(share(&mut test, "new"), 0, "while it has not answered it gets no more than they have");
}

#[test]
fn unknown_nodes_share_evenly() {
    let mut test = pool().nodes(["a", "b"]);
    assert!((400..600).contains(&share(&mut test, "a")));
}

#[test]
fn a_large_pool_is_sampled() {
    let mut test = pool().node("idle", |node| node);
    for id in 0..999 {
        test = test.node(&format!("{id}"), |node| usual(node).in_flight(1));
    }
    // A fair sample of 16 has any one node in 1.6 % of the picks.
    assert!((8..26).contains(&share(&mut test, "idle")));
    assert_eq!(test.full_scans(), 0);
}

#[test]
fn the_papers_quantile_can_be_had() {
    let mut test = PolicyTest::<Prequal>::configured(json!({ "quantile": 0.84 })).expect("it is right");
    test = test.node("idle", |node| node.service(MS * 90)).node("hot", |node| node.service(MS).in_flight(20));
    for id in 0..6 {
        test = test.node(&format!("{id}"), |node| usual(node).in_flight(3));
    }
    assert_eq!((share(&mut test, "idle"), share(&mut test, "hot")), (0, 0), "among the cold, delay decides");
}

#[test]
fn one_candidate_is_picked_and_none_is_no_opinion() {
    assert_eq!(pool().nodes(["only"]).pick(&request("GET", "/")), Picked::Node("only"));
    assert_eq!(pool().pick(&request("GET", "/")), Picked::Abstain);
}

#[test]
fn wrong_keys_are_refused_in_words() {
    let error = |config| PolicyTest::<Prequal>::configured(config).expect_err("it is wrong");
    let sample = "sample: write how many candidates of a large pool are compared, 2 to 100";
    assert_eq!(error(json!({ "sample": 1 })), sample);
    assert_eq!(error(json!({ "quantile": 1.1 })), "quantile: write a share, 0.0 to 1.0");
    assert_eq!(
        error(json!({ "slow": 0.5 })),
        "slow: write how many times the usual wait is too long, 1.0 to 1000.0"
    );
    assert!(error(json!({ "probes": 3 })).starts_with("probes: unknown key `probes`"));
}
