//! What a misbehaving plugin may cost, as clients and operators see it: spares, fresh instances, words, counts.

use crate::support::{TestGateway, TestNode, keep_log, logged, wait_until};

/// All requests pass the use "NAME" of the hostile plugin as a policy, with these keys.
fn policy(name: &str, keys: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[plugin.{name}]\nfile = \"hostile.wasm\"\n{keys}\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"{name}\"\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, &[node])
}

fn filter(name: &str, keys: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[plugin.{name}]\nfile = \"hostile.wasm\"\n{keys}\n[route.all]\nfilters = [\"{name}\"]\npool = \"main\"\n\
         [pool.main]\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, &[node])
}

fn starts(gateway: &TestGateway, start: &str) -> f64 {
    gateway.metric("bascule_plugin_starts_total", &[("start", start)])
}

#[test]
fn a_spare_takes_over_after_a_fault_and_no_request_waits_for_a_start() {
    let node = TestNode::answering("a");
    let gateway = policy(
        "spared",
        "quarantine = \"off\"\non_fault = \"skip\"\nlimits = { instances = 2 }\n\
         config = { on_request = \"trap\", when = \"x-trap\" }",
        &node,
    );
    let mut client = gateway.client();
    for round in 1..=5 {
        // One that works and a spare, before the first request and after each fault.
        wait_until("the spare is there again", || starts(&gateway, "ahead") == f64::from(round + 1));
        // It traps as a filter. As a balancer it is called next, before the worker could look after its instances.
        assert_eq!(client.get_with("/", "X-Trap: 1\r\n").status, 200);
        assert_eq!(starts(&gateway, "spare"), f64::from(round));
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(starts(&gateway, "in_call"), 0.0);
    let row = &gateway.snapshot()["plugins"][0];
    assert_eq!((&row["starts"]["spare"], &row["starts"]["in_call"]), (&5.into(), &0.into()));
}

#[test]
fn a_plugin_that_leaks_gives_way_before_it_meets_its_cap() {
    let node = TestNode::answering("a");
    let limits = "limits = { memory = \"8MiB\", recycle_memory = \"2MiB\" }";
    let gateway =
        policy("leaking", &format!("{limits}\nconfig = {{ pick = \"leak\", when = \"x-leak\" }}"), &node);
    let recycled = || gateway.metric("bascule_plugin_recycled_total", &[("why", "memory")]);
    let mut client = gateway.client();
    // 2 MiB of 4 KiB each in a round, 10 MiB in all.
    for round in 1..=5 {
        for _ in 0..512 {
            assert_eq!(client.get_with("/", "X-Leak: 1\r\n").status, 200);
        }
        wait_until("a fresh instance works", || recycled() >= f64::from(round));
    }
    assert_eq!(gateway.metric("bascule_plugin_faults_total", &[]), 0.0);
    assert_eq!(gateway.metric("bascule_plugin_capped_total", &[]), 0.0, "no cap was met");
    assert_eq!(gateway.snapshot()["plugins"][0]["recycled"]["memory"].as_f64(), Some(recycled()));
}

#[test]
fn an_instance_gives_way_after_its_number_of_calls() {
    let node = TestNode::answering("a");
    let gateway =
        policy("counted", "limits = { recycle_calls = 10 }\nconfig = { pick = \"abstain\" }", &node);
    let recycled = || gateway.metric("bascule_plugin_recycled_total", &[("why", "calls")]);
    let mut client = gateway.client();
    wait_until("it was replaced three times", || {
        assert_eq!(client.get("/").status, 200);
        recycled() >= 3.0
    });
}

#[test]
fn the_words_of_a_panic_stand_in_one_line_with_the_fault() {
    keep_log();
    let node = TestNode::answering("a");
    let gateway = filter("panicking", "config = { on_request = \"panic\" }", &node);
    let response = gateway.get("/");
    assert_eq!(response.status, 500);
    let lines = logged("panicking");
    let [line] = &lines[..] else { panic!("one line, not {lines:?}") };
    let said = line["message"].as_str().expect("words");
    assert!(said.contains("panicked at ") && said.contains("hostile: a panic, as configured"), "{said}");
    assert!(!said.contains("RUST_BACKTRACE"), "{said}");
    assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
    for (field, value) in
        [("role", "filter"), ("function", "on-request"), ("kind", "trap"), ("level", "WARN")]
    {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["version"], gateway.snapshot()["plugins"][0]["version"]);
}

#[test]
fn what_is_printed_without_a_fault_is_logged_as_it_was() {
    keep_log();
    let node = TestNode::answering("a");
    let gateway = filter("printing", "config = { on_response = \"print\" }", &node);
    assert_eq!(gateway.get("/").status, 200);
    let lines = logged("printing");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["message"], &lines[0]["role"]), (&"hostile: printed".into(), &"filter".into()));
    assert_eq!(lines[0]["request_id"].as_str(), node.last_request().header("x-request-id"));
}

