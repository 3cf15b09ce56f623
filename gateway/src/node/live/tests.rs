#![allow(clippy::unwrap_used)]

use super::*;
use crate::node::testing::node;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// One attempt of this length that ends at `end`.
fn attempt(node: &Arc<Node>, end: Instant, length: Duration, result: AttemptResult) {
    node.begin(end - length).observe(end, result);
}

#[test]
fn latency_jumps_up_at_once_and_comes_down_with_time() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    assert_eq!(node.live.latency(start), 0, "unknown");
    attempt(&node, start, 5 * MILLI, AttemptResult::Ok);
    assert_eq!(node.live.latency(start), 5000);
    attempt(&node, start + SECOND, 100 * MILLI, AttemptResult::Ok);
    assert_eq!(node.live.latency(start + SECOND), 100_000, "a peak counts whole");

    // A fast answer each millisecond for ten seconds: 1/e of the way is left.
    for milli in 1..=10_000 {
        attempt(&node, start + SECOND + milli * MILLI, MILLI, AttemptResult::Ok);
    }
    let later = node.live.latency(start + 11 * SECOND);
    assert!((36_000..39_000).contains(&later), "1,000 + 99,000 / e is 37,420, not {later}");

    let idle = node.live.latency(start + 21 * SECOND);
    assert!((13_000..14_500).contains(&idle), "without samples it fades as well: {idle}");
    assert_eq!(node.live.latency(start + 10_000 * SECOND), 1, "known, and long forgotten");
}

#[test]
fn failing_fast_does_not_look_fast() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    attempt(&node, start, MILLI, AttemptResult::Failed);
    assert_eq!(node.live.latency(start), 0, "a failure tells no latency");
    attempt(&node, start, 50 * MILLI, AttemptResult::Ok);
    for milli in 1..=10_000 {
        let failed = milli % 2 == 0;
        let result = if failed { AttemptResult::Failed } else { AttemptResult::ServerError };
        attempt(&node, start + milli * MILLI, MILLI, result);
    }
    assert_eq!(node.live.latency(start + 10 * SECOND), 50_000, "not a microsecond less");
    attempt(&node, start + 10 * SECOND, 500 * MILLI, AttemptResult::Failed);
    assert_eq!(node.live.latency(start + 10 * SECOND), 500_000, "one that failed late is a peak");
}

#[test]
fn being_overtaken_is_no_failure_and_no_sign_of_speed() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    let overtaken_after = |length: Duration, end: Instant| {
        node.begin(end - length).overtaken(end);
        node.live.latency(end)
    };
    assert_eq!(overtaken_after(50 * MILLI, start), 50_000, "though nothing else is known of the node");
    assert_eq!(overtaken_after(80 * MILLI, start + SECOND), 80_000);
    assert_eq!(
        overtaken_after(20 * MILLI, start + 2 * SECOND),
        80_000,
        "it was not faster, only overtaken earlier"
    );
    assert_eq!((node.live.failures(), node.live.error_rate(start), node.live.in_flight()), (0, 0, 0));
    assert_eq!((node.live.tally().answers, node.live.oldest(start + 9 * SECOND)), (0, 0));
}

#[test]
fn error_rate_follows_the_last_ten_seconds() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    attempt(&node, start, MILLI, AttemptResult::Failed);
    assert_eq!(node.live.error_rate(start), 500, "one failure alone is half a verdict");
    for milli in 0..5000 {
        let failed = milli % 4 == 0;
        let result = if failed { AttemptResult::ServerError } else { AttemptResult::Ok };
        attempt(&node, start + milli * MILLI, MILLI, result);
    }
    let rate = node.live.error_rate(start + 5 * SECOND);
    assert!((248..=252).contains(&rate), "a quarter failed: {rate}");
    assert_eq!((node.live.attempts(), node.live.failures()), (5001, 1251));

    for milli in 5000..15_000 {
        attempt(&node, start + milli * MILLI, MILLI, AttemptResult::Ok);
    }
    let rate = node.live.error_rate(start + 15 * SECOND);
    assert!((35..60).contains(&rate), "1/e of the weight of a third of the time: {rate}");
    assert_eq!(node.live.error_rate(start + 200 * SECOND), 0, "forgiven");
}

