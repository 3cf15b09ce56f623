//! Calls that wait: others run meanwhile, time stands still for them, and who gives up on one loses nothing but its instance.

use std::time::Instant;

use super::*;
use crate::plugin::context::RequestId;
use crate::plugin::deadline::thread_cpu_time;
use crate::plugin::{Cap, Choice, FaultKind, QuarantineState, Role, Start, Tolerance, Verdict, Worn};
use store::Store;

mod store;

fn limits() -> Limits {
    Limits { quarantine: None, ..spec(&[]).limits }
}

fn numbered(number: u64) -> Option<Box<Context>> {
    let mut context = context();
    context.as_mut().unwrap().id = RequestId::new(number);
    context
}

fn number(context: &Option<Box<Context>>) -> &str {
    context.as_ref().unwrap().id.as_str().trim_start_matches('0')
}

/// Runs a test as a worker would: on one thread.
fn on_a_worker<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
}

fn starts(instances: &Instances) -> u64 {
    Start::ALL.iter().map(|start| instances.use_().stats.starts(*start)).sum()
}

#[test]
fn a_call_that_waits_leaves_the_thread_to_others() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(limits(), "");
        let (mut first, mut second) = (numbered(1), numbered(2));
        {
            let (mut slow, mut fast) = (instances.pick(&mut first), instances.pick(&mut second));
            let of_slow = store.question(&mut slow).await;
            let of_fast = store.question(&mut fast).await;
            of_fast.answer("trial-2");
            assert_eq!(fast.await, Ok(Choice::Node(1)), "it asked later and ends sooner");
            of_slow.answer("trial-1");
            assert_eq!(slow.await, Ok(Choice::Node(0)));
        }
        assert_eq!((number(&first), number(&second)), ("1", "2"), "each has its own context again");
        assert_eq!((note(&first), note(&second)), (7, 7));
        assert_eq!(starts(&instances), 2, "one for each that was in a call");
        assert_eq!(instances.use_().stats.calls(Role::Balancer), 2);
    });
}

#[test]
fn an_instance_that_ended_its_call_makes_the_next_one() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(limits(), "");
        for _ in 0..5 {
            let mut context = context();
            let mut call = instances.pick(&mut context);
            store.question(&mut call).await.answer("trial-2");
            assert_eq!(call.await, Ok(Choice::Node(1)));
        }
        assert_eq!(starts(&instances), 1);
    });
}

#[test]
fn a_call_that_is_dropped_was_not_made_and_costs_its_instance() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(limits(), "");
        let mut context = numbered(1);
        let mut call = instances.pick(&mut context);
        let asked = store.question(&mut call).await;
        drop(call);
        assert!(asked.0.is_closed(), "nobody waits for the answer any more");
        assert_eq!((number(&context), note(&context)), ("1", 0));
        assert_eq!(instances.use_().stats.abandoned(), 1);
        assert_eq!(instances.use_().stats.all_faults(), 0);
        let mut call = instances.pick(&mut context);
        store.question(&mut call).await.answer("trial-1");
        assert_eq!(call.await, Ok(Choice::Node(0)));
        assert_eq!(starts(&instances), 2);
    });
}

#[test]
fn a_call_that_nobody_awaits_is_not_made() {
    let store = Store::new();
    let instances = store.policy(limits(), "");
    let fault = instances.pick(&mut context()).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Busy);
    assert_eq!(starts(&instances), 0);
}

#[test]
fn when_all_instances_are_in_calls_the_next_one_is_told_so() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(Limits { instances: Some(2), ..limits() }, "");
        let (mut first, mut second) = (context(), context());
        let (mut one, mut other) = (instances.pick(&mut first), instances.pick(&mut second));
        let _kept = [store.question(&mut one).await, store.question(&mut other).await];
        let fault = instances.pick(&mut context()).await.unwrap_err();
        assert_eq!((fault.kind, &*fault.message), (FaultKind::Busy, "its 2 instances are in calls already"));
        drop(one);
        let mut third = context();
        let mut next = instances.pick(&mut third);
        store.question(&mut next).await.answer("trial-1");
        assert_eq!(next.await, Ok(Choice::Node(0)), "the one that was given up left its place");
    });
}

