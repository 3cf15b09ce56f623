//! What a plugin keeps outside its instance is there for the next one.

use super::*;
use crate::plugin::{Choice, Services};
use crate::store::{Owner, Scope};

#[test]
fn a_shared_number_survives_the_instance() {
    let body = r#"
        (import "shared" "add" (func $add (param i32 i32 i64 i64 i32)))
        (import "request" "set-note" (func $note (param i64)))
        ;; ---
        (data (i32.const 16) "seen")
        (func (export "balancer#pick") (result i32)
            (call $add (i32.const 16) (i32.const 4) (i64.const 5) (i64.const 60000) (i32.const 128))
            (call $note (i64.load (i32.const 136)))
            (call $answer (i32.const 0) (i32.const 0)))"#;
    let first = granted(&["shared"], &["balancer"], body);
    let second = Instances::new(Arc::clone(first.use_()));
    let mut context = context();
    first.pick(&mut context).now().unwrap();
    second.pick(&mut context).now().unwrap();
    assert_eq!(note(&context), 10);
}

#[test]
fn a_session_is_bound_and_found() {
    // Binds to "trial-2", then picks what `find` says of what `get` says of the token.
    let body = r#"
        (import "sessions" "bind" (func $bind (param i32 i32 i32 i32 i32 i64 i32 i32 i32 i32)))
        (import "sessions" "get" (func $get (param i32 i32 i32)))
        (import "nodes" "find" (func $find (param i32 i32 i32)))
        ;; ---
        (data (i32.const 16) "trial-2")
        (func (export "balancer#pick") (result i32)
            (call $bind (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 7) (i64.const 60000)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
            (call $get (i32.load (i32.const 132)) (i32.load (i32.const 136)) (i32.const 256))
            (call $find (i32.load (i32.const 264)) (i32.load (i32.const 268)) (i32.const 512))
            (call $answer (i32.load8_u (i32.const 512)) (i32.load (i32.const 516))))"#;
    let instances = instances(&["balancer"], body);
    assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Node(1)));
}

#[test]
fn what_a_trial_writes_is_not_kept() {
    let body = r#"
        (import "shared" "add" (func $add (param i32 i32 i64 i64 i32)))
        (import "metrics" "counter" (func $counter (param i32 i32 i64)))
        ;; ---
        (data (i32.const 16) "seen")
        (func (export "balancer#pick") (result i32)
            (call $add (i32.const 16) (i32.const 4) (i64.const 5) (i64.const 60000) (i32.const 128))
            (call $counter (i32.const 16) (i32.const 4) (i64.const 1))
            (call $answer (i32.const 0) (i32.const 0)))"#;
    let owner = use_of(spec(&["shared"]), &plugin(&["balancer"], body)).unwrap();
    owner.trial().unwrap();
    let Services { shared, metrics, .. } = &*owner.services;
    let mut text = String::new();
    metrics.render(&mut text);
    assert_eq!(text, "");
    let space = shared.space(&"test".into(), Scope::Gateway);
    assert_eq!(space.local().unwrap().get("seen", std::time::Instant::now()), None);
    assert_eq!(owner.stats.calls(crate::plugin::Role::Balancer), 0);
}

#[test]
fn a_cookie_leads_to_where_its_client_is_bound() {
    // Picks a candidate; notes 0 for no session, 1 for a candidate, 3 for a node that cannot be picked.
    let body = r#"
        (import "sessions" "bound-by-cookie" (func $bound (param i32 i32 i32)))
        (import "request" "set-note" (func $note (param i64)))
        ;; ---
        (data (i32.const 16) "id")
        (func (export "balancer#pick") (result i32) (local $case i32)
            (call $bound (i32.const 16) (i32.const 2) (i32.const 128))
            (local.set $case (i32.add (i32.load8_u (i32.const 132))
                (i32.mul (i32.const 2) (i32.load8_u (i32.const 136)))))
            (call $note (i64.extend_i32_u (local.get $case)))
            (call $answer (i32.eq (local.get $case) (i32.const 1)) (i32.load (i32.const 140))))"#;
    let instances = instances(&["balancer"], body);
    let pick = |cookie: Option<&str>| {
        let mut context = context();
        if let Some(token) = cookie {
            context.as_mut().unwrap().request.fields.add(b"cookie", format!("id={token}").as_bytes());
        }
        let picked = instances.pick(&mut context).now().unwrap();
        (picked, note(&context))
    };
    let token = |node| {
        let of = Owner { key: 1, name: "test", pool: "trial" };
        let minute = std::time::Duration::from_secs(60);
        instances.use_().services.sessions.bind_now(&of, None, node, minute, None).unwrap().token
    };
    assert_eq!(pick(None), (Choice::Abstain, 0));
    assert_eq!(pick(Some("")), (Choice::Abstain, 0));
    assert_eq!(pick(Some("forged")), (Choice::Abstain, 0));
    assert_eq!(pick(Some(&token("trial-2"))), (Choice::Node(1), 1));
    assert_eq!(pick(Some(&token("gone"))), (Choice::Abstain, 3));
}
