//! The WASI that Rust's standard library needs: through the adapter, as plugins for wasm32-wasip1 do it.

use super::*;
use crate::plugin::{Choice, FaultKind};

/// A policy over WASI's preview 1: `body` sees fd_write, random_get, clock_time_get, environ_sizes_get, proc_exit.
fn policy(body: &str) -> Instances {
    let body = format!(
        r#"
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "request" "set-note" (func $note (param i64)))
        ;; ---
        (func (export "balancer#pick") (result i32) {body} (call $answer (i32.const 0) (i32.const 0)))
        (data (i32.const 16) "one\0atwo\0athr")
        (data (i32.const 32) "\10\00\00\00\0b\00\00\00")"#
    );
    instances(&["balancer"], &body)
}

#[test]
fn what_a_plugin_prints_is_logged_by_lines() {
    let instances = policy("(drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 64)))");
    let log = logged(|| assert_eq!(instances.pick(&mut context()).now(), Ok(Choice::Abstain)));
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, words) in lines.iter().zip(["one", "two", "thr"]) {
        assert!(line.contains("WARN") && line.contains(words), "{line}");
        assert!(
            ["plugin=\"test\"", "role=\"balancer\"", "request_id=\"0000000000000000\""]
                .iter()
                .all(|field| line.contains(field)),
            "{line}"
        );
    }
}

#[test]
fn what_a_plugin_prints_before_it_fails_stands_in_one_line_with_the_fault() {
    let instances =
        policy("(drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 64))) unreachable");
    let log = logged(|| {
        let fault = instances.pick(&mut context()).now().unwrap_err();
        assert!(fault.message.starts_with("one; two; thr (wasm trap"), "{fault}");
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    for field in [
        "one; two; thr (wasm trap: wasm `unreachable`",
        "plugin=\"test\"",
        "version=",
        "role=\"balancer\"",
        "function=\"pick\"",
        "request_id=\"0000000000000000\"",
        "kind=\"trap\"",
    ] {
        assert!(log.contains(field), "{field} is missing in {log}");
    }
}

#[test]
fn a_start_that_fails_says_what_the_plugin_said() {
    let body = r#"
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        ;; ---
        (func (export "lifecycle#configure") (param i32 i32) (result i32)
            (drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 64)))
            unreachable)
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))
        (data (i32.const 16) "no such key")
        (data (i32.const 32) "\10\00\00\00\0b\00\00\00")"#;
    let used = use_of(spec(&[]), &plugin(&["lifecycle", "balancer"], body)).unwrap();
    let refused = used.trial().unwrap_err().to_string();
    assert!(
        refused.starts_with(
            "plugin \"test\": it could not be started: trap: no such key (wasm trap: wasm `unreachable`"
        ),
        "{refused}"
    );
}

#[test]
fn randomness_and_clocks_work_and_the_environment_is_empty() {
    let instances = policy(
        r#"(if (call $random (i32.const 64) (i32.const 8)) (then unreachable))
        (if (call $clock (i32.const 1) (i64.const 1) (i32.const 72)) (then unreachable))
        (if (call $environ (i32.const 80) (i32.const 84)) (then unreachable))
        (if (i32.load (i32.const 80)) (then unreachable))
        (call $note (i64.load (i32.const 64)))"#,
    );
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut context = context();
        assert_eq!(instances.pick(&mut context).now(), Ok(Choice::Abstain));
        seen.push(note(&context));
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn exit_ends_the_call_and_nothing_else() {
    let instances = policy("(call $exit (i32.const 0))");
    let fault = instances.pick(&mut context()).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("exit"), "{fault}");
}

#[test]
fn waiting_ends_the_call_instead_of_the_worker() {
    // Sleeps a second: one subscription to the monotonic clock.
    let instances = policy(
        r#"(i32.store8 (i32.const 136) (i32.const 0))
        (i32.store (i32.const 144) (i32.const 1))
        (i64.store (i32.const 152) (i64.const 1000000000))
        (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 512)))"#,
    );
    let fault = instances.pick(&mut context()).now().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("which is not for plugins"), "{fault}");
}
