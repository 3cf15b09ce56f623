//! A plugin that fails, loops, grows or lies costs nobody but itself.

use std::time::{Duration, Instant};

use super::*;
use crate::plugin::{Cap, Choice, FaultKind, Role, Verdict};

fn fault_of(roles: &[&str], body: &str) -> (FaultKind, String) {
    let instances = instances(roles, body);
    let fault = instances.pick(&mut context()).now().unwrap_err();
    assert_eq!(instances.use_().stats.faults(Role::Balancer, fault.kind), 1);
    (fault.kind, fault.message)
}

#[test]
fn a_trap_is_a_fault_and_the_next_call_starts_fresh() {
    let instances = instances(
        &["balancer"],
        r#"(global $calls (mut i32) (i32.const 0))
        (func (export "balancer#pick") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.eq (global.get $calls) (i32.const 2)) (then unreachable))
            (call $answer (i32.const 1) (i32.const 0)))"#,
    );
    let mut context = context();
    for _ in 0..3 {
        assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Node(0)));
        let fault = instances.pick(&mut context).now().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Trap);
        assert!(fault.message.contains("unreachable"), "{fault}");
        assert_eq!(context.as_ref().unwrap().request.path(), b"/trial?of=plugin");
    }
    assert_eq!(instances.use_().stats.faults(Role::Balancer, FaultKind::Trap), 3);
    assert_eq!(instances.use_().stats.calls(Role::Balancer), 6);
}

#[test]
fn an_endless_loop_is_ended() {
    let start = Instant::now();
    let body = r#"(func (export "balancer#pick") (result i32) (loop (br 0)) unreachable)"#;
    let mut spec = spec(&[]);
    spec.limits = Limits::default();
    let instances = Instances::new(use_of(spec, &plugin(&["balancer"], body)).unwrap());
    let fault = instances.pick(&mut context()).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert_eq!(fault.message, "it used up its 1 ms of CPU time");
    // Far above what it takes, and far below for ever.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn growth_beyond_the_cap_is_refused_and_named() {
    let (kind, _) = fault_of(
        &["balancer"],
        r#"(func (export "balancer#pick") (result i32)
            (loop (br_if 0 (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
            unreachable)"#,
    );
    assert_eq!(kind, FaultKind::Memory);
}

#[test]
fn a_plugin_that_copes_with_refused_memory_goes_on() {
    let instances = instances(
        &["balancer"],
        r#"(func (export "balancer#pick") (result i32)
            (drop (memory.grow (i32.const 60000)))
            (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Abstain));
}

#[test]
fn endless_recursion_ends_at_the_stack_cap() {
    let (kind, message) = fault_of(
        &["balancer"],
        r#"(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))
        (func (export "balancer#pick") (result i32) (call $deeper (i32.const 0)))"#,
    );
    assert_eq!(kind, FaultKind::Trap);
    assert!(message.contains("call stack exhausted"), "{message}");
}

#[test]
fn answers_that_make_no_sense_are_faults() {
    for (case, payload, words) in [
        (1, 2, "node 2, of 2 candidates"),
        (1, -1, "node 4294967295"),
        (2, 7, "not 7"),
        (2, 199, "not 199"),
        (2, 600, "not 600"),
    ] {
        let answer = format!("(call $answer (i32.const {case}) (i32.const {payload}))");
        let body = format!("(func (export \"balancer#pick\") (result i32) {answer})");
        let (kind, message) = fault_of(&["balancer"], &body);
        assert_eq!(kind, FaultKind::Garbage);
        assert!(message.contains(words), "{message}");
    }
    let (kind, _) = fault_of(
        &["balancer"],
        r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 9) (i32.const 0)))"#,
    );
    assert_eq!(kind, FaultKind::Trap, "a case that the contract does not have");
}

