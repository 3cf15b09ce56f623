//! What kinds of files load.

use crate::support::{TestGateway, TestNode};

/// A gateway whose policy is this file; each of two nodes shall get its turns.
fn assert_balances(file: &str) {
    let nodes = [TestNode::answering("a"), TestNode::answering("b")];
    let text = format!(
        "[plugin.picker]\nfile = \"{file}\"\n[route.all]\npool = \"main\"\n\
         [pool.main]\npolicy = \"picker\"\nnodes = [{{nodes}}]"
    );
    let gateway = TestGateway::with(&text, &[&nodes[0], &nodes[1]]);
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!([nodes[0].hits(), nodes[1].hits()], [5, 5]);
    let picks = gateway.metric("bascule_plugin_calls_total", &[("plugin", "picker"), ("role", "balancer")]);
    assert_eq!(picks, 10.0, "it was this file that picked, and not the native fallback");
}

#[test]
fn a_core_module_for_wasip1_loads() {
    assert_balances("round_robin.wasm");
}

#[test]
fn a_component_for_wasip2_loads() {
    assert_balances("round_robin_p2.wasm");
}

#[test]
fn one_file_may_have_many_uses_with_different_configuration() {
    let node = TestNode::answering("fine");
    let text = "[plugin.one]\nfile = \"header_rewrite.wasm\"\nconfig = { request = { set = { x-one = \"1\" } } }\n\
                [plugin.two]\nfile = \"header_rewrite.wasm\"\nconfig = { request = { set = { x-two = \"2\" } } }\n\
                [route.one]\npath = \"/one\"\nfilters = [\"one\"]\npool = \"main\"\n\
                [route.two]\npath = \"/two\"\nfilters = [\"two\"]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let mut client = gateway.client();
    client.get("/one");
    let request = node.last_request();
    assert_eq!((request.header("x-one"), request.header("x-two")), (Some("1"), None));
    client.get("/two");
    let request = node.last_request();
    assert_eq!((request.header("x-one"), request.header("x-two")), (None, Some("2")));
}

#[test]
fn a_hundred_routes_with_one_plugin_cost_what_one_does() {
    let node = TestNode::answering("fine");
    let routes: String = (0..100)
        .map(|number| {
            format!("[route.r{number}]\npath = \"/{number}\"\nfilters = [\"edge\"]\npool = \"main\"\n")
        })
        .collect();
    let text = format!(
        "[gateway]\nworkers = 1\n[plugin.edge]\nfile = \"header_rewrite.wasm\"\n\
         config = {{ request = {{ set = {{ x-edge = \"1\" }} }} }}\n{routes}[pool.main]\nnodes = [{{nodes}}]"
    );
    let gateway = TestGateway::with(&text, &[&node]);
    let mut client = gateway.client();
    for number in 0..100 {
        assert_eq!(client.get(&format!("/{number}")).status, 200);
        assert_eq!(node.last_request().header("x-edge"), Some("1"));
    }
    // One instance is all the memory that a use takes on a worker, and the code of all is the module's.
    assert_eq!(gateway.metric("bascule_plugin_starts_total", &[("plugin", "edge")]), 1.0);
    assert_eq!(gateway.metric("bascule_plugin_compilations_total", &[]), 1.0);
}