#[test]
fn a_store_that_never_answers_holds_up_nobody_for_ever() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(limits(), "");
        let mut context = numbered(1);
        let mut call = instances.pick(&mut context);
        let _asked = store.question(&mut call).await;
        let fault = call.await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadline);
        assert_eq!(fault.message, "it took longer than 2 s with all that it waited for");
        assert_eq!((number(&context), note(&context)), ("1", 0));
        assert_eq!(instances.use_().stats.capped(Cap::Deadline), 1);
        assert_eq!(instances.use_().stats.abandoned(), 0);
    });
}

/// Counts so far, which takes a while.
fn counting(far: u64) -> String {
    format!(
        "(loop (local.set $i (i64.add (local.get $i) (i64.const 1))) (br_if 0 (i64.lt_u (local.get $i) (i64.const {far}))))"
    )
}

#[test]
fn time_in_which_it_waits_is_not_its_own() {
    on_a_worker(async {
        const DEADLINE: Duration = Duration::from_millis(20);
        let mut store = Store::new();
        // Some milliseconds of its own, before and behind those of others.
        let limits = Limits { deadline: Some(DEADLINE), ..limits() };
        let instances = store.policy(limits, &counting(2_000_000));
        let mut context = context();
        let mut call = instances.pick(&mut context);
        let asked = store.question(&mut call).await;
        let before = thread_cpu_time();
        while thread_cpu_time() - before < 3 * DEADLINE {
            std::hint::spin_loop();
        }
        asked.answer("trial-2");
        assert_eq!(call.await, Ok(Choice::Node(1)));
    });
}

#[test]
fn a_call_that_computes_gives_way_and_is_ended_at_its_deadline() {
    on_a_worker(async {
        let mut store = Store::new();
        let limits = Limits { deadline: Some(Duration::from_millis(40)), ..limits() };
        let instances = store.policy(limits, "(loop (br 0))");
        let mut context = context();
        let mut call = instances.pick(&mut context);
        store.question(&mut call).await.answer("trial-1");
        let mut turns = 0;
        let fault = loop {
            tokio::select! {
                biased;
                result = &mut call => break result.unwrap_err(),
                () = tokio::task::yield_now() => turns += 1,
            }
        };
        assert_eq!(fault.message, "it used up its 40 ms of CPU time");
        assert!(turns >= 5, "others had {turns} turns meanwhile");
    });
}

#[test]
fn a_fault_of_one_call_is_none_of_the_others() {
    on_a_worker(async {
        let mut store = Store::new();
        // It fails if the session is with a node of a longer name.
        let then = "(if (i32.gt_u (i32.load (i32.const 268)) (i32.const 7)) (then unreachable))";
        let instances = store.policy(limits(), then);
        let (mut first, mut second) = (numbered(1), numbered(2));
        let (mut good, mut bad) = (instances.pick(&mut first), instances.pick(&mut second));
        let of_good = store.question(&mut good).await;
        store.question(&mut bad).await.answer("trial-10");
        assert_eq!(bad.await.unwrap_err().kind, FaultKind::Trap);
        assert_eq!((number(&second), note(&second)), ("2", 0));
        of_good.answer("trial-1");
        assert_eq!(good.await, Ok(Choice::Node(0)));
        assert_eq!(instances.use_().stats.faults(Role::Balancer, FaultKind::Trap), 1);
    });
}

