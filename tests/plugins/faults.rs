//! Plugins that misbehave (tests/guests/hostile): what they cannot do.

use crate::support::{TestGateway, TestNode};

/// All requests pass a hostile policy with this configuration.
fn hostile_policy(config: &str, nodes: &[&TestNode]) -> TestGateway {
    let text = format!(
        "[plugin.hostile]\nlimits = {{ deadline = \"100ms\" }}\nconfig = {{ {config} }}\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"hostile\"\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, nodes)
}

/// All requests pass a hostile filter with this configuration and these keys of its use.
fn hostile_filter(config: &str, keys: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[plugin.hostile]\nconfig = {{ {config} }}\n{keys}\n[route.all]\nfilters = [\"hostile\"]\npool = \"main\"\n\
         [pool.main]\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, &[node])
}

fn fallbacks(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric("bascule_pick_fallbacks_total", &[("pool", "main"), ("reason", reason)])
}

/// What a policy does, and the reason that the metric gives.
const FAULTS: [(&str, &str); 7] = [
    ("out-of-range", "bad_index"),
    ("trap", "trap"),
    ("panic", "trap"),
    ("exit", "trap"),
    ("deep-stack", "trap"),
    ("grow-memory", "trap"),
    ("loop", "deadline"),
];

#[test]
fn a_policys_fault_never_costs_the_request_and_one_metric_says_why() {
    for (fault, reason) in FAULTS {
        let nodes = [TestNode::answering("a"), TestNode::answering("b")];
        let gateway = hostile_policy(&format!("pick = \"{fault}\""), &[&nodes[0], &nodes[1]]);
        let mut client = gateway.client();
        for _ in 0..4 {
            assert_eq!(client.get("/").status, 200, "{fault}");
        }
        assert_eq!([nodes[0].hits(), nodes[1].hits()], [2, 2], "{fault}: the native round robin picks");
        assert_eq!(fallbacks(&gateway, reason), 4.0, "{fault}: {reason}");
        assert_eq!(
            gateway.metric("bascule_pick_fallbacks_total", &[]),
            4.0,
            "{fault}: nothing else is counted"
        );
    }
}

#[test]
fn a_fault_is_counted_for_the_use_too() {
    let node = TestNode::answering("a");
    let gateway = hostile_policy("pick = \"trap\"", &[&node]);
    gateway.get("/");
    let faults =
        |role: &str| gateway.metric("bascule_plugin_faults_total", &[("plugin", "hostile"), ("role", role)]);
    assert_eq!(faults("balancer"), 1.0);
    assert_eq!(faults("filter"), 0.0);
}

#[test]
fn a_policy_that_faults_now_and_then_picks_in_between() {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let gateway = hostile_policy("pick = \"trap\", every = 3", &[&nodes[0], &nodes[1]]);
    let mut client = gateway.client();
    for _ in 0..9 {
        assert_eq!(client.get("/").status, 200);
    }
    // A trap ends the instance, and the count of calls begins anew in the next.
    assert_eq!(fallbacks(&gateway, "trap"), 3.0);
}

#[test]
fn the_next_policy_is_asked_before_the_fallback() {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let text = "[plugin.hostile]\nconfig = { pick = \"trap\" }\n[plugin.fixed]\nconfig = { node = \"second\" }\n\
                [route.all]\npool = \"main\"\n[pool.main]\npolicy = [\"hostile\", \"fixed\"]\n\
                nodes = [\"{node1}\", { id = \"second\", address = \"{node2}\" }]";
    let gateway = TestGateway::with(text, &[&nodes[0], &nodes[1]]);
    let mut client = gateway.client();
    for _ in 0..6 {
        assert_eq!(client.get("/").text(), "b");
    }
    assert_eq!(gateway.metric("bascule_pick_fallbacks_total", &[]), 0.0);
}

#[test]
fn a_policy_may_refuse_a_request_with_a_status_that_is_one() {
    let node = TestNode::answering("a");
    let gateway = hostile_policy("pick = \"reject-503\"", &[&node]);
    let response = gateway.get("/");
    assert_eq!(response.status, 503);
    assert!(response.text().contains(response.header("x-request-id").expect("an id")));
    assert_eq!(node.hits(), 0);
    // 99 is none, so it counts as no answer at all.
    assert_eq!(hostile_policy("pick = \"reject-99\"", &[&node]).get("/").status, 200);
}

#[test]
fn an_observers_fault_costs_nothing() {
    for fault in ["trap", "loop"] {
        let node = TestNode::answering("a");
        let gateway = hostile_policy(&format!("on_complete = \"{fault}\""), &[&node]);
        let mut client = gateway.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").status, 200, "{fault}");
        }
        let faults = [("plugin", "hostile"), ("role", "observer")];
        assert_eq!(gateway.metric("bascule_plugin_faults_total", &faults), 3.0, "{fault}");
    }
}

#[test]
fn a_filters_fault_fails_the_request_or_is_skipped_as_configured() {
    for when in ["on_request", "on_response"] {
        for (keys, status) in [("", 500), ("on_fault = \"fail\"", 500), ("on_fault = \"skip\"", 200)] {
            let node = TestNode::answering("a");
            let gateway = hostile_filter(&format!("{when} = \"edit-then-trap\""), keys, &node);
            let mut client = gateway.client();
            let response = client.get("/");
            assert_eq!(response.status, status, "{when}, {keys}");
            assert_eq!(response.header("x-half"), None, "{when}, {keys}: its edits are dropped");
            assert!(
                node.requests().iter().all(|request| request.header("x-half").is_none()),
                "{when}, {keys}"
            );
            if status == 500 && when == "on_request" {
                assert_eq!(node.hits(), 0, "{keys}: it is answered at once");
            }
            assert_eq!(client.get("/").status, status, "{when}, {keys}: the connection lives on");
        }
    }
}

#[test]
fn a_filters_loop_does_not_hold_up_the_worker() {
    let node = TestNode::answering("a");
    let gateway = hostile_filter("on_request = \"loop\"", "on_fault = \"skip\"", &node);
    let start = std::time::Instant::now();
    let mut client = gateway.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    let each = start.elapsed() / 20;
    assert!(each.as_millis() < 100, "{each:?} a request, where a call may take 1 ms of processor time");
}

#[test]
fn no_edit_can_break_the_message() {
    for (edit, when) in [
        ("crlf", "on_request"),
        ("framing", "on_request"),
        ("bad-name", "on_request"),
        ("crlf", "on_response"),
        ("framing", "on_response"),
        ("bad-name", "on_response"),
    ] {
        let node = TestNode::answering("a");
        let gateway = hostile_filter(&format!("{when} = \"{edit}\""), "", &node);
        let mut client = gateway.client();
        for _ in 0..2 {
            let response = client.get("/");
            assert_eq!((response.status, response.text().as_str()), (200, "a"), "{edit}, {when}");
            let request = node.last_request();
            let said =
                if when == "on_request" { request.header("x-refused") } else { response.header("x-refused") };
            let (refused, tried) =
                said.and_then(|said| said.split_once(" of ")).expect("it says how many were refused");
            assert_eq!(refused, tried, "{edit}, {when}");
            for head in [&request.head, &response.head] {
                assert!(!format!("{head:?}").contains("smuggled"), "{edit}, {when}: {head:?}");
            }
        }
    }
}

#[test]
fn no_edit_can_make_a_message_of_any_size() {
    for (edit, when) in [
        ("many-headers", "on_request"),
        ("huge-header", "on_request"),
        ("many-headers", "on_response"),
        ("huge-header", "on_response"),
    ] {
        let node = TestNode::answering("a");
        let gateway = hostile_filter(&format!("{when} = \"{edit}\""), "on_fault = \"skip\"", &node);
        let response = gateway.get("/");
        assert_eq!(response.status, 200, "{edit}, {when}");
        let request = node.last_request();
        for head in [&request.head, &response.head] {
            let size: usize = head.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
            assert!(size < 128 * 1024, "{edit}, {when}: a head of {size} bytes");
        }
    }
}

#[test]
fn a_filter_may_answer_by_itself() {
    let node = TestNode::answering("a");
    let gateway = hostile_filter("on_request = \"answer-403\"", "", &node);
    assert_eq!(gateway.get("/").status, 403);
    assert_eq!(node.hits(), 0);
    let gateway = hostile_filter("on_response = \"answer-403\"", "", &node);
    let response = gateway.get("/");
    assert_eq!(response.status, 403);
    assert_ne!(response.text(), "a", "the node's body is not shown");
}

#[test]
fn an_answer_of_8_megabytes_does_not_bring_the_gateway_down() {
    let node = TestNode::answering("a");
    let gateway = hostile_filter("on_request = \"answer-huge\"", "", &node);
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.get("/");
        assert!([403, 500].contains(&response.status), "{}", response.status);
        assert!(
            response.body.complete && response.body.bytes.len() < 2 << 20,
            "{} bytes",
            response.body.bytes.len()
        );
    }
}

