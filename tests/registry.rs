//! The gateway's own registry: nodes register themselves over HTTP.

mod etcd;

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Load, Response, TestClient, TestGateway, TestNode, wait_until};

/// A pool "main" whose nodes register; `more` stands in [registry].
fn gateway(more: &str) -> TestGateway {
    let text = "[route.all]\npool = \"main\"\n[pool.main]\ndiscovery = { provider = \"registry\", empty = \"0s\" }\n";
    TestGateway::with(&format!("{text}[registry]\naddress = \"127.0.0.1:0\"\n{more}\n"), &[])
}

/// One request to a registry.
fn send(registry: SocketAddr, method: &str, path: &str, fields: &str, body: &str) -> Response {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: registry\r\nContent-Length: {length}\r\n{fields}\r\n");
    TestClient::connect(registry).send(head + body).read_response()
}

fn put(gateway: &TestGateway, id: &str, body: &str) -> Response {
    send(gateway.registry_address(), "PUT", &format!("/pools/main/nodes/{id}"), "", body)
}

fn entry(node: &TestNode, ttl: &str) -> String {
    format!("{{\"address\": \"{}\", \"ttl\": \"{ttl}\"}}", node.address())
}

fn ids(gateway: &TestGateway) -> Vec<String> {
    let snapshot = gateway.snapshot();
    let nodes = snapshot["pools"][0]["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nodes_register_change_and_leave_under_load_and_no_request_fails() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway("");
    // A pool may be followed a moment after the gateway's start.
    wait_until("a registers", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    wait_until("a serves", || gateway.get("/").status == 200);
    let load = Load::on(gateway.address());
    let answer = put(&gateway, "b", &entry(&b, "1m"));
    assert_eq!((answer.status, answer.text().contains("\"ttl\":\"1m\"")), (201, false));
    assert!(answer.text().contains("\"ttl\":\"60s\""), "{}", answer.text());
    wait_until("b serves", || b.hits() > 10);
    assert_eq!(put(&gateway, "b", &entry(&b, "1m")).status, 200, "it renews");
    let heavier =
        format!("{{\"address\": \"{}\", \"weight\": 3, \"labels\": {{\"v\": \"2\"}}}}", b.address());
    assert_eq!(put(&gateway, "b", &heavier).status, 200);
    wait_until("b changed", || gateway.snapshot()["pools"][0]["nodes"][1]["labels"]["v"] == "2");
    let list = send(gateway.registry_address(), "GET", "/pools/main/nodes", "", "");
    let list: Value = serde_json::from_slice(&list.body.bytes).unwrap();
    assert_eq!((&list["nodes"][1]["weight"], &list["nodes"][1]["ttl"]), (&3.into(), &"10s".into()));
    assert!(list["nodes"][1]["left_ms"].as_u64().unwrap() <= 10_000);
    let left = send(gateway.registry_address(), "DELETE", "/pools/main/nodes/a", "", "");
    assert_eq!((left.status, left.body.bytes.len()), (204, 0));
    wait_until("a is out", || ids(&gateway) == ["b"]);
    assert_eq!(send(gateway.registry_address(), "DELETE", "/pools/main/nodes/a", "", "").status, 404);
    assert!(load.stop() > 20);
    for (outcome, count) in [("registered", 2.0), ("renewed", 1.0), ("changed", 1.0), ("left", 1.0)] {
        let counted = gateway.metric("bascule_registry_requests_total", &[("outcome", outcome)]);
        assert_eq!(counted, count, "{outcome}");
    }
}

#[test]
fn a_node_that_does_not_renew_is_gone_when_its_lease_ends() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway("");
    wait_until("a registers", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    let registered = Instant::now();
    assert_eq!(put(&gateway, "b", &entry(&b, "1s")).status, 201);
    wait_until("both are in", || ids(&gateway).len() == 2);
    wait_until("b is out", || ids(&gateway) == ["a"]);
    assert!(registered.elapsed().as_millis() >= 1000, "not before its time");
    eprintln!("a lease of 1 s was out after {:?}", registered.elapsed());
    assert_eq!(gateway.metric("bascule_registry_leases_ended_total", &[]), 1.0);
}

#[test]
fn what_is_wrong_is_refused_counted_and_costs_nothing() {
    let a = TestNode::answering("a");
    let gateway = gateway("max_nodes = 1\ntoken = \"open sesame\"");
    let registry = gateway.registry_address();
    let token = "Authorization: Bearer open sesame\r\n";
    let put = |path: &str, fields: &str, body: &str| send(registry, "PUT", path, fields, body);
    let (node, good) = ("/pools/main/nodes/a", entry(&a, "1m"));
    wait_until("a registers", || put(node, token, &good).status == 201);
    wait_until("a serves", || gateway.get("/").status == 200);
    for fields in ["", "Authorization: Bearer close\r\n"] {
        assert_eq!(put(node, fields, &good).status, 401);
    }
    let unknown = put("/pools/other/nodes/a", token, &good);
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("those that do: main"), "{}", unknown.text());
    assert_eq!(put(node, token, "<html>").status, 422);
    assert!(put(node, token, "{\"address\": \"a:0\"}").text().contains("0 is no port"));
    assert_eq!(put("/pools/main/nodes/a%2Fb", token, &good).status, 422);
    assert_eq!(put(node, token, &" ".repeat(64 * 1024 + 1)).status, 413);
    let full = put("/pools/main/nodes/b", token, &good);
    assert_eq!((full.status, full.text().contains("max_nodes")), (507, true));
    assert_eq!(send(registry, "POST", node, token, "").status, 405);
    assert_eq!(send(registry, "GET", "/", token, "").status, 404);
    assert_eq!(put(node, &format!("{token}Origin: http://evil.example\r\n"), &good).status, 403);
    assert_eq!(ids(&gateway), ["a"]);
    assert_eq!(gateway.get("/").text(), "a");
    let counted = |outcome| gateway.metric("bascule_registry_requests_total", &[("outcome", outcome)]);
    assert_eq!((counted("unauthorized"), counted("too_large"), counted("full")), (2.0, 1.0, 1.0));
    let snapshot = gateway.snapshot();
    assert_eq!(snapshot["registry"]["pools"][0], "main");
    assert!(!snapshot.to_string().contains("sesame"));
}

#[test]
fn a_pool_that_no_longer_registers_takes_no_node_and_one_that_comes_does() {
    let a = TestNode::answering("a");
    let gateway = gateway("");
    wait_until("a registers", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    let tables = "[registry]\naddress = \"127.0.0.1:0\"\n[route.all]\npool = \"next\"\n[pool.next]\n";
    gateway.rewrite_configuration(&format!("{tables}discovery = {{ provider = \"registry\" }}\n"), &[]);
    let next = || send(gateway.registry_address(), "PUT", "/pools/next/nodes/a", "", &entry(&a, "1m"));
    wait_until("the new pool takes nodes", || matches!(next().status, 200 | 201));
    wait_until("it serves", || gateway.get("/").status == 200);
    assert_eq!(put(&gateway, "a", &entry(&a, "1m")).status, 404);
}

/// A node that registers at one of two gateways that share this store reaches the other, renews and leaves with either.
fn a_registration_reaches_the_other(store: &str) {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let [here, there] = [(); 2].map(|()| gateway(store));
    wait_until("a registers", || put(&here, "a", &entry(&a, "1m")).status == 201);
    wait_until("it serves at both", || [&here, &there].iter().all(|gateway| gateway.get("/").status == 200));
    let load = Load::on(there.address());
    let registered = Instant::now();
    assert_eq!(put(&here, "b", &entry(&b, "1m")).status, 201);
    wait_until("b is at the other", || ids(&there) == ["a", "b"]);
    eprintln!("a registration was at the other gateway after {:?}", registered.elapsed());
    assert_eq!(put(&there, "b", &entry(&b, "1m")).status, 200, "it renews with either");
    let list = send(there.registry_address(), "GET", "/pools/main/nodes", "", "").text();
    assert!(list.contains("\"ttl\":\"60s\""), "{list}");
    let heavier = entry(&b, "90s").replace('{', "{\"weight\": 3, ");
    assert_eq!(put(&there, "b", &heavier).status, 200);
    wait_until("b changed", || here.snapshot()["pools"][0]["nodes"][1]["weight"] == 3);
    let left =
        |gateway: &TestGateway| send(gateway.registry_address(), "DELETE", "/pools/main/nodes/a", "", "");
    assert_eq!(left(&there).status, 204);
    wait_until("a is out at both", || [&here, &there].iter().all(|gateway| ids(gateway) == ["b"]));
    assert_eq!(left(&here).status, 404);
    assert!(load.stop() > 0);
    let counted = |outcome| there.metric("bascule_registry_requests_total", &[("outcome", outcome)]);
    assert_eq!((counted("renewed"), counted("changed"), counted("left")), (1.0, 1.0, 1.0));
}

/// A lease of two seconds (etcd's least) ends at both gateways.
fn a_lease_ends_at_every_gateway(store: &str) {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let [here, there] = [(); 2].map(|()| gateway(store));
    wait_until("a registers", || put(&here, "a", &entry(&a, "1m")).status == 201);
    let registered = Instant::now();
    assert_eq!(put(&here, "b", &entry(&b, "2s")).status, 201);
    wait_until("both are in", || ids(&there).len() == 2);
    wait_until("b is out", || ids(&there) == ["a"]);
    assert!(registered.elapsed().as_millis() >= 1900, "not before its time");
    eprintln!("a lease of 2 s was out at the other gateway after {:?}", registered.elapsed());
    wait_until("b is out", || ids(&here) == ["a"]);
}

/// Leases in this Redis.
fn in_redis(redis: &test_servers::Redis) -> String {
    format!("store = \"redis\"\n[redis]\nservers = [\"{}\"]\ntimeout = \"1s\"", redis.url())
}

#[test]
fn a_registration_in_redis_reaches_the_other_gateway() {
    let Some(redis) = test_servers::Redis::start() else { return };
    a_registration_reaches_the_other(&in_redis(&redis));
}

#[test]
fn a_lease_in_redis_ends_at_every_gateway() {
    let Some(redis) = test_servers::Redis::start() else { return };
    a_lease_ends_at_every_gateway(&in_redis(&redis));
}

#[test]
fn a_redis_that_goes_and_comes_back_empty_costs_no_node() {
    let Some(redis) = test_servers::Redis::start() else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway(&in_redis(&redis));
    wait_until("a registers", || put(&gateway, "a", &entry(&a, "5s")).status == 201);
    assert_eq!(put(&gateway, "b", &entry(&b, "5s")).status, 201);
    wait_until("both are in", || ids(&gateway) == ["a", "b"]);
    let load = Load::on(gateway.address());
    redis.kill();
    wait_until("the loss is seen", || gateway.metric("bascule_discovery_up", &[]) == 0.0);
    let refused = put(&gateway, "a", &entry(&a, "5s"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(ids(&gateway), ["a", "b"]);
    redis.restart_empty();
    wait_until("a renews", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    wait_until("it is followed again", || gateway.metric("bascule_discovery_up", &[]) == 1.0);
    assert_eq!(ids(&gateway), ["a", "b"], "b has its lease to come back");
    wait_until("b did not", || ids(&gateway) == ["a"]);
    load.stop();
}
