//! Each bound holds, is counted under its name, and ends what it says.

use super::*;
use crate::plugin::{Cap, Choice, FaultKind, Start, Verdict};

const ABSTAIN: &str = "(call $answer (i32.const 0) (i32.const 0))";

/// A policy that does this, after these imports, under these limits.
fn policy(limits: Limits, imports: &str, body: &str) -> Instances {
    let text =
        format!("{imports}\n;; ---\n(func (export \"balancer#pick\") (result i32) (local $i i32) {body})");
    let spec = UseSpec { limits, ..spec(&["shared"]) };
    Instances::new(use_of(spec, &plugin(&["balancer"], &text)).unwrap())
}

fn limits() -> Limits {
    spec(&[]).limits
}

fn capped(instances: &Instances) -> Vec<(&'static str, u64)> {
    let stats = &instances.use_().stats;
    let all = Cap::ALL.into_iter().map(|cap| (cap.name(), stats.capped(cap)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_loop_a_deep_recursion_and_a_greedy_growth_are_counted() {
    let looping = policy(Limits::default(), "", "(loop (br 0)) unreachable");
    assert_eq!(looping.pick(&mut context()).now().unwrap_err().kind, FaultKind::Deadline);
    assert_eq!(capped(&looping), [("deadline", 1)]);

    let text = r#"(func $deep (result i32) (i32.add (i32.const 1) (call $deep)))
        (func (export "balancer#pick") (result i32) (call $deep))"#;
    let deep = instances(&["balancer"], text);
    assert_eq!(deep.pick(&mut context()).now().unwrap_err().kind, FaultKind::Trap);
    assert_eq!(capped(&deep), [("stack", 1)]);

    let greedy = policy(limits(), "", &format!("(drop (memory.grow (i32.const 60000))) {ABSTAIN}"));
    assert_eq!(greedy.pick(&mut context()).now(), Ok(Choice::Abstain));
    assert_eq!(capped(&greedy), [("memory", 1)]);
}

#[test]
fn tables_have_a_configured_end() {
    let text = r#"(table $t 1 funcref)
        (func (export "balancer#pick") (result i32)
            (call $answer (i32.const 1) (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 5000)))))"#;
    for (table_elements, grew) in [(20_000, 1), (1_000, 0)] {
        let spec = UseSpec { limits: Limits { table_elements, ..limits() }, ..spec(&[]) };
        let instances = Instances::new(use_of(spec, &plugin(&["balancer"], text)).unwrap());
        assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Node(grew)));
        assert_eq!(instances.use_().stats.capped(Cap::Table), u64::from(grew == 0));
    }
}

#[test]
fn a_plugin_of_too_many_parts_does_not_start() {
    let text: String = (0..20).map(|table| format!("(table $t{table} 1 funcref)")).collect();
    let text = format!("{text}(func (export \"balancer#pick\") (result i32) {ABSTAIN})");
    let many = instances(&["balancer"], &text);
    let fault = many.pick(&mut context()).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Start);
    assert!(fault.message.contains("resource limit exceeded"), "{fault}");
    assert_eq!(capped(&many), [("parts", 1)]);
}

#[test]
fn what_one_import_is_handed_has_a_configured_end() {
    let import = r#"(import "log" "write" (func $log (param i32 i32 i32)))"#;
    let body = format!("(call $log (i32.const 0) (i32.const 0) (i32.const 100000)) {ABSTAIN}");
    assert_eq!(policy(limits(), import, &body).pick(&mut context()).now(), Ok(Choice::Abstain));
    let tight = policy(Limits { import_bytes: 65_536, ..limits() }, import, &body);
    let fault = tight.pick(&mut context()).now().unwrap_err();
    assert!(fault.message.contains("hostcalls"), "{fault}");
    assert_eq!(capped(&tight), [("import_bytes", 1)]);
}