#[test]
fn requests_in_flight_are_counted_and_the_oldest_is_known() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    assert_eq!((node.live.in_flight(), node.live.oldest(start)), (0, 0));
    let first = node.begin(start);
    let mut others: Vec<InFlight> = (0..40).map(|_| node.begin(start + 20 * MILLI)).collect();
    assert_eq!(node.live.in_flight(), 41);
    assert_eq!(node.live.oldest(start + 50 * MILLI), 50_000);
    assert_eq!(
        (node.live.waiting(50 * MILLI, start + 50 * MILLI), node.live.waiting(MILLI, start + 50 * MILLI)),
        (1, 12)
    );
    drop(first);
    assert_eq!(node.live.oldest(start + 50 * MILLI), 30_000);
    others.clear();
    assert_eq!((node.live.in_flight(), node.live.oldest(start + SECOND)), (0, 0));
}

#[test]
fn an_attempt_is_observed_once_and_a_lagging_clock_does_no_harm() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    let mut request = node.begin(start);
    request.observe(start + 8 * MILLI, AttemptResult::Ok);
    request.observe(start + 80 * MILLI, AttemptResult::Failed);
    assert_eq!((node.live.latency(start + 8 * MILLI), node.live.failures()), (8000, 0));
    assert_eq!((request.started(), &*request.node().spec.id), (start, "a"));
    // Another worker's coarse clock may stand behind.
    assert_eq!((node.live.latency(start), node.live.oldest(start - MILLI)), (8000, 0));
}

#[test]
fn who_was_answered_waits_no_more_and_is_tallied() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    let before = node.live.tally();
    let mut download = node.begin(start);
    download.observe(start + 8 * MILLI, AttemptResult::Ok);
    assert_eq!((node.live.in_flight(), node.live.oldest(start + SECOND)), (1, 0), "its body comes");
    attempt(&node, start + SECOND, 4 * MILLI, AttemptResult::Ok);
    attempt(&node, start + SECOND, 4 * MILLI, AttemptResult::ServerError);
    let tally = node.live.tally().since(before);
    assert_eq!(tally, Tally { answers: 2, micros: 12_000, failures: 1 });
}

#[test]
fn what_was_learned_survives_a_new_declaration() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    attempt(&node, start, 5 * MILLI, AttemptResult::Ok);
    let request = node.begin(start);
    let next = Node::with_live_of(node.spec.clone(), &node);
    assert_eq!((next.live.in_flight(), next.live.latency(start)), (1, 5000));
    drop(request);
    assert_eq!(next.live.in_flight(), 0);
}

#[test]
fn no_count_is_lost_between_threads() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| attempt(&node, start, MILLI, AttemptResult::Failed)));
        }
    });
    assert_eq!((node.live.in_flight(), node.live.attempts(), node.live.failures()), (0, 40_000, 40_000));
    assert_eq!((node.live.oldest(start + SECOND), node.live.error_rate(start)), (0, 999));
}

#[test]
fn a_node_takes_no_more_than_its_limit() {
    let (node, now) = (node("a"), Instant::now());
    let one = node.begin_below(2, now);
    let two = node.begin_below(2, now);
    assert!(one.is_some() && two.is_some() && node.begin_below(2, now).is_none());
    assert_eq!((node.live.in_flight(), node.live.attempts()), (2, 2), "what was refused does not count");
    drop(one);
    assert!(node.begin_below(2, now).is_some());
    assert!(node.begin_below(0, now).is_none());
}

#[test]
fn a_load_report_is_taken_ten_times_a_second() {
    let (node, start) = (node("a"), Instant::now() + SECOND);
    let taken = (0..1000).filter(|milli| node.live.may_report(start + *milli * MILLI)).count();
    assert_eq!(taken, 10);
}