#[test]
fn a_plugin_that_panics_in_configure_is_refused_with_the_panics_words() {
    let node = TestNode::answering("a");
    let error = TestGateway::refused(
        "[plugin.hostile]\nconfig = { configure = \"panic\" }\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"hostile\"\nnodes = [{nodes}]",
        &[&node],
    );
    assert!(error.contains("it could not be started: trap: thread"), "{error}");
    assert!(error.contains("hostile: a panic, as configured"), "{error}");
}

#[test]
fn every_bound_that_holds_is_counted_and_shown() {
    let node = TestNode::answering("a");
    let gateway = filter(
        "bounded",
        "on_fault = \"skip\"\nquarantine = \"off\"\nlimits = { deadline = \"100ms\" }\nconfig = { ask = \"on_request\" }",
        &node,
    );
    let mut client = gateway.client();
    for (mischief, cap, count) in [
        ("million-headers", "edits", None),
        ("huge-header", "value_bytes", Some(1.0)),
        ("crlf", "forbidden", Some(4.0)),
        ("log-flood", "log_lines", Some(980.0)),
        ("metric-flood", "metric_names", None),
        ("loop", "deadline", None),
        ("grow-at-once", "memory", Some(1.0)),
        ("large-line", "import_bytes", Some(1.0)),
    ] {
        let capped = || gateway.metric("bascule_plugin_capped_total", &[("plugin", "bounded"), ("cap", cap)]);
        let before = capped();
        client.get_with("/", &format!("X-Mischief: {mischief}\r\n"));
        let held = capped() - before;
        assert!(count.map_or(held >= 1.0, |count| count == held), "{mischief}: {held} times {cap}");
    }
    let capped = &gateway.snapshot()["plugins"][0]["capped"];
    assert_eq!((&capped["memory"], &capped["note"]), (&1.into(), &serde_json::Value::Null), "{capped}");
}

#[test]
fn a_filter_sets_the_host_with_the_grant_only() {
    let node = TestNode::answering("a");
    for (grants, refused, host) in
        [("", "1 of 1", "example.test"), ("grants = [\"host\"]", "0 of 1", "other.test")]
    {
        let gateway =
            filter("hosting", &format!("{grants}\nconfig = {{ on_request = \"set-host\" }}"), &node);
        assert_eq!(gateway.get("/").status, 200);
        let request = node.last_request();
        assert_eq!((request.header("x-refused"), request.header("host")), (Some(refused), Some(host)));
        assert_eq!(request.head.headers("host").len(), 1);
    }
}

#[test]
fn a_plugins_metric_cannot_take_the_name_of_the_gateways_own() {
    let node = TestNode::answering("a");
    let gateway = policy("naming", "config = { pick = \"metric-flood\" }", &node);
    assert_eq!(gateway.get("/").status, 200);
    let text = gateway.admin("/metrics").text();
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup_by_key(|line| line.split(' ').nth(2));
    assert_eq!(types.len(), all, "a family stands there twice");
}
