//! The node with the fewest requests in flight for its weight; of equal ones, one at random.
//!
//! It keeps no state. In a large pool it looks at a sample, so that its cost does not grow with the pool: the best of 8
//! random nodes is on average within the least loaded eighth, and does not attract the herd that the best of all
//! does. Errors make a node dearer, since one that fails fast looks idle; the host's error rate fades with time, so a
//! node that recovered comes back by itself.

use bascule_plugin::prelude::*;

/// The largest sample: pools of up to so many candidates are compared whole by the gateway.
const LARGEST_SAMPLE: u32 = 32;

/// The policy.
#[derive(Debug)]
pub struct LeastConnections {
    sample: u32,
}

/// Its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    sample: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { sample: 8 }
    }
}

impl Lifecycle for LeastConnections {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if !(2..=LARGEST_SAMPLE).contains(&config.sample) {
            return Err("sample: write how many candidates of a large pool are compared, 2 to 32".into());
        }
        Ok(Self { sample: config.sample })
    }
}

impl Balancer for LeastConnections {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        nodes.least_loaded(self.sample).into()
    }
}

bascule_plugin::export!(LeastConnections: lifecycle, balancer);

#[cfg(test)]
mod tests {
    use bascule_plugin::testing::{Picked, PolicyTest, json, request};

    use super::LeastConnections;

    fn policy() -> PolicyTest<LeastConnections> {
        PolicyTest::configured(json!({})).expect("all keys have defaults")
    }

    #[test]
    fn the_least_loaded_is_picked() {
        let mut test = policy()
            .node("a", |node| node.in_flight(3))
            .node("b", |node| node.in_flight(1))
            .node("c", |node| node.in_flight(2));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node("b"));
    }

    #[test]
    fn load_is_for_the_weight() {
        let mut test =
            policy().node("a", |node| node.in_flight(1)).node("b", |node| node.in_flight(3).weight(4));
        assert_eq!(
            test.pick(&request("GET", "/")),
            Picked::Node("b"),
            "(3 + 1) / 4 is less than (1 + 1) / 1"
        );
    }

    #[test]
    fn ties_are_spread_at_random() {
        let mut test = policy().nodes(["a", "b", "c"]);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            match test.pick(&request("GET", "/")) {
                Picked::Node("a") => counts[0] += 1,
                Picked::Node("b") => counts[1] += 1,
                Picked::Node("c") => counts[2] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_node_that_fails_fast_does_not_attract() {
        let mut test = policy().node("broken", |node| node.error_rate(1.0));
        for id in 0..10 {
            test = test.node(&format!("good-{id}"), |node| node.in_flight(20));
        }
        assert!((0..1000).all(|_| test.pick(&request("GET", "/")) != Picked::Node("broken")));
        test.change("broken", |node| node.error_rate(0.3));
        assert_eq!(
            test.pick(&request("GET", "/")),
            Picked::Node("broken"),
            "the rate has faded: it may try again"
        );
    }

    #[test]
    fn a_few_errors_hardly_matter() {
        let mut test =
            policy().node("a", |node| node.in_flight(4).error_rate(0.02)).node("b", |node| node.in_flight(5));
        assert_eq!(test.pick(&request("GET", "/")), Picked::Node("a"));
    }

    #[test]
    fn a_large_pool_is_sampled() {
        let mut test = policy().node("idle", |node| node);
        for id in 0..999 {
            test = test.node(&format!("{id}"), |node| node.in_flight(1));
        }
        let idle = (0..4000).filter(|_| test.pick(&request("GET", "/")) == Picked::Node("idle")).count();
        // A fair sample of 8 has any one node in 0.8 % of the picks: 32 of 4,000.
        assert!((12..60).contains(&idle), "{idle}");
        assert_eq!(test.full_scans(), 0);
    }

    #[test]
    fn without_candidates_it_abstains() {
        assert_eq!(policy().pick(&request("GET", "/")), Picked::Abstain);
    }

    #[test]
    fn wrong_keys_are_refused() {
        let error = |config| PolicyTest::<LeastConnections>::configured(config).expect_err("it is wrong");
        assert_eq!(
            error(json!({ "sample": 1 })),
            "sample: write how many candidates of a large pool are compared, 2 to 32"
        );
        assert_eq!(error(json!({ "samples": 9 })), "samples: unknown key `samples`, expected `sample`");
    }
}
