//! Watches a version that took over: if it fails more than it may, an earlier one has to come back.
//!
//! Why: a trial sees one invented request, and a fault that needs a real one shows only in service. When it trips: at
//! least five calls failed, they are a hundredth of all calls or more, and they are at least twice the share that failed
//! under the version before; a mend that is not perfect shall not give way to what it mends. How it ends: after the
//! configured time, but not before a hundred calls. Counts come from outside, and so does the time: it is plain
//! arithmetic, and decides nothing but these verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::plugin::{Role, UseStats, Version};

/// Fewer failed calls than these may be anything.
const LEAST_FAULTS: u64 = 5;
/// One call in so many has to fail.
const ONE_IN: u64 = 100;
/// A version before that was called less often says nothing of its own faults, and a new one nothing of its health.
const ENOUGH_CALLS: u64 = 100;

/// What uses did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) faults: u64,
}

impl Counts {
    fn of(stats: &[Arc<UseStats>]) -> Self {
        let calls = |stats: &Arc<UseStats>| Role::ALL.into_iter().map(|role| stats.calls(role)).sum::<u64>();
        Self {
            calls: stats.iter().map(calls).sum(),
            faults: stats.iter().map(|stats| stats.all_faults()).sum(),
        }
    }

    /// What was done since there were these.
    fn since(self, start: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(start.calls),
            faults: self.faults.saturating_sub(start.faults),
        }
    }
}

/// A version of a file that serves.
struct Tenure {
    version: Version,
    started: Instant,
    /// Of the file's uses; they go on counting from version to version.
    stats: Vec<Arc<UseStats>>,
    at_start: Counts,
    /// What happened under the version before, if this one is on probation.
    before: Option<Counts>,
}

/// What became of a version on probation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may stay.
    Passed,
    /// It has to go, and why.
    Failed(String),
}

/// The versions that serve, by file.
#[derive(Default)]
pub(super) struct Probation(BTreeMap<String, Tenure>);

impl Probation {
    /// A version of a file serves from now on, with these uses; on probation if there is one to go back to.
    pub(super) fn begin(
        &mut self,
        file: &str,
        version: Version,
        stats: Vec<Arc<UseStats>>,
        on_probation: bool,
        now: Instant,
    ) {
        let at_start = Counts::of(&stats);
        let before = self.0.get(file).map(|tenure| Counts::of(&tenure.stats).since(tenure.at_start));
        let before = on_probation.then_some(before.unwrap_or_default());
        self.0.insert(file.to_owned(), Tenure { version, started: now, stats, at_start, before });
    }

    /// The version that is known to serve.
    pub(super) fn serving(&self, file: &str) -> Option<Version> {
        self.0.get(file).map(|tenure| tenure.version)
    }

    /// Files that are not used any more have no version that serves.
    pub(super) fn retain(&mut self, is_used: impl Fn(&str) -> bool) {
        self.0.retain(|file, _| is_used(file));
    }

    /// The verdicts that are due; each is told once. `length` is how long a probation lasts at least.
    pub(super) fn verdicts(&mut self, length: Duration, now: Instant) -> Vec<(String, Version, Verdict)> {
        let mut due = Vec::new();
        for (file, tenure) in &mut self.0 {
            let Some(before) = tenure.before else { continue };
            let did = Counts::of(&tenure.stats).since(tenure.at_start);
            let age = now.saturating_duration_since(tenure.started);
            if let Some(verdict) = judge(did, before, age, length) {
                tenure.before = None;
                due.push((file.clone(), tenure.version, verdict));
            }
        }
        due
    }

    /// Whether some version took over so short a time ago that its counts are worth a look several times a second.
    pub(super) fn is_watchful(&self, length: Duration, now: Instant) -> bool {
        let young = |tenure: &Tenure| now.saturating_duration_since(tenure.started) < length;
        self.0.values().any(|tenure| tenure.before.is_some() && young(tenure))
    }
}

fn judge(did: Counts, before: Counts, age: Duration, length: Duration) -> Option<Verdict> {
    let is_often = did.faults >= LEAST_FAULTS && did.faults.saturating_mul(ONE_IN) >= did.calls;
    // In thousandths, so that shares can be compared without fractions.
    let share = |counts: Counts| counts.faults.saturating_mul(1000) / counts.calls.max(1);
    let is_worse = before.calls < ENOUGH_CALLS || share(did) >= 2 * share(before);
    if is_often && is_worse {
        let seconds = age.as_secs_f64();
        let what = format!("{} of its first {} calls failed, within {seconds:.1} s", did.faults, did.calls);
        return Some(Verdict::Failed(what));
    }
    (age >= length && did.calls >= ENOUGH_CALLS).then_some(Verdict::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn counts(calls: u64, faults: u64) -> Counts {
        Counts { calls, faults }
    }

    fn fails(did: Counts, before: Counts) -> bool {
        matches!(judge(did, before, Duration::from_secs(1), LENGTH), Some(Verdict::Failed(_)))
    }

    #[test]
    fn many_faults_end_it_and_few_do_not() {
        let nothing = Counts::default();
        assert!(fails(counts(5, 5), nothing));
        assert!(!fails(counts(4, 4), nothing), "four may be anything");
        assert!(fails(counts(500, 5), nothing) && !fails(counts(501, 5), nothing), "a hundredth");
    }

    #[test]
    fn a_mend_that_is_not_perfect_does_not_give_way_to_what_it_mends() {
        assert!(!fails(counts(1000, 50), counts(1000, 100)));
        assert!(!fails(counts(1000, 100), counts(1000, 100)));
        assert!(fails(counts(1000, 200), counts(1000, 100)));
        assert!(fails(counts(1000, 200), counts(50, 50)), "fifty calls say nothing");
    }

    #[test]
    fn it_passes_after_its_time_and_not_unseen() {
        let at = |age, calls| judge(counts(calls, 0), Counts::default(), Duration::from_secs(age), LENGTH);
        assert_eq!(at(29, 1_000_000), None);
        assert_eq!(at(30, 100), Some(Verdict::Passed));
        assert_eq!(at(3000, 99), None, "nobody called it");
    }

    #[test]
    fn a_verdict_is_told_once_and_only_on_probation() {
        let (now, version) = (Instant::now(), Version::of(b"a"));
        let mut probation = Probation::default();
        probation.begin("a.wasm", version, Vec::new(), false, now);
        assert!(!probation.is_watchful(LENGTH, now));
        probation.begin("a.wasm", version, Vec::new(), true, now);
        assert!(probation.is_watchful(LENGTH, now));
        assert!(!probation.is_watchful(LENGTH, now + LENGTH));
        assert_eq!(probation.serving("a.wasm"), Some(version));
        assert!(probation.verdicts(LENGTH, now + 2 * LENGTH).is_empty(), "nobody called it");
    }
}
