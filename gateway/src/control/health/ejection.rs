//! One node's ejections: out for a time that doubles, then on trial, then in again.
//!
//! Why a trial: a node that was broken is most often still broken, and clients pay for each look at it. So it comes
//! back with a small share, and its first failure sends it out again for twice as long. Only good answers end the trial.
//! How it is forgiven: each time it has stayed in for as long as it was out last, one ejection counts no more.
//! Straight arithmetic on `now`; what is a failure is decided elsewhere.

use std::time::{Duration, Instant};

use crate::control::config::Outlier;

/// So many good answers end a trial: as many as the failures in a row that begin an ejection by default.
pub(super) const TRIAL_ANSWERS: u32 = 5;

/// Why a node was taken out for its traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Connections could not be made, several times in a row.
    ConnectFailures,
    /// Attempts failed, several times in a row.
    Failures,
    /// Fewer good answers than the others.
    SuccessRate,
    /// Slower than the pool's median.
    Latency,
    /// It answered nothing while requests waited.
    Silence,
    /// It failed while it was on trial.
    Trial,
}

impl Why {
    pub(super) const ALL: [Why; 6] =
        [Why::ConnectFailures, Why::Failures, Why::SuccessRate, Why::Latency, Why::Silence, Why::Trial];

    /// The word in metrics and in the admin API.
    pub(super) fn word(self) -> &'static str {
        match self {
            Why::ConnectFailures => "connect_failures",
            Why::Failures => "failures",
            Why::SuccessRate => "success_rate",
            Why::Latency => "latency",
            Why::Silence => "silence",
            Why::Trial => "trial",
        }
    }

    /// What happened, for a log line.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Why::ConnectFailures => "no connection could be made, several times in a row",
            Why::Failures => "attempts failed, several times in a row",
            Why::SuccessRate => "fewer of its answers are good than of the other nodes'",
            Why::Latency => "it is much slower than the pool's median",
            Why::Silence => "requests wait and it answers nothing",
            Why::Trial => "it failed again on trial",
        }
    }
}

/// Where a node is between two ejections.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    In { since: Instant },
    Out { until: Instant, why: Why },
    Trial { answers_before: u32 },
}

/// One node's record.
#[derive(Clone, Debug)]
pub(super) struct Ejection {
    phase: Phase,
    /// Ejections that still count; they set the length of the next.
    weight: u32,
    counts: [u64; Why::ALL.len()],
}

impl Ejection {
    pub(super) fn new(now: Instant) -> Self {
        Self { phase: Phase::In { since: now }, weight: 0, counts: [0; Why::ALL.len()] }
    }

    pub(super) fn is_out(&self) -> bool {
        matches!(self.phase, Phase::Out { .. })
    }

    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self.phase, Phase::Trial { .. })
    }

    /// Why it is out, if it is.
    pub(super) fn why(&self) -> Option<Why> {
        if let Phase::Out { why, .. } = self.phase { Some(why) } else { None }
    }

    /// How often it was ejected, by reason.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Why, u64)> {
        Why::ALL.into_iter().zip(self.counts)
    }

    /// Takes it out; answers for how long.
    pub(super) fn eject(&mut self, why: Why, limits: &Outlier, now: Instant) -> Duration {
        let length = length(self.weight, limits);
        self.weight = self.weight.saturating_add(1);
        self.counts[why as usize] += 1;
        self.phase = Phase::Out { until: now + length, why };
        length
    }

    /// Whether it has been out for its time.
    pub(super) fn is_served(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Out { until, .. } if now >= until)
    }

    /// Lets it in on trial. `answers` are its good answers so far.
    pub(super) fn begin_trial(&mut self, answers: u32) {
        self.phase = Phase::Trial { answers_before: answers };
    }

    /// Ends a trial after enough good answers; answers whether it did.
    pub(super) fn pass(&mut self, answers: u32, now: Instant) -> bool {
        let Phase::Trial { answers_before } = self.phase else { return false };
        let passed = answers.wrapping_sub(answers_before) >= TRIAL_ANSWERS;
        if passed {
            self.phase = Phase::In { since: now };
        }
        passed
    }

    /// Lets it in without a trial: detection was turned off, or the node is another one now.
    pub(super) fn forget(&mut self, now: Instant) {
        (self.phase, self.weight) = (Phase::In { since: now }, 0);
    }

    /// Forgives what it has made good by staying in.
    pub(super) fn forgive(&mut self, limits: &Outlier, now: Instant) {
        let Phase::In { since } = &mut self.phase else { return };
        while self.weight > 0 && now.saturating_duration_since(*since) >= length(self.weight - 1, limits) {
            self.weight -= 1;
            *since += length(self.weight, limits);
        }
    }
}

/// How long an ejection is after so many that still count.
fn length(weight: u32, limits: &Outlier) -> Duration {
    let doubled = 2_u32.checked_pow(weight).and_then(|factor| limits.ejection.checked_mul(factor));
    doubled.unwrap_or(limits.max_ejection).min(limits.max_ejection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Outlier {
        Outlier { ejection: 10 * SECOND, max_ejection: 60 * SECOND, ..Outlier::default() }
    }

    #[test]
    fn each_ejection_is_twice_as_long_up_to_the_longest() {
        let start = Instant::now();
        let mut ejection = Ejection::new(start);
        let lengths: Vec<u64> =
            (0..5).map(|_| ejection.eject(Why::Failures, &limits(), start).as_secs()).collect();
        assert_eq!(lengths, [10, 20, 40, 60, 60]);
        for _ in 0..100 {
            ejection.eject(Why::Trial, &limits(), start);
        }
        assert_eq!(length(1000, &limits()), 60 * SECOND, "it does not overflow");
        assert_eq!(ejection.counts().map(|(_, count)| count).sum::<u64>(), 105);
    }

    #[test]
    fn it_is_out_for_its_time_then_on_trial_until_it_answered_well() {
        let start = Instant::now();
        let mut ejection = Ejection::new(start);
        ejection.eject(Why::Silence, &limits(), start);
        assert!(ejection.is_out() && !ejection.is_served(start + 10 * SECOND - Duration::from_nanos(1)));
        assert_eq!(ejection.why(), Some(Why::Silence));
        assert!(ejection.is_served(start + 10 * SECOND));
        ejection.begin_trial(u32::MAX);
        assert!(ejection.is_on_trial() && !ejection.is_out());
        assert!(!ejection.pass(TRIAL_ANSWERS - 2, start), "the count wraps: these are four answers");
        assert!(ejection.pass(TRIAL_ANSWERS - 1, start));
        assert!(!ejection.is_on_trial());
        assert!(!ejection.pass(1000, start), "there is no trial any more");
    }

    #[test]
    fn it_is_forgiven_at_the_pace_at_which_it_was_punished() {
        let start = Instant::now();
        let mut ejection = Ejection::new(start);
        for _ in 0..3 {
            ejection.eject(Why::Failures, &limits(), start);
        }
        ejection.begin_trial(0);
        ejection.forgive(&limits(), start + 1000 * SECOND);
        assert_eq!(ejection.weight, 3, "not while it is on trial");
        assert!(ejection.pass(TRIAL_ANSWERS, start));
        let mut left = |seconds| {
            ejection.forgive(&limits(), start + seconds * SECOND);
            ejection.weight
        };
        // It was out for 40 s, 20 s and 10 s.
        assert_eq!([39, 40, 59, 60, 69, 70, 1000].map(&mut left), [3, 2, 2, 1, 1, 0, 0]);
    }
}
