//! A plugin that keeps failing: what its requests meet, with the quarantine and without.

use crate::support::{TestGateway, TestNode, keep_log, logged, wait_until};
use std::thread;

/// Requests of a load test: each 10th traps, each 100th loops.
const REQUESTS: usize = 4_000;
const CLIENTS: usize = 4;

/// The use "NAME" of the hostile plugin, with these keys, in its role.
fn gateway(name: &str, keys: &str, as_policy: bool, nodes: &[&TestNode]) -> TestGateway {
    let (filters, policy) = match as_policy {
        true => (String::new(), format!("policy = \"{name}\"\n")),
        false => (format!("filters = [\"{name}\"]\n"), String::new()),
    };
    let text = format!(
        "[plugin.{name}]\nfile = \"hostile.wasm\"\n{keys}\n[route.all]\n{filters}pool = \"main\"\n\
         [pool.main]\n{policy}nodes = [{{nodes}}]"
    );
    TestGateway::with(&text, nodes)
}

/// Sends all requests, and answers how many failed.
fn failed_under_load(gateway: &TestGateway) -> usize {
    let one_client = |client: usize| {
        let mut connection = gateway.client();
        let failed = (client..REQUESTS).step_by(CLIENTS).filter(|request| {
            let field = match request {
                request if request % 100 == 99 => "X-Mischief: loop\r\n",
                request if request % 10 == 9 => "X-Mischief: trap\r\n",
                _ => "",
            };
            connection.get_with("/", field).status != 200
        });
        failed.count()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || one_client(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

fn faults(gateway: &TestGateway, kind: &str) -> f64 {
    gateway.metric("bascule_plugin_faults_total", &[("kind", kind)])
}

fn steps(gateway: &TestGateway) -> [f64; 3] {
    ["opened", "probing", "closed"]
        .map(|step| gateway.metric("bascule_plugin_quarantined_total", &[("step", step)]))
}

#[test]
fn under_load_a_policy_that_traps_and_loops_costs_no_request() {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let keys = "quarantine = \"off\"\nlimits = { instances = 2 }\nconfig = { ask = \"pick\" }";
    let gateway = gateway("faulty-policy", keys, true, &[&nodes[0], &nodes[1]]);
    assert_eq!(failed_under_load(&gateway), 0);
    assert_eq!((faults(&gateway, "trap"), faults(&gateway, "deadline")), (360.0, 40.0));
    assert_eq!(gateway.metric("bascule_plugin_withheld_total", &[]), 0.0);
    assert_eq!(nodes[0].hits() + nodes[1].hits(), REQUESTS);
}

#[test]
fn under_load_a_filter_that_traps_and_loops_costs_no_request_if_it_may_be_skipped() {
    let node = TestNode::answering("a");
    let keys = "on_fault = \"skip\"\nquarantine = \"off\"\nconfig = { ask = \"on_request\" }";
    let gateway = gateway("faulty-filter", keys, false, &[&node]);
    assert_eq!(failed_under_load(&gateway), 0);
    assert_eq!((faults(&gateway, "trap"), faults(&gateway, "deadline")), (360.0, 40.0));
    assert_eq!(node.hits(), REQUESTS);
}

#[test]
fn a_policy_that_keeps_failing_is_not_called_until_it_is_well() {
    keep_log();
    let node = TestNode::answering("a");
    let keys =
        "quarantine = { faults = 5, window = \"1m\" }\nconfig = { pick = \"trap\", when = \"x-trap\" }";
    let gateway = gateway("relapsing", keys, true, &[&node]);
    let mut client = gateway.client();
    let mut trap = || client.get_with("/", "X-Trap: 1\r\n").status;
    for _ in 0..5 {
        assert_eq!(trap(), 200);
    }
    let quarantine = || gateway.snapshot()["plugins"][0]["quarantine"].clone();
    let row = quarantine();
    assert_eq!(
        (&row["state"], &row["faults"], &row["last_fault"]),
        (&"open".into(), &5.into(), &"trap".into())
    );
    assert!(row["since"].as_f64().is_some_and(|since| since > 1.7e9), "{row}");
    let version = gateway.snapshot()["plugins"][0]["version"].as_str().unwrap().to_owned();
    let is_quarantined = || {
        gateway.metric("bascule_plugin_quarantined", &[("plugin", "relapsing"), ("version", &version)]) == 1.0
    };
    assert!(is_quarantined());
    for _ in 0..20 {
        assert_eq!(trap(), 200, "the native round robin picks");
    }
    assert_eq!(faults(&gateway, "trap"), 5.0, "it is not called");
    let withheld = || gateway.metric("bascule_plugin_withheld_total", &[("plugin", "relapsing")]);
    let fallbacks = gateway.metric("bascule_pick_fallbacks_total", &[("reason", "quarantined")]);
    assert_eq!(fallbacks, 20.0);
    assert_eq!(withheld(), 20.0);
    assert_eq!(quarantine()["roles"], serde_json::json!(["balancer"]), "its other roles are well");

    wait_until("a probe fails", || trap() == 200 && faults(&gateway, "trap") == 6.0);
    assert_eq!(steps(&gateway), [2.0, 1.0, 0.0]);
    assert_eq!(quarantine()["state"], "open");

    wait_until("it is well again", || gateway.get("/").status == 200 && !is_quarantined());
    assert_eq!(steps(&gateway), [2.0, 2.0, 1.0]);
    assert_eq!(quarantine()["state"], "closed");
    let calls = || gateway.metric("bascule_plugin_calls_total", &[("role", "balancer")]);
    let (before, not_made) = (calls(), withheld());
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!((calls(), withheld()), (before + 1.0, not_made), "it is called as usual");

    let lines = logged("relapsing");
    let steps: Vec<_> = lines.iter().filter_map(|line| line["quarantine"].as_str()).collect();
    assert_eq!(steps, ["opened", "probing", "opened", "probing", "closed"], "one line for each step");
}

#[test]
fn in_quarantine_a_filter_follows_on_fault() {
    for (keys, status) in [("", 500), ("on_fault = \"skip\"", 200)] {
        let node = TestNode::answering("a");
        let keys = format!(
            "{keys}\nquarantine = {{ faults = 1, window = \"1m\" }}\n\
             config = {{ on_request = \"trap\", when = \"x-trap\" }}"
        );
        let gateway = gateway("closed-filter", &keys, false, &[&node]);
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.get_with("/", "X-Trap: 1\r\n").status, status, "{keys}");
        assert_eq!(client.get("/").status, status, "{keys}: an innocent request");
        assert_eq!(faults(&gateway, "trap"), 1.0);
        let filter = [("plugin", "closed-filter"), ("role", "filter")];
        assert!(gateway.metric("bascule_plugin_withheld_total", &[]) >= 1.0);
        assert!(gateway.metric("bascule_plugin_calls_total", &filter) <= 3.0);
    }
}

#[test]
fn an_observer_in_quarantine_does_not_take_the_filter_with_it() {
    let node = TestNode::answering("a");
    let keys = "quarantine = { faults = 1, window = \"1h\" }\nconfig = { on_complete = \"trap\" }";
    let gateway = gateway("watching", keys, false, &[&node]);
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(faults(&gateway, "trap"), 1.0);
    let row = gateway.snapshot()["plugins"][0]["quarantine"].clone();
    assert_eq!((&row["state"], &row["roles"]), (&"open".into(), &serde_json::json!(["observer"])));
}

#[test]
fn a_new_configuration_starts_with_a_clean_record() {
    let node = TestNode::answering("a");
    let text = |word: &str| {
        format!(
            "[plugin.mended]\nfile = \"hostile.wasm\"\nquarantine = {{ faults = 1, window = \"1h\" }}\n\
             config = {{ on_request = \"{word}\" }}\n[route.all]\nfilters = [\"mended\"]\npool = \"main\"\n\
             [pool.main]\nnodes = [{{nodes}}]"
        )
    };
    let gateway = TestGateway::with(&text("trap"), &[&node]);
    assert_eq!(gateway.get("/").status, 500);
    assert_eq!(gateway.snapshot()["plugins"][0]["quarantine"]["state"], "open");
    gateway.rewrite_configuration(&text("crlf"), &[&node]);
    wait_until("the new one serves", || gateway.get("/").status == 200);
    let row = gateway.snapshot()["plugins"][0]["quarantine"].clone();
    assert_eq!((&row["state"], &row["faults"]), (&"closed".into(), &0.into()));
}

#[test]
fn switched_off_no_number_of_faults_opens_it() {
    let node = TestNode::answering("a");
    let keys = "on_fault = \"skip\"\nquarantine = \"off\"\nconfig = { on_response = \"trap\" }";
    let gateway = gateway("borne", keys, false, &[&node]);
    let mut client = gateway.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!((faults(&gateway, "trap"), steps(&gateway)), (100.0, [0.0; 3]));
}
