//! What is done between calls: spares, and fresh instances for worn ones.

use std::time::Instant;

use super::*;
use crate::plugin::{Choice, FaultKind, Start, Worn};

/// A policy that answers how many calls this instance had before, and fails when it had this many.
fn counting(limits: Limits, fails_at: u32) -> Instances {
    let text = format!(
        r#"(global $calls (mut i32) (i32.const -1))
        (func (export "balancer#pick") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.eq (global.get $calls) (i32.const {fails_at})) (then unreachable))
            (call $answer (i32.const 2) (i32.add (i32.const 200) (global.get $calls))))"#
    );
    Instances::new(use_of(UseSpec { limits, ..spec(&[]) }, &plugin(&["balancer"], &text)).unwrap())
}

fn limits() -> Limits {
    Limits { quarantine: None, ..spec(&[]).limits }
}

/// How many calls the instance had before this one.
fn calls_before(instances: &Instances) -> u16 {
    match instances.pick(&mut context()).now() {
        Ok(Choice::Reject(status)) => status - 200,
        other => panic!("{other:?}"),
    }
}

fn starts(instances: &Instances) -> [u64; 3] {
    [Start::InCall, Start::Ahead, Start::Spare].map(|start| instances.use_().stats.starts(start))
}

/// Looks after the instances until there is nothing to do.
fn tend(instances: &Instances) {
    while instances.tend(Instant::now()) {}
}

#[test]
fn an_instance_is_started_before_the_first_call() {
    let instances = counting(limits(), 99);
    tend(&instances);
    assert_eq!(starts(&instances), [0, 1, 0]);
    calls_before(&instances);
    assert_eq!(starts(&instances), [0, 1, 0]);
}

#[test]
fn a_spare_takes_over_after_a_fault_and_no_call_waits_for_a_start() {
    let instances = counting(Limits { instances: Some(3), ..limits() }, 1);
    tend(&instances);
    assert_eq!(starts(&instances), [0, 3, 0], "one that works and two spares");
    for round in 1..=10 {
        assert_eq!(calls_before(&instances), 0, "a fresh one");
        assert_eq!(instances.pick(&mut context()).now().unwrap_err().kind, FaultKind::Trap);
        assert_eq!(calls_before(&instances), 0);
        assert_eq!(instances.pick(&mut context()).now().unwrap_err().kind, FaultKind::Trap);
        tend(&instances);
        assert_eq!(starts(&instances)[0], 0, "round {round}");
    }
}

#[test]
fn without_spares_the_next_call_starts_one() {
    let instances = counting(limits(), 0);
    for round in 1..=3 {
        instances.pick(&mut context()).now().unwrap_err();
        assert_eq!(starts(&instances), [round, 0, 0]);
    }
}

#[test]
fn after_its_number_of_calls_an_instance_gives_way_between_calls() {
    let instances = counting(Limits { recycle_calls: Some(3), ..limits() }, 99);
    for call in 0..3 {
        assert_eq!(calls_before(&instances), call);
        tend(&instances);
    }
    assert_eq!(calls_before(&instances), 0, "the third call was its last");
    assert_eq!(instances.use_().stats.recycled(Worn::Calls), 1);
    assert_eq!(starts(&instances), [1, 1, 0], "the fresh one was started ahead");
}

#[test]
fn an_instance_whose_memory_grows_gives_way_before_it_hits_the_cap() {
    let text = r#"(func (export "balancer#pick") (result i32)
        (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then unreachable))
        (call $answer (i32.const 1) (i32.const 0)))"#;
    let limits = Limits { memory: 16 << 20, recycle_memory: 4 << 20, ..limits() };
    let instances =
        Instances::new(use_of(UseSpec { limits, ..spec(&[]) }, &plugin(&["balancer"], text)).unwrap());
    // 16 calls would fill the cap; the mark is met after four. Instances live a second at least.
    let later = Duration::from_secs(2);
    for _ in 0..100 {
        assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Node(0)));
        instances.tend(Instant::now() + later);
    }
    let recycled = instances.use_().stats.recycled(Worn::Memory);
    assert!((15..=34).contains(&recycled), "{recycled} of 100");
    assert_eq!(instances.use_().stats.all_faults(), 0);
}

#[test]
fn a_mark_below_what_a_plugin_needs_from_its_start_starts_none_for_ever() {
    let limits = Limits { recycle_memory: 1, ..limits() };
    let instances = counting(limits, 999);
    for call in 0..10 {
        assert_eq!(calls_before(&instances), call);
        assert!(!instances.tend(Instant::now() + Duration::from_secs(2)));
    }
}

#[test]
fn starts_that_fail_are_tried_less_and_less_often() {
    let text = r#"(func (export "lifecycle#configure") (param i32 i32) (result i32) unreachable)
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;
    let spec = UseSpec { limits: limits(), ..spec(&[]) };
    let instances = Instances::new(use_of(spec, &plugin(&["lifecycle", "balancer"], text)).unwrap());
    let start = Instant::now();
    let mut tried = Vec::new();
    for ms in 0..5_000 {
        if instances.tend(start + Duration::from_millis(ms)) {
            tried.push(ms);
        }
    }
    assert_eq!(tried, [0, 200, 600, 1400, 3000]);
    assert_eq!(instances.use_().faults_since_start(), 5);
}
