//! Drains and weights at run time.

use super::*;
use crate::support::{Response, TestClient};

const STICKY: &str = "policy = [\"sticky-session\", \"round-robin\"]\nnodes = [{nodes}]";

fn ask(gateway: &TestGateway, node: &TestNode, what: &str) -> Value {
    let response = gateway.admin_send("POST", &format!("/pools/main/nodes/{}/{what}", node.address()), "");
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_str(&response.text()).unwrap()
}

fn first_visit(client: &mut TestClient) -> (String, String) {
    let response = client.get("/");
    let cookie = response.header("set-cookie").and_then(|line| line.split(';').next()).unwrap().to_owned();
    (cookie, response.text())
}

fn visit(client: &mut TestClient, cookie: &str) -> Response {
    client.get_with("/", &format!("Cookie: {cookie}\r\n"))
}

#[test]
fn a_draining_node_keeps_its_sessions_until_the_deadline_and_gets_no_new_ones() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway_with(STICKY, &[&a, &b]);
    let mut client = gateway.client();
    let mut visits = (0..20).map(|_| first_visit(&mut client));
    let (cookie, _) = visits.find(|(_, node)| node == "a").expect("one of twenty is bound to a");

    let answer = ask(&gateway, &a, "drain?timeout=1h");
    assert_eq!(answer["state"], "draining");
    wait_until("its last request is over", || shown(&gateway, 1)["empty"] == true);
    assert_eq!(visit(&mut client, &cookie).text(), "a");
    assert!((0..20).all(|_| first_visit(&mut client).1 == "b"));

    ask(&gateway, &a, "drain?timeout=1ms");
    wait_until("the deadline is over", || visit(&mut client, &cookie).text() == "b");
    assert_eq!(visit(&mut client, &cookie).text(), "b", "it was bound anew");
    ask(&gateway, &a, "undrain");
    assert_eq!(state(&gateway, 1), "up");
    let served: Vec<_> = (0..20).map(|_| first_visit(&mut client).1).collect();
    assert!(served.contains(&"a".to_owned()));
}

#[test]
fn a_draining_node_is_empty_when_its_last_request_ended() {
    let a = TestNode::scripted(|connection| {
        connection.read_request();
        connection.read_to_end();
    });
    let b = TestNode::answering("b");
    let gateway = gateway_with("nodes = [{nodes}]", &[&a, &b]);
    let mut waiting = [gateway.client(), gateway.client()];
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    wait_until("one of them is at a", || shown(&gateway, 1)["in_flight"] == 1);
    let answer = ask(&gateway, &a, "drain");
    assert_eq!((&answer["in_flight"], &answer["empty"]), (&1.into(), &false.into()));
    drop(waiting);
    wait_until("it is empty", || shown(&gateway, 1)["empty"] == true);
    assert_eq!(answers(&gateway, 5), ["b"; 5]);
}

#[test]
fn the_configuration_drains_too_and_an_operator_cannot_undo_that() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let pool = "nodes = [{ address = \"{node1}\", drain = true }, \"{node2}\"]";
    let gateway = gateway_with(pool, &[&a, &b]);
    assert_eq!(answers(&gateway, 10), ["b"; 10]);
    let path = format!("/pools/main/nodes/{}/undrain", a.address());
    let refused = gateway.admin_send("POST", &path, "");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("drain = true"), "{}", refused.text());
    gateway.rewrite_configuration(&configuration("nodes = [{nodes}]"), &[&a, &b]);
    wait_for_state(&gateway, 1, "up");
}

#[test]
fn a_weight_counts_at_once_and_survives_a_reload_that_leaves_the_configured_one() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway_with("nodes = [{nodes}]", &[&a, &b]);
    let answer = ask(&gateway, &a, "weight?value=3");
    assert_eq!((&answer["effective_weight"], &answer["set_weight"]), (&3000.into(), &3.into()));
    let share = answers(&gateway, 40).iter().filter(|answer| *answer == "a").count();
    assert_eq!(share, 30);

    let reload = |more: &str, number: u64| {
        gateway.rewrite_configuration(&configuration(more), &[&a, &b]);
        wait_until("it was reloaded", || gateway.snapshot()["number"] == number);
    };
    reload("nodes = [{nodes}]\nattempts = 2", 2);
    assert_eq!(shown(&gateway, 1)["effective_weight"], 3000);
    reload("nodes = [{ address = \"{node1}\", weight = 2 }, \"{node2}\"]", 3);
    assert_eq!(shown(&gateway, 1)["effective_weight"], 2000);
    ask(&gateway, &a, "weight?value=9");
    let answer = ask(&gateway, &a, "weight");
    assert_eq!((&answer["effective_weight"], &answer["set_weight"]), (&2000.into(), &Value::Null));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let node = TestNode::answering("a");
    let gateway = gateway_with("nodes = [{ id = \"rack 7/a\", address = \"{node1}\" }]", &[&node]);
    let send = |method: &str, path: &str| gateway.admin_send(method, path, "");
    assert_eq!(send("POST", "/pools/main/nodes/rack%207/a/drain").status, 200, "ids are percent-encoded");
    assert_eq!(send("POST", "/pools/main/nodes/rack%207%2Fa/undrain").status, 200);
    for (method, path, status) in [
        ("GET", "/pools/main/nodes/rack%207/a/drain", 405),
        ("POST", "/pools/none/nodes/a/drain", 404),
        ("POST", "/pools/main/nodes/none/drain", 404),
        ("POST", "/pools/main/nodes/rack%207/a/undrain", 409),
        ("POST", "/pools/main/nodes/rack%207/a/drain?timeout=30", 400),
        ("POST", "/pools/main/nodes/rack%207/a/weight?value=0", 400),
        ("POST", "/pools/main/nodes/rack%207/a/burn", 404),
    ] {
        let response = send(method, path);
        assert_eq!(response.status, status, "{method} {path}: {}", response.text());
    }
    let of_a_page = gateway.admin_send("POST", "/pools/main/nodes/x/drain", "Origin: http://evil.test\r\n");
    assert_eq!(of_a_page.status, 403);
}
