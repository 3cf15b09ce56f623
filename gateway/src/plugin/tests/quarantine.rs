//! A version that keeps failing is not called, and comes back when it is well.

use std::time::Instant;

use super::*;
use crate::plugin::{FaultKind, QuarantineState, Role, Step, Tolerance, Verdict};

fn limits(faults: u32) -> Limits {
    let tolerance = Tolerance { faults: faults.try_into().unwrap(), window: Duration::from_secs(3600) };
    Limits { quarantine: Some(tolerance), ..spec(&[]).limits }
}

/// A policy and filter whose `pick` always fails and whose other functions do not.
fn failing(limits: Limits) -> Instances {
    let text = r#"(func (export "balancer#pick") (result i32) unreachable)
        (func (export "filter#on-request") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#;
    let file = plugin(&["balancer", "filter"], text);
    Instances::new(use_of(UseSpec { limits, ..spec(&[]) }, &file).unwrap())
}

#[test]
fn after_too_many_faults_the_role_is_not_played_and_the_others_are() {
    let instances = failing(limits(3));
    let used = instances.use_();
    let log = logged(|| {
        for _ in 0..3 {
            assert_eq!(used.quarantine(), QuarantineState::Closed);
            assert_eq!(instances.pick(&mut context()).now().unwrap_err().kind, FaultKind::Trap);
        }
        for _ in 0..5 {
            assert_eq!(instances.pick(&mut context()).now().unwrap_err().kind, FaultKind::Quarantined);
            assert_eq!(instances.on_request(&mut context()).now(), Ok(Verdict::GoOn));
        }
    });
    assert!(
        matches!(used.quarantine(), QuarantineState::Open { faults: 3, last_kind: FaultKind::Trap, .. }),
        "{:?}",
        used.quarantine()
    );
    assert_eq!(used.quarantined_roles().collect::<Vec<_>>(), [Role::Balancer]);
    assert_eq!(used.faults_since_start(), 3);
    assert_eq!((used.stats.calls(Role::Balancer), used.stats.calls(Role::Filter)), (3, 5));
    assert_eq!(used.stats.withheld(), 5);
    assert_eq!(used.stats.quarantine_steps(Step::Opened), 1);
    let opened: Vec<_> = log.lines().filter(|line| line.contains("quarantine=\"opened\"")).collect();
    assert_eq!(opened.len(), 1, "{log}");
    for words in ["tried again in 1 s; the last fault: wasm trap: wasm `unreachable`", "role=\"balancer\""] {
        assert!(opened[0].contains(words), "{log}");
    }
}

#[test]
fn a_new_version_or_configuration_starts_with_a_clean_record() {
    let instances = failing(limits(1));
    instances.pick(&mut context()).now().unwrap_err();
    let old = instances.use_();
    let (module, stats, services) = (&old.module, &old.stats, &old.services);
    let new = Use::new(1, 2, old.spec.clone(), module.clone(), stats.clone(), services.clone()).unwrap();
    let new = Instances::new(Arc::new(new));
    assert_eq!(new.pick(&mut context()).now().unwrap_err().kind, FaultKind::Trap, "it is called");
    assert_ne!(old.quarantine(), QuarantineState::Closed, "and the old one keeps its own");
}

#[test]
fn what_does_not_start_plays_no_role_and_every_start_counts_once() {
    let text = r#"(func (export "lifecycle#configure") (param i32 i32) (result i32) unreachable)
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;
    let spec = UseSpec { limits: limits(2), ..spec(&[]) };
    let instances = Instances::new(use_of(spec, &plugin(&["lifecycle", "balancer"], text)).unwrap());
    for _ in 0..50 {
        instances.pick(&mut context()).now().unwrap_err();
    }
    assert_eq!(instances.use_().faults_since_start(), 1, "49 calls came while it was not tried again");
    assert_eq!(instances.use_().quarantine(), QuarantineState::Closed);
    // Looked after a second later: the second start that fails.
    assert!(instances.tend(Instant::now() + Duration::from_secs(1)));
    assert_eq!(instances.use_().quarantined_roles().collect::<Vec<_>>(), [Role::Lifecycle]);
    assert_eq!(instances.pick(&mut context()).now().unwrap_err().kind, FaultKind::Quarantined);
    assert!(!instances.tend(Instant::now() + Duration::from_secs(9)), "and nothing is started ahead");
}
