//! Plugins as they were built for a frozen contract, in today's gateway.

use super::frozen;
use crate::support::{TestGateway, TestNode, plugin_file, wait_until};
use std::fs;

/// A gateway that uses a guest, which calls every function of the contract, as a filter and as a policy.
struct Guests {
    gateway: TestGateway,
    nodes: [TestNode; 2],
}

impl Guests {
    fn of(guest: &[u8]) -> Guests {
        let nodes = [
            TestNode::answering("main").with_header("X-Twice", "a").with_header("X-Twice", "b"),
            TestNode::answering("other"),
        ];
        let guest_use = |name: &str| {
            format!(
                "[plugin.{name}]\nfile = \"guest.wasm\"\ngrants = [\"shared\"]\nlimits = {{ deadline = \"1s\" }}\n\
                 config = {{ name = \"{name}\", node = \"node-a\" }}\n"
            )
        };
        let text = format!(
            "{}{}[route.all]\nfilters = [\"front\"]\npool = \"main\"\n[pool.main]\npolicy = [\"picker\"]\n\
             nodes = [{{ id = \"node-b\", address = \"127.0.0.1:1\" }}, \
             {{ id = \"node-a\", address = \"{{node1}}\", zone = \"a\", labels = {{ version = \"1\" }} }}]\n\
             [pool.other]\nnodes = [\"{{node2}}\"]",
            guest_use("front"),
            guest_use("picker")
        );
        let gateway = TestGateway::with_files(&text, &[&nodes[0], &nodes[1]], &[("guest.wasm", guest)]);
        Guests { gateway, nodes }
    }

    /// One request; what it wants of the guest stands in `x-want`.
    fn get(&self, want: &str) -> crate::support::Response {
        let fields =
            format!("X-Want: {want}\r\nX-Twice: a\r\nX-Twice: b\r\nX-Remove: 1\r\nCookie: theme=dark\r\n");
        self.gateway.client().get_with("/here?q=1", &fields)
    }
}

fn assert_everything_works(guest: &[u8]) {
    let guests = Guests::of(guest);
    let response = guests.get("nothing");
    assert_eq!((response.status, response.text().as_str()), (202, "main"));
    let request = guests.nodes[0].last_request();
    let saw = "GET|http|example.test|/here?q=1|127.0.0.1|16|all||0||a|2|dark";
    let seen = request.header("x-front-saw").expect("the filter sets it");
    // What is not there yet may be told in two ways: an attempt before the first, a pool before there is one.
    let same = |(at, (expected, found)): (usize, (&str, &str))| expected == found || (7..9).contains(&at);
    assert!(saw.split('|').zip(seen.split('|')).enumerate().all(same), "{seen}");
    assert_eq!(request.path(), "/changed?by=plugin");
    assert_eq!(request.header("x-remove"), None);
    // The policy sees the response first and makes a 202 of it; notes are each use's own and live as long as the request.
    assert_eq!(response.header("x-picker-saw"), Some("200|a|2|node-a|kept|2"));
    assert_eq!(response.header("x-front-saw"), Some("202|a|2|node-a|kept|3"));
    let stores = Some("node-a|node-a|node-b|node-b|true|value|true|5");
    assert_eq!(response.header("x-front-stores"), stores);
    let metric =
        |name: &str, of: &str| guests.gateway.metric(&format!("bascule_plugin_{name}"), &[("use", of)]);
    assert_eq!(metric("knew_its_nodes", "picker"), 1.0);
    wait_until("its timer ticks", || metric("ticks", "front") > 0.0);
    assert_eq!(metric("attempts_fine", "picker"), 1.0);

    assert_eq!(guests.get("pool").text(), "other");
    for (want, status, answered) in
        [("answer", 418, Some("route")), ("redirect", 307, None), ("on-request", 418, Some("on-request"))]
    {
        let response = guests.get(want);
        assert_eq!((response.status, response.header("x-answered")), (status, answered), "{want}");
    }
    assert_eq!(guests.get("on-response").header("x-answered"), Some("on-response"));
    let response = guests.get("done");
    let saw = (response.status, response.header("x-front-saw"), response.header("x-picker-saw"));
    assert_eq!(saw, (200, None, None), "who is done does not see the response");
    assert_eq!(guests.nodes[1].hits(), 1, "only the request that wanted the other pool went there");
    let faults = guests.gateway.metric("bascule_plugin_faults_total", &[]);
    assert_eq!(faults, 0.0);
}

#[test]
fn a_guest_of_every_frozen_contract_plays_every_role() {
    for folder in frozen() {
        assert_everything_works(&fs::read(folder.join("contract_guest.wasm")).expect("the frozen guest"));
    }
}

#[test]
fn the_guest_that_the_next_freeze_keeps_does_the_same() {
    assert_everything_works(&plugin_file("contract_guest.wasm"));
}

/// The sample in C: `x-node` names the node.
fn assert_c_policy_works(file: &[u8]) {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let text = "[route.all]\npool = \"main\"\n[pool.main]\npolicy = \"c-policy\"\n\
                nodes = [{ id = \"a\", address = \"{node1}\" }, { id = \"b\", address = \"{node2}\" }]";
    let gateway = TestGateway::with_files(text, &[&nodes[0], &nodes[1]], &[("c_policy.wasm", file)]);
    let mut client = gateway.client();
    for _ in 0..50 {
        assert_eq!(client.get_with("/", "X-Node: b\r\n").text(), "b");
    }
    for _ in 0..50 {
        client.get("/");
        // No node's id, and no UTF-8: the policy looks on by itself.
        client.get_with("/", "X-Node: \u{e4}\u{f6}\r\n");
    }
    assert!(nodes[0].hits() > 0, "without the field both nodes are picked");
    let calls =
        |name: &str| gateway.metric(&format!("bascule_plugin_{name}_total"), &[("plugin", "c-policy")]);
    assert_eq!((calls("calls"), calls("faults")), (150.0, 0.0));
}

#[test]
fn a_policy_in_c_picks() {
    if built_c_policy_is_left_out() {
        eprintln!("left out: `cargo xtask plugins --guests` did not find clang, and said so");
        return;
    }
    assert_c_policy_works(&plugin_file("c_policy.wasm"));
}

fn built_c_policy_is_left_out() -> bool {
    let has = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    let built = super::root().join("target/guests/c_policy.wasm").exists();
    !(built || has("clang") && has("wasm-ld"))
}

#[test]
fn a_policy_in_c_of_every_frozen_contract_picks() {
    for folder in frozen() {
        assert_c_policy_works(&fs::read(folder.join("c_policy.wasm")).expect("the frozen policy"));
    }
}
