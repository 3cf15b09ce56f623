//! Plugins and configurations that change while requests run: no request fails, and what is bad never takes over.

use crate::support::{TestGateway, TestNode, plugin_file, wait_until};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

mod files;
mod survival;
mod versions;

/// Clients that ask one after another while `change` happens; how many requests were answered, all with 200.
fn while_requests_run(gateway: &TestGateway, change: impl FnOnce(&AtomicUsize)) -> usize {
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = gateway.client();
                while !over.load(SeqCst) {
                    let response = client.get("/");
                    assert_eq!(response.status, 200, "{response:?}");
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| change(&answered)));
        over.store(true, SeqCst);
        changed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    answered.into_inner()
}

/// Two nodes behind a policy from the file "picker.wasm", at first a round robin.
fn gateway_with_picker(nodes: &[TestNode; 2]) -> TestGateway {
    let text = "[plugin.picker]\nfile = \"picker.wasm\"\n[route.all]\npool = \"main\"\n\
                [pool.main]\npolicy = \"picker\"\nnodes = [{nodes}]";
    TestGateway::with_files(
        text,
        &[&nodes[0], &nodes[1]],
        &[("picker.wasm", &plugin_file("round_robin.wasm"))],
    )
}

fn two_nodes() -> [TestNode; 2] {
    // Clients that never pause would leave no processor to the thread that compiles: its priority is low.
    ["a", "b"].map(|name| TestNode::answering(name).with_delay(Duration::from_millis(5)))
}

/// Which nodes the next requests of one client go to.
fn next_nodes(gateway: &TestGateway) -> Vec<String> {
    let mut client = gateway.client();
    (0..8).map(|_| client.get("/").text()).collect()
}

fn takes_turns(nodes: &[String]) -> bool {
    nodes.windows(2).all(|pair| pair[0] != pair[1])
}

fn stays_with_one(nodes: &[String]) -> bool {
    nodes.windows(2).all(|pair| pair[0] == pair[1])
}

fn loads(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric("bascule_plugin_loads_total", &[("file", "picker.wasm"), ("outcome", outcome)])
}

#[test]
fn a_policy_is_swapped_while_requests_run() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    assert!(takes_turns(&next_nodes(&gateway)));
    while_requests_run(&gateway, |answered| {
        // By the client's address: all requests of this machine go to one node.
        gateway.drop_plugin("picker.wasm", &plugin_file("consistent_hash.wasm"));
        wait_until("the new version is loaded", || loads(&gateway, "loaded") == 2.0);
        let before = answered.load(SeqCst);
        wait_until("more requests were answered", || answered.load(SeqCst) > before + 50);
    });
    wait_until("the new policy picks", || stays_with_one(&next_nodes(&gateway)));
    gateway.drop_plugin("picker.wasm", &plugin_file("round_robin.wasm"));
    wait_until("the old policy is back", || takes_turns(&next_nodes(&gateway)));
}

#[test]
fn a_bad_file_never_replaces_a_good_one() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let good = plugin_file("round_robin.wasm");
    let no_role = b"\0asm\x01\0\0\0".to_vec();
    let no_plugin = b"this is a text".to_vec();
    let wrong_role = plugin_file("path_router.wasm");
    let answered = while_requests_run(&gateway, |_| {
        for (refused, (what, bad)) in
            (1..).zip([("a text", no_plugin), ("an empty module", no_role), ("no balancer", wrong_role)])
        {
            gateway.drop_plugin("picker.wasm", &bad);
            wait_until(&format!("{what} is refused"), || loads(&gateway, "refused") == f64::from(refused));
        }
    });
    assert!(answered > 0);
    assert!(takes_turns(&next_nodes(&gateway)), "the good one still picks");
    let row = gateway.snapshot()["plugins"][0].clone();
    assert_eq!(row["last"]["outcome"], "refused", "{row}");
    assert!(row["last"]["why"].as_str().is_some_and(|why| !why.is_empty()), "{row}");

    // The good bytes again: nothing is left of the trouble.
    gateway.drop_plugin("picker.wasm", &good);
    assert!(takes_turns(&next_nodes(&gateway)));
}

#[test]
fn a_file_that_is_still_being_copied_is_not_loaded() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let next = plugin_file("consistent_hash.wasm");
    while_requests_run(&gateway, |_| {
        gateway.copy_plugin_slowly("picker.wasm", &next);
        wait_until("the whole file is loaded", || loads(&gateway, "loaded") == 2.0);
    });
    assert_eq!(loads(&gateway, "refused"), 0.0, "a part of a file is not a bad file");
    assert!(stays_with_one(&next_nodes(&gateway)));
}

#[test]
fn a_file_that_is_deleted_runs_on() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    gateway.delete_plugin("picker.wasm");
    let deleted = || gateway.snapshot()["plugins"][0]["last"]["outcome"] == "deleted";
    wait_until("it is noticed", deleted);
    assert!(takes_turns(&next_nodes(&gateway)));
    assert_eq!(gateway.metric("bascule_pick_fallbacks_total", &[]), 0.0);
}

const TO_THE_FIRST: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node1}\"]";
const TO_THE_SECOND: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node2}\"]";

fn reloads(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric("bascule_configuration_reloads_total", &[("outcome", outcome)])
}