/// Edits everything there is, and then ends as it is told.
fn editor(end: &str) -> Instances {
    let body = format!(
        r#"
        (import "request" "set-header" (func $set (param i32 i32 i32 i32 i32)))
        (import "request" "set-path" (func $path (param i32 i32 i32)))
        (import "request" "set-note" (func $note (param i64)))
        (import "response" "set-header" (func $set-response (param i32 i32 i32 i32 i32)))
        (import "response" "set-status" (func $status (param i32 i32)))
        (import "reply" "set-body" (func $body (param i32 i32 i32)))
        ;; ---
        (data (i32.const 16) "host-name")
        (data (i32.const 32) "/edited")
        (func (export "filter#on-request") (result i32)
            (call $set (i32.const 16) (i32.const 9) (i32.const 33) (i32.const 6) (i32.const 64))
            (call $path (i32.const 32) (i32.const 7) (i32.const 64))
            (call $note (i64.const 7))
            (call $body (i32.const 32) (i32.const 7) (i32.const 64))
            {end})
        (func (export "filter#on-response") (result i32)
            (call $set-response (i32.const 16) (i32.const 9) (i32.const 33) (i32.const 6) (i32.const 64))
            (call $status (i32.const 418) (i32.const 64))
            {end})"#
    );
    instances(&["filter"], &body)
}

#[test]
fn the_edits_of_a_faulting_call_are_dropped() {
    for end in ["unreachable", "(call $verdict (i32.const 1) (i32.const 7))"] {
        let instances = editor(end);
        let mut context = context();
        instances.on_request(&mut context).now().unwrap_err();
        instances.on_response(&mut context).now().unwrap_err();
        let context = context.unwrap();
        assert_eq!(context.request.path(), b"/trial?of=plugin");
        assert_eq!(context.request.fields.get("host-name"), None);
        assert_eq!(context.response.fields.get("host-name"), None);
        assert_eq!(context.response.status, 200);
        assert!(context.notes.is_empty() && context.reply.body.is_empty());
    }
}

#[test]
fn the_edits_of_a_call_that_returns_count() {
    let instances = editor("(call $verdict (i32.const 0) (i32.const 0))");
    let mut context = context();
    assert_eq!(instances.on_request(&mut context).now(), Ok(Verdict::GoOn));
    assert_eq!(instances.on_response(&mut context).now(), Ok(Verdict::GoOn));
    assert_eq!(note(&context), 7);
    let context = context.unwrap();
    assert_eq!(context.request.path(), b"/edited");
    assert_eq!(context.request.fields.get("host-name"), Some(&b"edited"[..]));
    assert_eq!(context.response.fields.get("host-name"), Some(&b"edited"[..]));
    assert_eq!(context.response.status, 418);
    assert!(context.reply.body.is_empty(), "a reply counts with an answer only");
}

#[test]
fn a_reply_counts_with_an_answer() {
    let instances = editor("(call $verdict (i32.const 1) (i32.const 403))");
    let mut context = context();
    assert_eq!(instances.on_request(&mut context).now(), Ok(Verdict::Answer(403)));
    assert_eq!(context.unwrap().reply.body, b"/edited");
}

#[test]
fn an_instance_that_does_not_start_is_not_started_at_every_call() {
    let instances = instances(
        &["lifecycle", "balancer"],
        r#"(func (export "lifecycle#configure") (param i32 i32) (result i32) unreachable)
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    let mut context = context();
    let fault = instances.pick(&mut context).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Start);
    assert!(fault.message.contains("unreachable"), "{fault}");
    let fault = instances.pick(&mut context).now().unwrap_err();
    assert_eq!((fault.kind, &*fault.message), (FaultKind::Start, "it failed to start a moment ago"));
}

#[test]
fn a_plugin_that_keeps_logging_is_cut_short_and_counted() {
    let instances = instances(
        &["balancer"],
        r#"
        (import "log" "write" (func $log (param i32 i32 i32)))
        ;; ---
        (func (export "balancer#pick") (result i32)
            (local $line i32)
            (loop
                (call $log (i32.const 2) (i32.const 16) (i32.const 4))
                (local.set $line (i32.add (local.get $line) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $line) (i32.const 25))))
            (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Abstain));
    assert_eq!(instances.use_().stats.capped(Cap::LogLines), 5);
}
