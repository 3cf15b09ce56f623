//! Counts failed attempts, and says once in ten seconds how many there were.

use bascule_plugin::prelude::*;
use std::time::Duration;

/// Each worker has an instance of its own, and any may be lost: its fields are a cache.
struct PluginName {
    failed: u64,
}

impl Lifecycle for PluginName {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, String> {
        Ok(Self { failed: 0 })
    }
}

impl Observer for PluginName {
    fn on_complete(&mut self, _request: &Request, outcome: &Outcome) {
        self.failed += u64::from(outcome.error().is_some());
    }
}

impl Timer for PluginName {
    fn schedule(&mut self) -> Schedule {
        Schedule { period: Duration::from_secs(10), scope: Scope::EveryWorker }
    }

    fn tick(&mut self) {
        if self.failed > 0 {
            log::info(format!("{} attempts failed", std::mem::take(&mut self.failed)));
        }
    }
}

bascule_plugin::export!(PluginName: lifecycle, observer, timer);

#[cfg(test)]
mod tests {
    use super::PluginName;
    use bascule_plugin::testing::{PluginTest, json, request};
    use std::time::Duration;

    #[test]
    fn failures_are_added_up_until_the_next_tick() {
        let mut test = PluginTest::<PluginName>::configured(json!({})).expect("it has no keys");
        for _ in 0..3 {
            test.failed(&request("GET", "/"), "reset", Duration::from_millis(1));
        }
        test.tick();
        test.tick();
        assert_eq!(test.log(), ["info: 3 attempts failed"]);
    }
}
