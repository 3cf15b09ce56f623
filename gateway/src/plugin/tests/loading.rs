//! What is loaded, and in which words the rest is refused.

use std::process::Command;

use super::*;
use crate::plugin::Roles;
use crate::plugin::testing::{CONTRACT, plugin_for};

const PICK: &str =
    r#"(func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (i32.const 0)))"#;

fn sentence(component: &str) -> String {
    let file = wat::parse_str(format!("(component {component})")).unwrap();
    ENGINE.compile(&file).unwrap_err().to_string()
}

#[test]
fn a_plugin_tells_its_version_roles_and_interfaces() {
    let file = plugin(
        &["balancer", "lifecycle"],
        r#"
        (import "nodes" "count" (func $count (result i32)))
        ;; ---
        (func (export "lifecycle#configure") (param i32 i32) (result i32) (i32.const 1024))
        (func (export "balancer#pick") (result i32) (call $answer (i32.const 0) (call $count)))"#,
    );
    let module = ENGINE.compile(&file).unwrap();
    assert_eq!(module.version, crate::plugin::Version::of(&file));
    assert!(module.roles.contains(Roles::BALANCER) && module.roles.contains(Roles::LIFECYCLE));
    assert!(!module.roles.contains(Roles::FILTER));
    assert_eq!(module.interfaces, ["nodes"]);
    assert_eq!(module.size, file.len());
}