#[test]
fn lines_and_names_of_metrics_are_counted_beyond_their_end() {
    let imports = r#"(import "log" "write" (func $log (param i32 i32 i32)))
        (import "metrics" "counter" (func $count (param i32 i32 i64)))"#;
    let body = format!(
        r#"(call $log (i32.const 0) (i32.const 2048) (i32.const 5000))
        (call $count (i32.const 2048) (i32.const 101) (i64.const 1))
        (memory.fill (i32.const 2048) (i32.const 97) (i32.const 64))
        (loop
            (call $log (i32.const 0) (i32.const 2048) (i32.const 5))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (call $count (i32.const 2048) (local.get $i) (i64.const 1))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 70))))
        {ABSTAIN}"#
    );
    let chatty = policy(limits(), imports, &body);
    assert_eq!(chatty.pick(&mut context()).now(), Ok(Choice::Abstain));
    // 71 lines of which 20 are written; a name of 101 bytes, and 70 names of which 6 are too many.
    assert_eq!(capped(&chatty), [("metric_names", 7), ("log_lines", 51), ("log_line_bytes", 1)]);
}

#[test]
fn notes_and_shared_values_are_counted_beyond_their_end() {
    let imports = r#"(import "request" "set-note-text" (func $note (param i32 i32 i32)))
        (import "shared" "set" (func $set (param i32 i32 i32 i32 i64 i32)))"#;
    let body = format!(
        r#"(call $note (i32.const 2048) (i32.const 1025) (i32.const 64))
        (call $set (i32.const 2048) (i32.const 257) (i32.const 0) (i32.const 0) (i64.const 9) (i32.const 64))
        {ABSTAIN}"#
    );
    let large = policy(limits(), imports, &body);
    assert_eq!(large.pick(&mut context()).now(), Ok(Choice::Abstain));
    assert_eq!(capped(&large), [("note", 1), ("store", 1)]);
}

#[test]
fn refused_edits_are_counted_by_what_they_are() {
    let text = r#"
        (import "request" "set-header" (func $set (param i32 i32 i32 i32 i32)))
        (import "request" "set-path" (func $path (param i32 i32 i32)))
        (import "reply" "set-body" (func $body (param i32 i32 i32)))
        ;; ---
        (data (i32.const 16) "te\0d\0ax-y")
        (func (export "filter#on-request") (result i32)
            (drop (memory.grow (i32.const 32)))
            (call $set (i32.const 16) (i32.const 2) (i32.const 20) (i32.const 3) (i32.const 64))
            (call $set (i32.const 20) (i32.const 3) (i32.const 16) (i32.const 4) (i32.const 64))
            (call $set (i32.const 2048) (i32.const 257) (i32.const 16) (i32.const 2) (i32.const 64))
            (call $path (i32.const 2048) (i32.const 16385) (i32.const 64))
            (call $body (i32.const 2048) (i32.const 1048577) (i32.const 64))
            (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#;
    let editor = instances(&["filter"], text);
    assert_eq!(editor.on_request(&mut context()).now(), Ok(Verdict::GoOn));
    assert_eq!(capped(&editor), [("value_bytes", 2), ("forbidden", 2), ("reply_body", 1)]);
}

#[test]
fn what_keeps_half_a_million_candidates_holds_up_nobody() {
    let import = r#"(import "nodes" "keep" (func $keep (param i32 i32)))"#;
    let body = format!(
        "(drop (memory.grow (i32.const 40))) (call $keep (i32.const 0) (i32.const 500000)) {ABSTAIN}"
    );
    let keeper = policy(limits(), import, &body);
    let mut context = context();
    assert_eq!(keeper.pick(&mut context).now(), Ok(Choice::Abstain));
    context.as_mut().unwrap().selection.settle();
    assert_eq!(context.as_ref().unwrap().selection.count(), 1, "the zeroes, of which two were read");
    assert_eq!(keeper.use_().stats.starts(Start::InCall), 1);
}
