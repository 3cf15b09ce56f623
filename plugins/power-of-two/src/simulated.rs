//! In virtual time: what nodes that are slow or hang cost a pool of eleven at 1,000 requests a second.

use std::time::Duration;

use bascule_plugin::testing::Simulation;
use bascule_plugin::testing::simulation::{Fault, Report};

use super::PowerOfTwo;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// 30 s with eleven nodes that take 5 ms, of which the last has this fault all the time.
fn thirty_seconds(seed: u64, fault: Fault) -> Report {
    let pool = Simulation::new(seed).nodes(10, |node| node.mean(MS * 5).concurrency(8));
    let pool =
        pool.nodes(1, |node| node.mean(MS * 5).concurrency(8).fault(Duration::ZERO..SECOND * 60, fault));
    pool.rate(1000.0).requests(30_000).timeout(SECOND * 3).attempts(3).run(|| PowerOfTwo)
}

#[test]
fn a_node_that_answers_in_two_seconds_gets_a_handful_of_requests() {
    for seed in 0..5 {
        let report = thirty_seconds(seed, Fault::Slow(400.0));
        assert!(report.served_within(SECOND) >= 0.9995, "{report}");
        assert!(report.attempts(11) <= 12, "{report}");
    }
}

#[test]
fn a_node_that_never_answers_is_noticed_before_its_first_timeout() {
    for seed in 0..5 {
        let report = thirty_seconds(seed, Fault::Hangs);
        // By the age of its oldest request, since nothing else is known of it for three seconds: 272 requests of a fair share.
        assert!(report.attempts(11) <= 8, "{report}");
        assert!(report.served_within(SECOND) >= 0.9995, "{report}");
        assert_eq!(report.failures(), 0, "another node serves what timed out: {report}");
    }
}
