//! header-rewrite, in both directions.

use crate::support::{TestGateway, TestNode};

fn gateway(config: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[plugin.edge]\nfile = \"header_rewrite.wasm\"\nconfig = {{ {config} }}\n\
         [route.shop]\nfilters = [\"edge\"]\npool = \"main\"\n\
         [pool.main]\nnodes = [{{ id = \"first\", address = \"{{node1}}\" }}]"
    );
    TestGateway::with(&text, &[node])
}

#[test]
fn fields_of_requests_are_removed_set_and_added() {
    let node = TestNode::answering("fine");
    let config = "request = { remove = [\"x-debug\", \"accept\"], set = { x-edge = \"bascule\" }, add = { x-via = \"edge\" } }";
    let gateway = gateway(config, &node);
    let mut client = gateway.client();
    let fields = "X-Debug: 1\r\nX-DEBUG: 2\r\nAccept: */*\r\nX-Edge: claimed\r\nX-Edge: twice\r\nX-Via: other\r\nX-Kept: 3\r\n";
    for _ in 0..2 {
        assert_eq!(client.get_with("/", fields).status, 200);
        let request = node.last_request();
        assert_eq!(request.head.headers("x-debug"), [""; 0]);
        assert_eq!(request.head.headers("accept"), [""; 0]);
        assert_eq!(request.head.headers("x-edge"), ["bascule"]);
        assert_eq!(request.head.headers("x-via"), ["other", "edge"]);
        assert_eq!(request.head.headers("x-kept"), ["3"]);
    }
}

#[test]
fn fields_of_responses_are_removed_set_and_added() {
    let node = TestNode::answering("fine")
        .with_header("Server", "inside/1.0")
        .with_header("X-Edge", "claimed")
        .with_header("Vary", "accept");
    let config =
        "response = { remove = [\"server\"], set = { x-edge = \"bascule\" }, add = { vary = \"cookie\" } }";
    let response = gateway(config, &node).get("/");
    assert_eq!(response.header("server"), None);
    assert_eq!(response.head.headers("x-edge"), ["bascule"]);
    assert_eq!(response.head.headers("vary"), ["accept", "cookie"]);
    assert_eq!(response.text(), "fine");
}

#[test]
fn a_filter_that_edits_responses_alone_does_without_the_requests() {
    let node = TestNode::answering("fine");
    let gateway = gateway("response = { set = { x-edge = \"1\" } }", &node);
    (0..10).for_each(|_| assert_eq!(gateway.get("/").header("x-edge"), Some("1")));
    let calls = gateway.metric("bascule_plugin_calls_total", &[("plugin", "edge"), ("role", "filter")]);
    assert_eq!(calls, 10.0);
}

#[test]
fn a_filter_that_is_done_with_the_request_is_spared_the_response() {
    let node = TestNode::answering("fine");
    let calls = |config| {
        let gateway = gateway(config, &node);
        (0..10).for_each(|_| assert_eq!(gateway.get("/").status, 200));
        gateway.metric("bascule_plugin_calls_total", &[("plugin", "edge"), ("role", "filter")])
    };
    assert_eq!(calls("request = { set = { x-edge = \"1\" } }"), 10.0);
    assert_eq!(
        calls("request = { set = { x-edge = \"1\" } }, response = { set = { x-edge = \"1\" } }"),
        20.0
    );
}

#[test]
fn values_have_variables() {
    let node = TestNode::answering("fine");
    let config = "request = { set = { x-all = \"{client} {route} {pool} {method} {scheme} {host} {path}\", x-id = \"{request_id}\" } }, \
                  response = { set = { x-served-by = \"{node}\", x-braces = \"{{}\" } }";
    let gateway = gateway(config, &node);
    let response = gateway.get("/a?b=c");
    let request = node.last_request();
    assert_eq!(request.header("x-all"), Some("127.0.0.1 shop main GET http example.test /a?b=c"));
    assert_eq!(request.header("x-id"), request.header("x-request-id"));
    assert_eq!(response.header("x-served-by"), Some("first"));
    assert_eq!(response.header("x-braces"), Some("{}"));
}

#[test]
fn the_gateways_own_errors_pass_through_it_too() {
    let down = TestNode::stopped();
    let gateway = gateway("response = { set = { x-edge = \"bascule\", x-served-by = \"[{node}]\" } }", &down);
    let response = gateway.get("/");
    assert_eq!(response.status, 502);
    assert_eq!(response.header("x-edge"), Some("bascule"));
}

#[test]
fn filters_see_responses_in_reverse_order() {
    let node = TestNode::answering("fine");
    let text = "[plugin.outer]\nfile = \"header_rewrite.wasm\"\n\
                config = { request = { add = { x-order = \"outer\" } }, response = { add = { x-order = \"outer\" } } }\n\
                [plugin.inner]\nfile = \"header_rewrite.wasm\"\n\
                config = { request = { add = { x-order = \"inner\" } }, response = { add = { x-order = \"inner\" } } }\n\
                [route.all]\nfilters = [\"outer\", \"inner\"]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let response = gateway.get("/");
    assert_eq!(node.last_request().head.headers("x-order"), ["outer", "inner"]);
    assert_eq!(response.head.headers("x-order"), ["inner", "outer"]);
}

#[test]
fn a_large_value_does_not_break_the_head() {
    let node = TestNode::answering("fine");
    let gateway = gateway("request = { set = { x-copy = \"{path}\" } }", &node);
    let path = format!("/{}", "a".repeat(5_000));
    assert_eq!(gateway.get(&path).status, 200);
    assert_eq!(node.last_request().header("x-copy"), Some(path.as_str()));
}
