//! Each role is played, and what it answers arrives.

use super::*;
use crate::plugin::{Choice, Decision, FaultKind, Role, Scope, Verdict};

#[test]
fn a_policy_picks_a_candidate() {
    let instances = instances(
        &["balancer"],
        r#"
        (import "nodes" "count" (func $count (result i32)))
        ;; ---
        (func (export "balancer#pick") (result i32)
            (call $answer (i32.const 1) (i32.sub (call $count) (i32.const 1))))"#,
    );
    let mut context = context();
    assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Node(1)));
    assert_eq!(context.unwrap().request.path(), b"/trial?of=plugin");
    assert_eq!(instances.use_().stats.calls(Role::Balancer), 1);
}

#[test]
fn a_policy_sees_loads_and_ids() {
    // Picks the index in the first load of two-random, and notes the weight of candidate 1.
    let instances = instances(
        &["balancer"],
        r#"
        (import "nodes" "two-random" (func $two (param i32)))
        (import "nodes" "load-of" (func $load (param i32 i32)))
        (import "nodes" "find" (func $find (param i32 i32 i32)))
        (import "request" "set-note" (func $set-note (param i64)))
        ;; ---
        (data (i32.const 16) "trial-2")
        (func (export "balancer#pick") (result i32)
            (call $two (i32.const 64))
            (call $load (i32.const 1) (i32.const 128))
            (call $set-note (i64.load32_u (i32.const 144)))
            (call $find (i32.const 16) (i32.const 7) (i32.const 256))
            (call $answer (i32.load8_u (i32.const 64)) (i32.load (i32.const 260))))"#,
    );
    let mut context = context();
    assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Node(1)));
    assert_eq!(note(&context), 1000);
}

