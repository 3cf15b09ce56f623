//! What a node's active checks say of it: a state that turns after so many outcomes in a row. Pure.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::control::config::{CheckStart, HealthCheck};

/// What came of one check: how long it took, or what was wrong.
pub(super) type Outcome = Result<Duration, String>;

/// What is known of a node by its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its pool has no checks.
    Unchecked,
    /// Its first check has not ended.
    New {
        /// Whether it serves until then.
        serves: bool,
    },
    /// It is well.
    Up,
    /// It is not.
    Down,
}

/// One node's checks.
#[derive(Clone, Debug)]
pub(super) struct Check {
    finding: Finding,
    /// Outcomes in a row that contradict the finding.
    against: u32,
    /// What was wrong last.
    pub(super) wrong: String,
    /// Good ones so far, and bad ones.
    pub(super) good: u64,
    pub(super) bad: u64,
    /// How long the last good one took.
    pub(super) took: Duration,
}

impl Check {
    /// A node that was not checked yet. The nodes of a pool that is itself new serve until they are: nobody else could.
    pub(super) fn new(check: Option<&HealthCheck>, pool_is_new: bool) -> Self {
        let finding = match check {
            None => Finding::Unchecked,
            Some(check) => Finding::New { serves: pool_is_new || check.start == CheckStart::Up },
        };
        Self { finding, against: 0, wrong: String::new(), good: 0, bad: 0, took: Duration::ZERO }
    }

    /// The pool has checks from now on, or none any more. What is known stays known.
    pub(super) fn follow(&mut self, check: Option<&HealthCheck>) {
        match (check.is_some(), self.finding) {
            (false, _) => self.finding = Finding::Unchecked,
            // It served without checks so far.
            (true, Finding::Unchecked) => self.finding = Finding::New { serves: true },
            (true, _) => {}
        }
    }

    pub(super) fn finding(&self) -> Finding {
        self.finding
    }

    /// Whether checks allow the node to serve.
    pub(super) fn allows(&self) -> bool {
        !matches!(self.finding, Finding::Down | Finding::New { serves: false })
    }

    /// Notes an outcome; answers whether the finding changed by it. A first check decides alone: there is nothing that
    /// it could contradict.
    pub(super) fn note(&mut self, outcome: Outcome, check: &HealthCheck) -> bool {
        let is_good = outcome.is_ok();
        match outcome {
            Ok(took) => (self.good, self.took) = (self.good + 1, took),
            Err(wrong) => (self.bad, self.wrong) = (self.bad + 1, wrong),
        }
        let finding = if is_good { Finding::Up } else { Finding::Down };
        let needed = match self.finding {
            Finding::Unchecked => return false,
            Finding::New { .. } => NonZeroU32::MIN,
            Finding::Up => check.unhealthy,
            Finding::Down => check.healthy,
        };
        self.against = if finding == self.finding { 0 } else { self.against + 1 };
        let turned = self.against >= needed.get();
        if turned {
            (self.finding, self.against) = (finding, 0);
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::Probe;

    fn settings(healthy: u32, unhealthy: u32, start: CheckStart) -> HealthCheck {
        HealthCheck {
            probe: Probe::Tcp,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: NonZeroU32::new(healthy).unwrap_or(NonZeroU32::MIN),
            unhealthy: NonZeroU32::new(unhealthy).unwrap_or(NonZeroU32::MIN),
            jitter: 10,
            start,
        }
    }

    fn bad() -> Outcome {
        Err("it answered 503".to_owned())
    }

    #[test]
    fn a_new_node_waits_for_its_first_check_unless_its_pool_is_new_or_it_may_start_up() {
        let (check, up) = (settings(1, 3, CheckStart::Check), settings(1, 3, CheckStart::Up));
        assert!(!Check::new(Some(&check), false).allows());
        assert!(Check::new(Some(&check), true).allows());
        assert!(Check::new(Some(&up), false).allows());
        assert!(Check::new(None, false).allows());
        let mut new = Check::new(Some(&check), true);
        assert!(new.note(bad(), &check), "a first bad check decides alone");
        assert_eq!(
            (new.finding(), new.allows(), new.wrong.as_str()),
            (Finding::Down, false, "it answered 503")
        );
    }

    #[test]
    fn it_turns_after_so_many_outcomes_in_a_row() {
        let check = settings(2, 3, CheckStart::Check);
        let mut node = Check::new(Some(&check), true);
        assert!(node.note(Ok(Duration::ZERO), &check));
        for outcome in [bad(), bad(), Ok(Duration::ZERO), bad(), bad()] {
            assert!(!node.note(outcome, &check), "not three in a row");
        }
        assert!(node.note(bad(), &check));
        assert_eq!(node.finding(), Finding::Down);
        for outcome in [Ok(Duration::ZERO), bad(), Ok(Duration::ZERO)] {
            assert!(!node.note(outcome, &check), "not two in a row");
        }
        assert!(node.note(Ok(Duration::from_millis(3)), &check));
        assert_eq!((node.finding(), node.good, node.bad), (Finding::Up, 5, 6));
        assert_eq!(node.took, Duration::from_millis(3));
    }

    #[test]
    fn checks_may_come_and_go_with_the_configuration() {
        let check = settings(1, 1, CheckStart::Check);
        let mut node = Check::new(None, false);
        assert!(!node.note(bad(), &check), "a check that ended after checks were turned off");
        node.follow(Some(&check));
        assert!(node.allows(), "it served so far, and goes on until its first check");
        node.note(bad(), &check);
        node.follow(Some(&check));
        assert!(!node.allows());
        node.follow(None);
        assert!(node.allows());
    }
}