#[test]
fn edits_count_when_a_call_that_waited_returns() {
    on_a_worker(async {
        let mut store = Store::new();
        let body = r#"
            (import "sessions" "get" (func $get (param i32 i32 i32)))
            (import "request" "set-path" (func $path (param i32 i32 i32)))
            ;; ---
            (data (i32.const 16) "/edited")
            (func (export "filter#on-request") (result i32)
                (call $path (i32.const 16) (i32.const 7) (i32.const 64))
                (call $get (i32.const 16) (i32.const 5) (i32.const 256))
                (call $verdict (i32.const 0) (i32.const 0)))
            (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#;
        let filter = store.instances(limits(), &["filter"], body);
        let path = |context: &Option<Box<Context>>| context.as_ref().unwrap().request.path().to_vec();
        let mut context = context();
        let mut call = filter.on_request(&mut context);
        let _asked = store.question(&mut call).await;
        drop(call);
        assert_eq!(path(&context), b"/trial?of=plugin");
        let mut call = filter.on_request(&mut context);
        store.question(&mut call).await.answer("");
        assert_eq!(call.await, Ok(Verdict::GoOn));
        assert_eq!(path(&context), b"/edited");
    });
}

#[test]
fn an_instance_starts_without_waiting_and_asks_no_store_meanwhile() {
    // It refuses its configuration unless the store is unavailable.
    let body = r#"
        (import "sessions" "get" (func $get (param i32 i32 i32)))
        ;; ---
        (func (export "lifecycle#configure") (param i32 i32) (result i32)
            (call $get (i32.const 16) (i32.const 5) (i32.const 256))
            (if (i32.ne (i32.load8_u (i32.const 256)) (i32.const 1)) (then unreachable))
            (i32.store8 (i32.const 512) (i32.const 0))
            (i32.const 512))
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;
    let store = Store::new();
    let instances = store.instances(limits(), &["lifecycle", "balancer"], body);
    instances.warm_up().unwrap();
    assert_eq!(on_a_worker(instances.pick(&mut context())), Ok(Choice::Abstain));
    assert_eq!(starts(&instances), 1);
}

#[test]
fn a_probe_that_is_given_up_does_not_keep_a_role_shut() {
    on_a_worker(async {
        let mut store = Store::new();
        let tolerance = Tolerance { faults: std::num::NonZeroU32::MIN, window: Duration::from_secs(60) };
        let limits = Limits { quarantine: Some(tolerance), ..limits() };
        let then = "(if (i32.gt_u (i32.load (i32.const 268)) (i32.const 7)) (then unreachable))";
        let instances = store.policy(limits, then);
        let mut context = context();
        let mut call = instances.pick(&mut context);
        store.question(&mut call).await.answer("trial-10");
        call.await.unwrap_err();
        assert_eq!(instances.pick(&mut context).await.unwrap_err().kind, FaultKind::Quarantined);
        // The first pause is a second: then a call is a probe.
        let mut probe = loop {
            let mut call = instances.pick(&mut context);
            if futures_util::FutureExt::now_or_never(&mut call).is_none() {
                break call;
            }
            drop(call);
            tokio::task::yield_now().await;
        };
        let _asked = store.question(&mut probe).await;
        drop(probe);
        assert_eq!(instances.use_().quarantine(), QuarantineState::HalfOpen);
        let mut next = instances.pick(&mut context);
        store.question(&mut next).await.answer("trial-1");
        assert_eq!(next.await, Ok(Choice::Node(0)), "the next one is a probe again");
    });
}

#[test]
fn idle_instances_wear_out_and_those_that_nobody_needs_go() {
    on_a_worker(async {
        let mut store = Store::new();
        let instances = store.policy(Limits { recycle_calls: Some(2), ..limits() }, "");
        let mut contexts: [_; 4] = std::array::from_fn(|_| context());
        {
            let mut calls: Vec<_> = contexts.iter_mut().map(|context| instances.pick(context)).collect();
            for call in &mut calls {
                store.question(call).await.answer("trial-1");
            }
            for call in calls {
                assert_eq!(call.await, Ok(Choice::Node(0)));
            }
        }
        assert_eq!(starts(&instances), 4);
        let mut now = Instant::now();
        assert_eq!(instances.idle_count(), 4);
        let mut call = instances.pick(&mut contexts[0]);
        store.question(&mut call).await.answer("trial-1");
        call.await.unwrap();
        assert!(!instances.tend(now), "there are idle ones");
        assert_eq!(instances.use_().stats.recycled(Worn::Calls), 1);
        assert_eq!(instances.idle_count(), 3);
        for left in [2, 1, 1] {
            now += Duration::from_secs(5);
            instances.tend(now);
            assert_eq!(instances.idle_count(), left);
        }
    });
}
