//! Which recent requests concern a plugin whose version changes, and what both versions make of them.

use crate::control::attempt::Prepared;
use crate::control::build;
use crate::control::config::Config;
use crate::control::status::FileOutcome;
use crate::plugin::{Replay, Sample, Version, replay};

/// A replay for each file whose newest content takes over from another one.
pub(super) fn all(before: &Prepared, after: &Prepared) -> Vec<(String, Version, Replay)> {
    let is_new = |file: &str, version: Version| before.versions.get(file).is_some_and(|old| *old != version);
    let loaded = after.outcomes.iter().filter_map(|(file, outcome)| match outcome {
        FileOutcome::Loaded(version) if is_new(file, *version) => Some((file, *version)),
        _ => None,
    });
    let loaded: Vec<_> = loaded.collect();
    if loaded.is_empty() {
        return Vec::new();
    }
    let samples = after.samples.heads();
    let nodes = build::copies(&after.config, &after.addresses);
    let replayed = loaded.into_iter().map(|(file, version)| {
        let mut sum = Replay::default();
        for new in after.uses_of(file) {
            let Some(old) = before.uses_of(file).find(|old| old.spec.name == new.spec.name) else { continue };
            let heads = concerning(&after.config, &new.spec.name, &samples);
            replay(old, new, &heads, &nodes).into_iter().for_each(|replay| sum.add(replay));
        }
        (file.clone(), version, sum)
    });
    replayed.collect()
}

/// The requests that pass a use, as a filter of their route or as a policy of its pool.
fn concerning(config: &Config, name: &str, samples: &[Sample]) -> Vec<Sample> {
    let is_filter = |sample: &Sample| {
        let mut routes = config.routes.iter().filter(|route| route.name.as_str() == &*sample.route);
        routes.any(|route| route.filters.iter().any(|filter| filter.as_str() == name))
    };
    let is_policy = |sample: &Sample| {
        let pool = config.pools.get(&*sample.pool);
        pool.is_some_and(|pool| pool.policy.iter().any(|policy| policy.as_str() == name))
    };
    samples.iter().filter(|sample| is_filter(sample) || is_policy(sample)).cloned().collect()
}
