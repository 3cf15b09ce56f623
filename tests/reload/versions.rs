//! A version that turns out to be bad gives way: by itself, when an operator says so, and after a restart.

use super::{
    gateway_with_picker, loads, next_nodes, stays_with_one, takes_turns, two_nodes, while_requests_run,
};
use crate::support::{TestGateway, TestNode, plugin_file, wait_until};

/// A policy in the file "picker.wasm", which is to be configured as the hostile guest is: it faults on each pick.
fn gateway_with_hostile_picker(nodes: &[TestNode; 2]) -> TestGateway {
    let text = "[plugin.picker]\nfile = \"picker.wasm\"\nconfig = { pick = \"trap\" }\n[route.all]\npool = \"main\"\n\
                [pool.main]\npolicy = \"picker\"\nnodes = [{nodes}]";
    // A plugin without a lifecycle takes any configuration.
    let first = plugin_file("power_of_two.wasm");
    TestGateway::with_files(text, &[&nodes[0], &nodes[1]], &[("picker.wasm", &first)])
}

#[test]
fn a_version_that_faults_in_service_is_rolled_back_and_no_request_fails() {
    let nodes = two_nodes();
    let gateway = gateway_with_hostile_picker(&nodes);
    let first = gateway.plugin_row("picker")["version"].clone();
    assert!(gateway.plugin_row("picker")["replay"].is_null());
    while_requests_run(&gateway, |_| {
        gateway.drop_plugin("picker.wasm", &plugin_file("hostile.wasm"));
        wait_until("it is rolled back", || loads(&gateway, "rolled_back") == 1.0);
    });
    let row = gateway.plugin_row("picker");
    assert_eq!(row["version"], first);
    assert_eq!(row["last"]["outcome"], "rolled_back");
    assert!(row["last"]["why"].as_str().is_some_and(|why| why.contains("calls failed")), "{row}");
    assert_eq!(row["on_probation"], false);
    // It stays out: another name for the same bytes is no change.
    gateway.drop_plugin("picker.wasm", &plugin_file("hostile.wasm"));
    gateway.drop_plugin("other.wasm", &plugin_file("fixed.wasm"));
    next_nodes(&gateway);
    assert_eq!(gateway.plugin_row("picker")["version"], first);
    assert_eq!(gateway.admin("/readyz").status, 200);
}

#[test]
fn a_version_that_is_quarantined_long_after_it_took_over_gives_way_too() {
    let nodes = two_nodes();
    let text = "[plugins]\ndirectory = \"plugins\"\nprobation = \"1ms\"\n\
                [plugin.picker]\nfile = \"picker.wasm\"\nconfig = { pick = \"trap\", when = \"x-trap\" }\n\
                [route.all]\npool = \"main\"\n[pool.main]\npolicy = \"picker\"\nnodes = [{nodes}]";
    let first = plugin_file("power_of_two.wasm");
    let gateway = TestGateway::with_files(text, &[&nodes[0], &nodes[1]], &[("picker.wasm", &first)]);
    let first = gateway.plugin_row("picker")["version"].clone();
    gateway.drop_plugin("picker.wasm", &plugin_file("hostile.wasm"));
    wait_until("it is loaded", || gateway.plugin_row("picker")["version"] != first);
    let mut client = gateway.client();
    (0..150).for_each(|_| assert_eq!(client.get("/").status, 200));
    wait_until("its probation is over", || gateway.plugin_row("picker")["on_probation"] == false);

    (0..30).for_each(|_| assert_eq!(client.get_with("/", "X-Trap: 1\r\n").status, 200));
    wait_until("the earlier version is back", || gateway.plugin_row("picker")["version"] == first);
    let row = gateway.plugin_row("picker");
    assert_eq!(row["last"]["outcome"], "rolled_back");
    assert!(row["last"]["why"].as_str().is_some_and(|why| why.contains("is in quarantine after")), "{row}");
    assert_eq!(row["quarantine"]["state"], "closed", "the earlier version has a record of its own");
    assert_eq!(loads(&gateway, "rolled_back"), 1.0, "and it goes back no further");
}