#[test]
fn a_component_is_refused_by_what_it_imports() {
    for (component, words) in [
        ("", "it plays no role"),
        (
            r#"(import "wasi:sockets/tcp@0.2.0" (instance))"#,
            "imports wasi:sockets/tcp@0.2.0, which plugins are not given",
        ),
        (r#"(import "wasi:cli/exit@0.3.0" (instance))"#, "imports wasi:cli/exit@0.3.0"),
        (r#"(import "some-function" (func))"#, "imports some-function"),
        (r#"(import "bascule:plugin/http@0.1.5" (instance))"#, "which this gateway does not have"),
        (r#"(import "bascule:plugin/nodes@0.2.0" (instance))"#, "speaks version 0.1 of the contract"),
        (
            r#"(instance $none) (export "bascule:plugin/balancer@0.1.0" (instance $none))"#,
            "without its function pick",
        ),
        (
            r#"(instance $none) (export "wasi:cli/run@0.2.0" (instance $none))"#,
            "a command with a main function",
        ),
    ] {
        let sentence = sentence(component);
        assert!(sentence.contains(words), "{component}: {sentence}");
    }
}

#[test]
fn a_function_that_this_gateway_does_not_have_is_named() {
    let file = wat::parse_str(
        r#"(component
            (import "bascule:plugin/nodes@0.1.9" (instance (export "teleport" (func))))
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $observer (export "on-complete" (func $f)))
            (export "bascule:plugin/observer@0.1.0" (instance $observer)))"#,
    );
    let sentence = ENGINE.compile(&file.unwrap()).unwrap_err().to_string();
    assert!(sentence.contains("another version") && sentence.contains("teleport"), "{sentence}");
}

#[test]
fn a_function_of_another_type_is_refused_with_both_types() {
    let sentence = sentence(
        r#"(core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $balancer (export "pick" (func $f)))
        (export "bascule:plugin/balancer@0.1.0" (instance $balancer))"#,
    );
    assert_eq!(
        sentence,
        "it was built for a draft of the contract: its balancer has pick as func() -> u32, and this gateway calls \
         func() -> variant { abstain, node(u32), reject(u16) }; build it again with the SDK of this version"
    );
}

#[test]
fn a_filter_from_before_done_is_refused_when_it_is_loaded() {
    let done = "        /// Go on, and spare this filter the response: on-response is not called for this request. As the answer of\n        \
                /// on-response it is the same as go-on.\n        done,\n";
    let body = r#"(func (export "filter#on-request") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) (call $verdict (i32.const 0) (i32.const 0)))"#;
    assert!(CONTRACT.contains(done));
    let file = plugin_for(&CONTRACT.replace(done, ""), &["filter"], body);
    assert_eq!(
        ENGINE.compile(&file).unwrap_err().to_string(),
        "it was built for a draft of the contract: its filter has on-request as func() -> variant { go-on, answer(u16) }, and \
         this gateway calls func() -> variant { go-on, answer(u16), done }; build it again with the SDK of this version"
    );
}

#[test]
fn what_is_not_granted_is_refused_with_the_line_to_write() {
    let file = plugin(
        &["balancer"],
        r#"
        (import "shared" "delete" (func $delete (param i32 i32 i32)))
        ;; ---
        (func (export "balancer#pick") (result i32)
            (call $delete (i32.const 0) (i32.const 0) (i32.const 64))
            (call $answer (i32.const 0) (i32.const 0)))"#,
    );
    assert_eq!(
        use_of(spec(&["credentials"]), &file).unwrap_err().to_string(),
        "plugin \"test\" uses \"shared\", which it is not granted; write `grants = [\"credentials\", \"shared\"]` in \
         [plugin.test]"
    );
    assert!(use_of(spec(&["shared"]), &file).is_ok());
}

#[test]
fn a_refused_configuration_speaks_in_the_plugins_words() {
    let file = plugin(
        &["lifecycle", "balancer"],
        &format!(
            r#"(data (i32.const 16) "say `cookie`")
            (func (export "lifecycle#configure") (param i32 i32) (result i32)
                (i32.store8 (i32.const 1024) (i32.const 1))
                (i32.store (i32.const 1028) (i32.const 16))
                (i32.store (i32.const 1032) (i32.const 12))
                (i32.const 1024))
            {PICK}"#
        ),
    );
    let sentence = use_of(spec(&[]), &file).unwrap().trial().unwrap_err().to_string();
    assert_eq!(sentence, "plugin \"test\": say `cookie`");
}

#[test]
fn a_trial_plays_each_function_of_each_role() {
    let pointer = "(result i32)";
    let fine = "(call $verdict (i32.const 0) (i32.const 0))";
    for (role, functions) in [
        ("router", vec![("route", pointer, "")]),
        ("balancer", vec![("pick", pointer, "")]),
        ("filter", vec![("on-request", pointer, ""), ("on-response", pointer, fine)]),
        ("filter", vec![("on-response", pointer, ""), ("on-request", pointer, fine)]),
        ("observer", vec![("on-complete", "", "")]),
        ("timer", vec![("period", pointer, ""), ("tick", "", "nop")]),
    ] {
        let function = |(name, result, body): &(&str, &str, &str)| {
            let body = if body.is_empty() { "unreachable" } else { body };
            format!("(func (export \"{role}#{name}\") {result} {body})")
        };
        let body: String = functions.iter().map(function).collect();
        let sentence = use_of(spec(&[]), &plugin(&[role], &body)).unwrap().trial().unwrap_err().to_string();
        let expected = format!("plugin \"test\" failed in {} on an invented request: trap", functions[0].0);
        assert!(sentence.starts_with(&expected), "{sentence}");
    }
}

#[test]
fn a_trial_finds_what_fails_on_a_request() {
    let file = plugin(
        &["filter"],
        r#"(func (export "filter#on-request") (result i32) (call $verdict (i32.const 0) (i32.const 0)))
        (func (export "filter#on-response") (result i32) unreachable)"#,
    );
    let sentence = use_of(spec(&[]), &file).unwrap().trial().unwrap_err().to_string();
    assert!(
        sentence.starts_with("plugin \"test\" failed in on-response on an invented request: trap"),
        "{sentence}"
    );
}

/// With that feature each call costs 3.7 times as much, and any dependency could switch it on for all.
#[test]
fn component_model_async_is_off() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .args(["--edges", "normal,build,features", "--invert", "wasmtime", "--prefix", "none"])
        .output()
        .unwrap();
    let features = String::from_utf8(tree.stdout).unwrap();
    assert!(features.contains("wasmtime feature \"component-model\""), "{features}");
    assert!(!features.contains("wasmtime feature \"component-model-async\""), "{features}");
}
