//! Plugins that fail in one way each, and what a check says of them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::author::plain_use;
use crate::plugin::testing::plugin;

fn checked(roles: &[&str], body: &str) -> Result<Checked, Problem> {
    check(&plugin(roles, body), plain_use("test"), true)
}

const ABSTAIN: &str =
    r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;

#[test]
fn a_good_plugin_is_fine_and_every_call_of_it_counts() {
    let checked = checked(&["balancer"], ABSTAIN).unwrap();
    assert!(checked.is_fine(), "{checked}");
    let expected = Scene::odd().len() as u32 * POOLS.len() as u32 * ROUNDS;
    assert_eq!(checked.functions[0].calls, expected);
    assert_eq!(checked.memory, [128 * 1024; 2], "two pages");
}

#[test]
fn a_fault_that_only_a_large_pool_shows_is_found() {
    let body = r#"
        (import "nodes" "count" (func $count (result i32)))
        ;; ---
        (func (export "balancer#pick") (result i32)
            (if (i32.gt_u (call $count) (i32.const 999)) (then unreachable))
            (call $answer (i32.const 0) (i32.const 0)))"#;
    let checked = checked(&["balancer"], body).unwrap();
    let text = checked.to_string();
    assert!(!checked.is_fine());
    assert!(
        text.contains("FAULT pick") && text.contains("first on a plain request, 1000 nodes: trap"),
        "{text}"
    );
    assert_eq!(checked.functions[0].faults.len(), 1, "told once: {text}");
}

#[test]
fn a_pick_of_a_node_that_is_not_there_is_a_fault() {
    let body = r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 1) (i32.const 1)))"#;
    let text = checked(&["balancer"], body).unwrap().to_string();
    assert!(text.contains("garbage: pick answered node 1, of 0 candidates"), "{text}");
}

#[test]
fn a_grant_that_is_needed_is_told_and_without_it_refused() {
    let body = format!("(import \"shared\" \"delete\" (func (param i32 i32 i32)))\n;; ---\n{ABSTAIN}");
    let file = plugin(&["balancer"], &body);
    let fine = check(&file, plain_use("test"), true).unwrap();
    assert!(fine.is_fine() && fine.to_string().contains("write `grants = [\"shared\"]`"), "{fine}");
    let error = check(&file, plain_use("test"), false).unwrap_err();
    assert!(error.to_string().contains("which it is not granted"), "{error}");
}

#[test]
fn who_refuses_a_configuration_is_right_and_who_fails_over_it_is_not() {
    let refuse = format!(
        r#"(data (i32.const 16) "no such key")
        (func (export "lifecycle#configure") (param i32 i32) (result i32)
            (i32.store8 (i32.const 1024) (i32.const 1))
            (i32.store (i32.const 1028) (i32.const 16))
            (i32.store (i32.const 1032) (i32.const 11))
            (i32.const 1024)) {ABSTAIN}"#
    );
    let error = checked(&["lifecycle", "balancer"], &refuse).unwrap_err();
    assert!(matches!(&error, Problem::Input(text) if text.contains("no such key")), "{error}");
    let fail = format!(
        r#"(func (export "lifecycle#configure") (param i32 i32) (result i32) unreachable) {ABSTAIN}"#
    );
    let checked = checked(&["lifecycle", "balancer"], &fail).unwrap();
    assert!(!checked.is_fine() && checked.to_string().contains("FAULT configure"), "{checked}");
}

#[test]
fn what_is_no_plugin_is_wrong_input() {
    assert!(matches!(check(b"hello", plain_use("test"), true), Err(Problem::Input(_))));
}