#[test]
fn an_operator_rolls_back_pins_and_unpins() {
    let nodes = two_nodes();
    let gateway = gateway_with_picker(&nodes);
    let act = |method: &str, path: &str| gateway.admin_send(method, path, "");
    let nothing = act("POST", "/plugins/picker/rollback");
    assert_eq!((nothing.status, nothing.text().contains("no earlier version")), (409, true), "{nothing:?}");
    gateway.drop_plugin("picker.wasm", &plugin_file("consistent_hash.wasm"));
    wait_until("it is loaded", || stays_with_one(&next_nodes(&gateway)));

    let replay = &gateway.plugin_row("picker")["replay"];
    assert!(replay["requests"].as_u64() > Some(0) && replay["faults"] == 0, "{replay}");

    let done = act("POST", "/plugins/picker/rollback");
    assert_eq!(done.status, 200, "{done:?}");
    let told: serde_json::Value = serde_json::from_slice(&done.body.bytes).unwrap();
    assert_eq!((&told["outcome"], &told["uses"][0]), (&"rolled_back".into(), &"picker".into()));
    // The answer comes when it is done, so the next request meets the earlier version.
    assert!(takes_turns(&next_nodes(&gateway)));

    assert_eq!(act("PUT", "/plugins/picker/pin").status, 200);
    gateway.drop_plugin("picker.wasm", &plugin_file("least_connections.wasm"));
    wait_until("it is held", || loads(&gateway, "held") == 1.0);
    let row = gateway.plugin_row("picker");
    assert_eq!(row["pinned"], row["version"]);
    assert_eq!(act("DELETE", "/plugins/picker/pin").status, 200);
    let row = gateway.plugin_row("picker");
    assert!(row["pinned"].is_null() && row["last"]["outcome"] == "loaded", "{row}");
    assert_eq!(loads(&gateway, "rolled_back"), 1.0);
}

#[test]
fn what_may_not_ask_for_a_change() {
    let nodes = two_nodes();
    let text = "[admin]\naddress = \"127.0.0.1:0\"\ntoken = \"a-long-secret\"\n[route.all]\npool = \"main\"\n\
                [pool.main]\npolicy = \"round-robin\"\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&nodes[0], &nodes[1]]);
    let token = "Authorization: Bearer a-long-secret\r\n";
    let status = |method, path, fields: &str| gateway.admin_send(method, path, fields).status;
    assert_eq!(status("POST", "/plugins/round-robin/pin", ""), 401);
    assert_eq!(status("GET", "/plugins/round-robin/pin", token), 405);
    assert_eq!(status("POST", "/plugins/nobody/pin", token), 404);
    assert_eq!(status("POST", "/plugins/round-robin/pin?version=xyz", token), 400);
    for page in ["Origin: http://evil.test\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(status("POST", "/plugins/round-robin/pin", &format!("{token}{page}")), 403, "{page}");
    }
    assert!(gateway.admin_send("GET", "/snapshot", token).text().contains("\"pinned\": null"));
    assert_eq!(status("POST", "/plugins/round-robin/pin", token), 200);
    assert_eq!(status("POST", "/plugins/round_robin.wasm/unpin", token), 200);
}

#[test]
fn a_gateway_without_a_plugin_serves_is_not_ready_and_becomes_so() {
    let node = TestNode::answering("a");
    let text = "[plugin.edge]\nfile = \"edge.wasm\"\nconfig = { response = { set = { x-edge = \"1\" } } }\n\
                [plugin.soft]\nfile = \"edge.wasm\"\non_fault = \"skip\"\nconfig = { response = { set = { x-edge = \"2\" } } }\n\
                [route.all]\npool = \"main\"\n[route.edge]\npath = \"/edge\"\nfilters = \"edge\"\npool = \"main\"\n\
                [route.soft]\npath = \"/soft\"\nfilters = \"soft\"\npool = \"main\"\n\
                [pool.main]\npolicy = \"picker\"\nnodes = [{nodes}]";
    let gateway = TestGateway::with_files(text, &[&node], &[("picker.wasm", b"no wasm")]);
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status, 503);
    for words in
        ["\"picker\" cannot be loaded", "a text file", "\"edge\" cannot be loaded", "has no file edge.wasm"]
    {
        assert!(ready.text().contains(words), "{words:?} is missing in: {}", ready.text());
    }
    assert_eq!(gateway.metric("bascule_plugins_unavailable", &[]), 3.0);
    assert_eq!(gateway.snapshot()["unavailable"].as_array().map(Vec::len), Some(3));
    let statuses = ["/", "/soft", "/edge"].map(|path| gateway.get(path).status);
    assert_eq!(statuses, [200, 200, 500], "what needs the filter fails, all else is served");

    gateway.drop_plugin("picker.wasm", &plugin_file("round_robin.wasm"));
    gateway.drop_plugin("edge.wasm", &plugin_file("header_rewrite.wasm"));
    wait_until("it is ready", || gateway.admin("/readyz").status == 200);
    assert_eq!(gateway.get("/edge").header("x-edge"), Some("1"));
    assert_eq!(gateway.get("/soft").header("x-edge"), Some("2"));
    assert_eq!(gateway.metric("bascule_plugins_unavailable", &[]), 0.0);
}