#[test]
fn a_routers_decision_is_checked() {
    let node = TestNode::answering("a");
    for (decision, status) in [
        ("no-such-pool", 500),
        ("answer-403", 403),
        ("answer-99", 500),
        ("redirect-crlf", 500),
        ("trap", 500),
        ("loop", 500),
    ] {
        let gateway = hostile_filter(&format!("route = \"{decision}\""), "", &node);
        let response = gateway.get("/");
        assert_eq!(response.status, status, "{decision}");
        assert_eq!(response.header("location"), None, "{decision}");
    }
    let response = hostile_filter("route = \"redirect\"", "", &node).get("/");
    assert!((300..400).contains(&response.status), "{}", response.status);
    assert!(response.header("location").is_some());
    assert_eq!(node.hits(), 0);
}

#[test]
fn floods_are_bounded_and_cost_no_request() {
    let node = TestNode::answering("a");
    for flood in ["log-flood", "metric-flood"] {
        let gateway = hostile_policy(&format!("pick = \"{flood}\""), &[&node]);
        for _ in 0..3 {
            assert_eq!(gateway.get("/").status, 200, "{flood}");
        }
        let series =
            gateway.admin("/metrics").text().lines().filter(|line| line.contains("hostile_")).count();
        assert!(series < 5_000, "{flood}: {series} lines");
    }
}

#[test]
fn a_plugin_that_refuses_its_configuration_is_not_started() {
    let node = TestNode::answering("a");
    let error = TestGateway::refused(
        "[plugin.hostile]\nconfig = { configure = \"error\" }\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"hostile\"\nnodes = [{nodes}]",
        &[&node],
    );
    for expected in ["hostile", "greeting: write a friendlier one"] {
        assert!(error.contains(expected), "{expected:?} is missing in: {error}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let node = TestNode::answering("a");
    let text = "[route.all]\npool = \"main\"\n[pool.main]\npolicy = \"no-such-policy\"\nnodes = [{nodes}]";
    let error = TestGateway::refused(text, &[&node]);
    assert!(error.contains("no-such-policy") && error.contains("bascule.toml:"), "{error}");
}