#[test]
fn what_an_abstaining_policy_keeps_waits_for_the_caller_to_settle() {
    let instances = instances(
        &["balancer"],
        r#"
        (import "nodes" "keep" (func $keep (param i32 i32)))
        ;; ---
        (data (i32.const 16) "\01\00\00\00")
        (func (export "balancer#pick") (result i32)
            (call $keep (i32.const 16) (i32.const 1))
            (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    let mut context = context();
    assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Abstain));
    let selection = &mut context.as_mut().unwrap().selection;
    assert_eq!(selection.count(), 2);
    selection.settle();
    assert_eq!(selection.count(), 1);
    assert_eq!(&*selection.candidate(0).unwrap().node.spec.id, "trial-2");
}

fn router(case: u8, payload: &str) -> Instances {
    let body = format!(
        r#"(data (i32.const 16) "/new")
        (func (export "router#route") (result i32)
            (i32.store8 (i32.const 1024) (i32.const {case}))
            {payload}
            (i32.const 1024))"#
    );
    instances(&["router"], &body)
}

#[test]
fn a_router_goes_on_names_a_pool_answers_or_redirects() {
    let mut context = context();
    assert_eq!(router(0, "").route(&mut context).now(), Ok(Decision::GoOn));
    let pool =
        router(1, "(i32.store (i32.const 1028) (i32.const 17)) (i32.store (i32.const 1032) (i32.const 3))");
    assert_eq!(pool.route(&mut context).now(), Ok(Decision::Pool("new".to_owned())));
    assert_eq!(
        router(2, "(i32.store (i32.const 1028) (i32.const 404))").route(&mut context).now(),
        Ok(Decision::Answer(404))
    );
    let redirect = |status: u16| {
        let payload = format!(
            "(i32.store16 (i32.const 1028) (i32.const {status}))
             (i32.store (i32.const 1032) (i32.const 16)) (i32.store (i32.const 1036) (i32.const 4))"
        );
        router(3, &payload)
    };
    let found = Decision::Redirect { status: 308, location: "/new".to_owned() };
    assert_eq!(redirect(308).route(&mut context).now(), Ok(found));
    assert_eq!(redirect(200).route(&mut context).now().unwrap_err().kind, FaultKind::Garbage);
}

#[test]
fn an_observer_reads_the_outcome() {
    let instances = instances(
        &["observer"],
        r#"
        (import "outcome" "latency" (func $latency (result i64)))
        (import "outcome" "status" (func $status (param i32)))
        (import "request" "set-note" (func $set-note (param i64)))
        ;; ---
        (func (export "observer#on-complete")
            (call $status (i32.const 16))
            (call $set-note (i64.add (call $latency) (i64.load16_u (i32.const 18)))))"#,
    );
    let mut context = context();
    assert_eq!(instances.on_complete(&mut context).now(), Ok(()));
    assert_eq!(note(&context), 1000 + 200);
}

#[test]
fn a_timer_says_when_and_ticks() {
    let timer = |period: u64| {
        let body = format!(
            r#"
            (import "metrics" "counter" (func $counter (param i32 i32 i64)))
            ;; ---
            (data (i32.const 16) "ticks")
            (func (export "timer#period") (result i32)
                (i64.store (i32.const 1024) (i64.const {period}))
                (i32.store8 (i32.const 1032) (i32.const 1))
                (i32.const 1024))
            (func (export "timer#tick") (call $counter (i32.const 16) (i32.const 5) (i64.const 2)))"#
        );
        instances(&["timer"], &body)
    };
    let instances = timer(250);
    let schedule = instances.period().unwrap().unwrap();
    assert_eq!((schedule.period_ms, schedule.scope), (250, Scope::OneWorker));
    instances.tick().now().unwrap();
    let mut text = String::new();
    instances.use_().services.metrics.render(&mut text);
    assert!(text.contains("bascule_plugin_ticks{use=\"test\"} 2"), "{text}");
    assert_eq!(timer(0).period().unwrap_err().kind, FaultKind::Garbage);
}

#[test]
fn a_role_that_is_not_played_has_no_opinion_and_costs_no_call() {
    let instances = instances(
        &["balancer"],
        r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    let mut context = context();
    assert_eq!(instances.route(&mut context).now(), Ok(Decision::GoOn));
    assert_eq!(instances.on_request(&mut context).now(), Ok(Verdict::GoOn));
    assert_eq!(instances.on_response(&mut context).now(), Ok(Verdict::GoOn));
    assert_eq!(instances.on_complete(&mut context).now(), Ok(()));
    assert_eq!(instances.period(), Ok(None));
    for role in Role::ALL {
        assert_eq!(instances.use_().stats.calls(role), 0);
    }
}

#[test]
fn a_plugin_does_without_on_request_if_it_says_so_in_time() {
    let body = |when: &str, then: &str| {
        format!(
            r#"(import "spare" "on-request" (func $spare))
            ;; ---
            (func (export "lifecycle#configure") (param i32 i32) (result i32)
                {when} (i32.store8 (i32.const 512) (i32.const 0)) (i32.const 512))
            (func (export "filter#on-request") (result i32) {then} (call $verdict (i32.const 0) (i32.const 0)))
            (func (export "filter#on-response") (result i32) (call $verdict (i32.const 2) (i32.const 0)))"#
        )
    };
    let calls = |body: &str| {
        let instances = instances(&["lifecycle", "filter"], body);
        instances.warm_up().unwrap();
        let mut context = context();
        for _ in 0..2 {
            assert_eq!(instances.on_request(&mut context).now(), Ok(Verdict::GoOn));
        }
        assert_eq!(instances.on_response(&mut context).now(), Ok(Verdict::Done));
        instances.use_().stats.calls(Role::Filter)
    };
    assert_eq!(calls(&body("(call $spare)", "")), 1, "on-response alone");
    assert_eq!(calls(&body("", "(call $spare)")), 3, "later it changes nothing");
}

#[test]
fn a_policy_does_without_the_response_for_one_pick() {
    // It says so while the request has no note, and again in on-response, where that changes nothing.
    let body = r#"
        (import "spare" "on-response" (func $spare))
        (import "request" "note" (func $get (result i64)))
        (import "request" "set-note" (func $set (param i64)))
        ;; ---
        (func (export "balancer#pick") (result i32)
            (if (i64.eqz (call $get)) (then (call $spare)))
            (call $set (i64.const 1))
            (call $answer (i32.const 1) (i32.const 0)))
        (func (export "filter#on-request") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32)
            (call $spare) (call $verdict (i32.const 0) (i32.const 0)))"#;
    let instances = instances(&["balancer", "filter"], body);
    let mut context = context();
    let mut picks = || {
        assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Node(0)));
        context.as_ref().unwrap().spares_response
    };
    assert_eq!([picks(), picks()], [true, false]);
    assert_eq!(instances.on_response(&mut context).now(), Ok(Verdict::GoOn));
    assert!(!context.unwrap().spares_response);
}
