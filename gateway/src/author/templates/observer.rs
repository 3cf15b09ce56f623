//! Counts failed attempts, as `bascule_plugin_failed_attempts` in /metrics, and says in the log which node failed.

use bascule_plugin::prelude::*;

struct PluginName;

impl Observer for PluginName {
    fn on_complete(&mut self, request: &Request, outcome: &Outcome) {
        if let Some(error) = outcome.error() {
            metrics::counter("failed_attempts", 1);
            let (node, attempt) = (outcome.node(), request.attempt());
            log::warn(format!("attempt {attempt} on node {node} failed: {error}"));
        }
    }
}

bascule_plugin::export!(PluginName: observer);

#[cfg(test)]
mod tests {
    use super::PluginName;
    use bascule_plugin::testing::{PluginTest, request};
    use std::time::Duration;

    #[test]
    fn failures_are_counted_and_named() {
        let mut test = PluginTest::new(PluginName).nodes(["a"]);
        let to_a = request("GET", "/").node("a");
        test.failed(&to_a, "connect", Duration::from_millis(3));
        test.responded(&to_a, 200, Duration::from_millis(3));
        assert_eq!(test.counter("failed_attempts"), 1);
        assert_eq!(test.log(), ["warn: attempt 1 on node a failed: connect"]);
    }
}
