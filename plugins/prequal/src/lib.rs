//! The least loaded candidates, and of them the one where the request is expected to be served first; never one that
//! keeps its requests much longer than the others do.
//!
//! Prequal (Wydrowski and others, NSDI 2024) asks nodes by probes; this has the gateway's own signals. The decision note 0029
//! says what that changes, and why the load is compared first: it is known exactly and at once, while every estimate is late.
//! Three steps:
//!
//! 1. A candidate is *stuck* if a request waits there more than `slow` times as long as at the median candidate, as it is
//!    expected to or as its oldest one has waited already.
//! 2. Of the others those are *hot* whose load is above a `quantile` of all loads: requests in flight and the one to come,
//!    for the weight, dearer the more attempts fail. By default only the least loaded are cold.
//! 3. Of the cold ones it is the one with the least expected delay: (requests in flight + 1) x service time. One that is hot
//!    by no more than a third takes its place if the request is expected to be served there a third sooner.
//!
//! The gateway weighs and compares, in one call (`nodes.soonest`): the numbers of ten candidates cost more to copy than the
//! whole rest of a pick.

use bascule_plugin::prelude::*;

/// The policy. It keeps no state.
#[derive(Debug, Default)]
pub struct Prequal {
    config: Config,
}

/// Its keys.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    sample: u32,
    quantile: f64,
    slow: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { sample: 16, quantile: 0.0, slow: 4.0 }
    }
}

impl Lifecycle for Prequal {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if !(2..=100).contains(&config.sample) {
            return Err("sample: write how many candidates of a large pool are compared, 2 to 100".into());
        }
        if !(0.0..=1.0).contains(&config.quantile) {
            return Err("quantile: write a share, 0.0 to 1.0".into());
        }
        if !(1.0..=1000.0).contains(&config.slow) {
            return Err("slow: write how many times the usual wait is too long, 1.0 to 1000.0".into());
        }
        Ok(Self { config })
    }
}

impl Balancer for Prequal {
    fn pick(&mut self, _request: &Request, nodes: &Nodes) -> Choice {
        let Config { sample, quantile, slow } = self.config;
        nodes.soonest(sample, quantile, slow).into()
    }
}

bascule_plugin::export!(Prequal: lifecycle, balancer);

#[cfg(test)]
mod faults;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
