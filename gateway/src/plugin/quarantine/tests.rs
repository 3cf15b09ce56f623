//! The quarantine's steps, with time as an argument.
#![allow(clippy::unwrap_used)]

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

struct Case {
    quarantine: Quarantine,
    start: Instant,
}

fn case(faults: u32, window: Duration) -> Case {
    let tolerance = Tolerance { faults: NonZeroU32::new(faults).unwrap(), window };
    let start = Instant::now();
    Case { quarantine: Quarantine::new(Some(tolerance), start), start }
}

impl Case {
    fn fault(&self, after: Duration) -> Option<Step> {
        self.quarantine.fault(Some(Stage::Pick), FaultKind::Trap, self.start + after)
    }

    fn admits(&self, after: Duration) -> bool {
        self.quarantine.is_closed() || self.quarantine.admits(Stage::Pick, self.start + after).0
    }

    /// A probe at this time that ends so.
    fn probe(&self, bad: Option<FaultKind>, after: Duration) -> Option<Step> {
        assert!(self.admits(after), "a probe is due after {after:?}");
        self.quarantine.probed(Stage::Pick, bad, self.start + after)
    }
}

#[test]
fn so_many_faults_within_the_window_open_it() {
    let case = case(3, SECOND);
    assert_eq!(case.fault(Duration::ZERO), None);
    assert_eq!(case.fault(MS), None);
    assert_eq!(case.quarantine.state(), QuarantineState::Closed);
    assert_eq!(case.fault(2 * MS), Some(Step::Opened));
    let state = case.quarantine.state();
    assert!(
        matches!(state, QuarantineState::Open { faults: 3, last_kind: FaultKind::Trap, .. }),
        "{state:?}"
    );
    assert!(!case.admits(3 * MS));
}

#[test]
fn faults_that_are_far_apart_do_not() {
    let case = case(3, SECOND);
    for number in 0..100 {
        assert_eq!(case.fault(number * 501 * MS), None);
    }
    assert_eq!(case.quarantine.faults(), 100);
}

#[test]
fn one_fault_is_enough_where_one_is_too_many() {
    assert_eq!(case(1, SECOND).fault(Duration::ZERO), Some(Step::Opened));
}

#[test]
fn after_the_pause_one_call_at_a_time_is_a_probe_and_good_ones_close_it() {
    let case = case(1, SECOND);
    case.fault(Duration::ZERO);
    assert!(!case.admits(999 * MS));
    let admit = |stage| case.quarantine.admits(stage, case.start + SECOND);
    assert_eq!(admit(Stage::OnRequest), (false, None), "another function proves nothing");
    assert_eq!(admit(Stage::Pick), (true, Some(Step::Probing)));
    assert_eq!(admit(Stage::Pick), (false, None), "one at a time");
    assert_eq!(case.quarantine.state(), QuarantineState::HalfOpen);
    assert_eq!(case.quarantine.probed(Stage::Pick, None, case.start + SECOND), None);
    assert_eq!(case.probe(None, SECOND), None);
    assert_eq!(case.probe(None, SECOND), Some(Step::Closed));
    assert!(case.quarantine.is_closed());
}

#[test]
fn a_bad_probe_doubles_the_pause_up_to_a_minute() {
    let case = case(1, SECOND);
    case.fault(Duration::ZERO);
    let mut at = Duration::ZERO;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(case.quarantine.pause(), pause * SECOND);
        at += pause * SECOND;
        assert!(!case.admits(at - MS));
        assert_eq!(case.probe(Some(FaultKind::Start), at), Some(Step::Opened));
    }
}

#[test]
fn a_fault_that_is_counted_ends_the_probe_too() {
    let case = case(1, SECOND);
    case.fault(Duration::ZERO);
    assert!(case.admits(SECOND));
    assert_eq!(case.fault(SECOND), Some(Step::Opened));
    assert_eq!(case.quarantine.probed(Stage::Pick, Some(FaultKind::Trap), case.start + SECOND), None);
    assert_eq!(case.quarantine.pause(), 2 * SECOND);
}

#[test]
fn what_opens_again_soon_after_closing_goes_on_with_its_pause() {
    for (after, pause) in [(59, 2), (61, 1)] {
        let case = case(1, SECOND);
        case.fault(Duration::ZERO);
        for _ in 0..GOOD_PROBES {
            case.probe(None, SECOND);
        }
        case.fault(SECOND + after * SECOND);
        assert_eq!(case.quarantine.pause(), pause * SECOND, "{after} s after it closed");
    }
}

#[test]
fn an_instance_that_does_not_start_may_be_probed_by_any_function() {
    let case = case(1, SECOND);
    case.quarantine.fault(None, FaultKind::Start, case.start);
    assert!(case.quarantine.admits(Stage::OnResponse, case.start + SECOND).0);
}

#[test]
fn switched_off_it_counts_and_never_opens() {
    let start = Instant::now();
    let quarantine = Quarantine::new(None, start);
    for _ in 0..1000 {
        assert_eq!(quarantine.fault(Some(Stage::Tick), FaultKind::Deadline, start), None);
    }
    assert_eq!((quarantine.faults(), quarantine.state()), (1000, QuarantineState::Closed));
}