#[test]
fn a_configuration_takes_over_while_requests_run() {
    let nodes = two_nodes();
    let all = [&nodes[0], &nodes[1]];
    let gateway = TestGateway::with(TO_THE_FIRST, &all);
    while_requests_run(&gateway, |_| {
        for (count, (text, node)) in
            (2..).zip([(TO_THE_SECOND, "b"), (TO_THE_FIRST, "a"), (TO_THE_SECOND, "b")])
        {
            gateway.rewrite_configuration(text, &all);
            wait_until("it is applied", || reloads(&gateway, "applied") == f64::from(count));
            wait_until("requests follow it", || gateway.get("/").text() == node);
        }
    });
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing_and_says_why() {
    let nodes = two_nodes();
    let all = [&nodes[0], &nodes[1]];
    let gateway = TestGateway::with(TO_THE_FIRST, &all);
    for (refused, wrong) in (1..).zip([
        "[route.all]\npool = \"mian\"\n[pool.main]\nnodes = [\"{node2}\"]",
        "[route.all\n",
        "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node2}\"]\npolicy = \"not-there\"",
    ]) {
        gateway.rewrite_configuration(wrong, &all);
        wait_until("it is refused", || reloads(&gateway, "refused") == f64::from(refused));
        assert_eq!(gateway.get("/").text(), "a");
        let why = gateway.snapshot()["configuration"]["error"]["text"].clone();
        assert!(why.as_str().is_some_and(|why| why.contains("bascule.toml:")), "{why}");
        assert_eq!(gateway.metric("bascule_configuration_ok", &[]), 0.0);
    }
    gateway.rewrite_configuration(TO_THE_SECOND, &all);
    wait_until("the next good one takes over", || gateway.get("/").text() == "b");
    wait_until("nothing is wrong any more", || gateway.metric("bascule_configuration_ok", &[]) == 1.0);
}

#[test]
fn live_state_survives_a_reload() {
    let nodes = two_nodes();
    let all = [&nodes[0], &nodes[1]];
    let gateway = TestGateway::with(TO_THE_FIRST, &all);
    for _ in 0..5 {
        gateway.get("/");
    }
    let both = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{node1}\", \"{node2}\"]";
    gateway.rewrite_configuration(both, &all);
    wait_until("it is applied", || reloads(&gateway, "applied") == 2.0);
    let first = nodes[0].address().to_string();
    assert_eq!(gateway.metric("bascule_node_attempts_total", &[("node", &first)]), 5.0);
}

#[test]
fn a_use_is_configured_anew_with_its_configuration() {
    let node = TestNode::answering("fine");
    let text = |value: &str| {
        format!(
            "[plugin.edge]\nfile = \"header_rewrite.wasm\"\nconfig = {{ response = {{ set = {{ x-edge = \"{value}\" }} }} }}\n\
             [route.all]\nfilters = [\"edge\"]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]"
        )
    };
    let gateway = TestGateway::with(&text("one"), &[&node]);
    assert_eq!(gateway.get("/").header("x-edge"), Some("one"));
    gateway.rewrite_configuration(&text("two"), &[&node]);
    wait_until("it is applied", || gateway.get("/").header("x-edge") == Some("two"));
    // A configuration that the plugin itself refuses is as bad as one that cannot be parsed.
    gateway.rewrite_configuration(&text("{no-such-variable}"), &[&node]);
    wait_until("it is refused", || reloads(&gateway, "refused") == 1.0);
    assert_eq!(gateway.get("/").header("x-edge"), Some("two"));
}

#[test]
fn sessions_survive_reloads_of_the_configuration_and_the_plugin() {
    let nodes = two_nodes();
    let all = [&nodes[0], &nodes[1]];
    let text = |attempts: u32| {
        format!(
            "[route.all]\npool = \"main\"\n[pool.main]\nattempts = {attempts}\n\
             policy = [\"sticky-session\", \"round-robin\"]\nnodes = [{{nodes}}]"
        )
    };
    let gateway = TestGateway::with(&text(2), &all);
    let mut client = gateway.client();
    let first = client.get("/");
    let cookie =
        first.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
    let mut visit = || client.get_with("/", &format!("Cookie: {cookie}\r\n")).text();
    let then: Vec<_> = (0..6).map(|_| visit()).collect();
    assert_eq!(then, vec![first.text(); 6], "before {cookie}");
    gateway.rewrite_configuration(&text(3), &all);
    wait_until("it is applied", || reloads(&gateway, "applied") == 2.0);
    let then: Vec<_> = (0..6).map(|_| visit()).collect();
    assert_eq!(then, vec![first.text(); 6]);
    // The same plugin in other bytes: a custom section at its end means nothing.
    let mut next = plugin_file("sticky_session.wasm");
    next.extend_from_slice(b"\0\x05\x04next");
    gateway.drop_plugin("sticky_session.wasm", &next);
    let loaded = [("file", "sticky_session.wasm"), ("outcome", "loaded")];
    wait_until("it is loaded", || gateway.metric("bascule_plugin_loads_total", &loaded) == 2.0);
    let then: Vec<_> = (0..6).map(|_| visit()).collect();
    assert_eq!(then, vec![first.text(); 6]);
}
