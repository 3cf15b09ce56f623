//! A version that keeps failing is not called, and comes back when it is well.

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
fn after_too_many_faults_no_function_is_called() {
    let instances = failing(limits(3));
    let used = instances.use_();
    let log = logged(|| {
        for _ in 0..3 {
            assert_eq!(used.quarantine(), QuarantineState::Closed);
            assert_eq!(instances.pick(&mut context()).unwrap_err().kind, FaultKind::Trap);
        }
        for _ in 0..5 {
            assert_eq!(instances.pick(&mut context()).unwrap_err().kind, FaultKind::Quarantined);
            assert_eq!(instances.on_request(&mut context()).unwrap_err().kind, FaultKind::Quarantined);
        }
    });
    assert!(
        matches!(used.quarantine(), QuarantineState::Open { faults: 3, last_kind: FaultKind::Trap, .. }),
        "{:?}",
        used.quarantine()
    );
    assert_eq!(used.faults_since_start(), 3);
    assert_eq!((used.stats.calls(Role::Balancer), used.stats.calls(Role::Filter)), (3, 0));
    assert_eq!(used.stats.withheld(), 10);
    assert_eq!(used.stats.quarantine_steps(Step::Opened), 1);
    let opened: Vec<_> = log.lines().filter(|line| line.contains("quarantine=\"opened\"")).collect();
    assert_eq!(opened.len(), 1, "{log}");
    assert!(opened[0].contains("tried again in 1 s; the last fault: wasm trap: wasm `unreachable`"), "{log}");
}

#[test]
fn a_new_version_or_configuration_starts_with_a_clean_record() {
    let instances = failing(limits(1));
    instances.pick(&mut context()).unwrap_err();
    let old = instances.use_();
    let (module, stats, services) = (&old.module, &old.stats, &old.services);
    let new = Use::new(1, 2, old.spec.clone(), module.clone(), stats.clone(), services.clone()).unwrap();
    let new = Instances::new(Arc::new(new));
    assert_eq!(new.on_request(&mut context()), Ok(Verdict::GoOn));
    assert_eq!(new.use_().faults_since_start(), 0);
    assert_ne!(old.quarantine(), QuarantineState::Closed, "and the old one keeps its own");
}

#[test]
fn what_does_not_start_is_quarantined_too_and_every_start_counts_once() {
    let text = r#"(func (export "lifecycle#configure") (param i32 i32) (result i32) unreachable)
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;
    let spec = UseSpec { limits: limits(2), ..spec(&[]) };
    let instances = Instances::new(use_of(spec, &plugin(&["lifecycle", "balancer"], text)).unwrap());
    for _ in 0..50 {
        instances.pick(&mut context()).unwrap_err();
    }
    assert_eq!(instances.use_().faults_since_start(), 1, "49 calls came while it was not tried again");
    assert_eq!(instances.use_().quarantine(), QuarantineState::Closed);
}
