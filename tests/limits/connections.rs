//! Limits on clients' connections, and what is done before descriptors and memory run out.

use super::retry_after;
use crate::support::{GatewayProcess, TestClient, TestGateway, TestNode, wait_until};
use std::time::Duration;

/// All requests go to this node, on two workers; the listener and the gateway have these keys.
fn gateway_with(listener: &str, node: &TestNode) -> TestGateway {
    TestGateway::with(&configuration("", listener), &[node])
}

fn configuration(gateway: &str, listener: &str) -> String {
    format!(
        "[gateway]\nworkers = 2\n{gateway}\n[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]"
    )
}

fn refused(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric("bascule_connections_refused_total", &[("reason", reason)])
}

/// So many clients that were served and stay connected.
fn connected(gateway: &TestGateway, count: usize) -> Vec<TestClient> {
    let one = |_| {
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        client
    };
    (0..count).map(one).collect()
}

#[test]
fn a_listener_takes_so_many_connections_and_tells_the_others() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("connections = 3", &node);
    let mut clients = connected(&gateway, 3);
    for asks in [true, false] {
        let mut client = gateway.client();
        if asks {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        let told = client.read_response();
        assert_eq!((told.status, told.header("connection")), (503, Some("close")));
        assert!(retry_after(&told).is_some_and(|seconds| seconds >= 1));
        client.expect_close();
    }
    assert_eq!(refused(&gateway, "listener"), 2.0);
    assert_eq!(gateway.snapshot()["listeners"][0]["open"], 3);
    assert_eq!(clients[0].get("/").status, 200, "who is in stays in");
    clients.pop();
    wait_until("a place is free", || gateway.snapshot()["listeners"][0]["open"] == 2);
    connected(&gateway, 1);
}

#[test]
fn a_client_has_so_many_connections_on_all_workers_together() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("connections = 100\nconnections_per_client = 4", &node);
    let clients = connected(&gateway, 4);
    for _ in 0..4 {
        assert_eq!(gateway.client().read_response().status, 503);
    }
    assert_eq!(refused(&gateway, "client"), 4.0);
    drop(clients);
    wait_until("all are gone", || gateway.snapshot()["listeners"][0]["open"] == 0);
    connected(&gateway, 4);
}

#[test]
fn a_new_limit_counts_those_who_are_there() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("", &node);
    let mut clients = connected(&gateway, 3);
    gateway.rewrite_configuration(&configuration("", "connections = 2"), &[&node]);
    wait_until("the limit rules", || gateway.snapshot()["listeners"][0]["connections"] == 2);
    assert_eq!(gateway.client().read_response().status, 503);
    assert_eq!(clients[2].get("/").status, 200);
}

#[test]
fn short_memory_turns_everything_away_until_half_of_the_clients_are_gone() {
    let node = TestNode::answering("fine");
    let gateway = gateway_with("", &node);
    let mut clients = connected(&gateway, 4);
    // More than the mark, however little the rest of this process takes.
    let ballast = vec![1_u8; 100 << 20];
    gateway.rewrite_configuration(&configuration("limits = { memory = \"64MiB\" }", ""), &[&node]);
    wait_until("memory is short", || gateway.snapshot()["connections"]["short_of_memory"] == true);
    assert_eq!(gateway.metric("bascule_short_of_memory", &[]), 1.0);
    assert_eq!(gateway.client().read_response().status, 503);
    assert_eq!(refused(&gateway, "memory"), 1.0);

    let told = clients[0].get("/");
    assert_eq!((told.status, told.header("connection")), (503, Some("close")));
    assert!(retry_after(&told).is_some());
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "memory")]), 1.0);
    assert_eq!(node.hits(), 4, "nothing of it came to the node");
    clients.truncate(2);
    wait_until("memory is free again", || gateway.snapshot()["connections"]["short_of_memory"] == false);
    connected(&gateway, 1);
    assert!(ballast.iter().all(|byte| *byte == 1));
}

#[test]
fn clients_are_turned_away_before_descriptors_run_out() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::with_descriptors(
        200,
        "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]",
        &[&node],
    );
    let limit = gateway.snapshot()["connections"]["limit"].as_u64().unwrap();
    assert_eq!(limit, 36, "half of what the reserve leaves");
    let mut clients: Vec<_> = (0..limit).map(|_| gateway.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert!((0..100).all(|_| gateway.client().read_response().status == 503));
    assert!(clients.iter_mut().all(|client| client.get("/").status == 200), "nodes are still reached");
    assert!(gateway.open_files() < 200);
}

#[test]
fn idle_connections_give_way_to_clients() {
    let nodes: Vec<_> =
        (0..6).map(|_| TestNode::answering("fine").with_delay(Duration::from_millis(20))).collect();
    let pool = |number: usize| {
        format!(
            "[route.r{number}]\npath = \"/{number}\"\npool = \"p{number}\"\n\
             [pool.p{number}]\nnodes = [\"{{node{number}}}\"]\n"
        )
    };
    let text: String = (1..=6).map(pool).collect();
    let gateway = GatewayProcess::with_descriptors(200, &text, &nodes.iter().collect::<Vec<_>>());
    let mut clients: Vec<_> = (0..30).map(|_| gateway.client()).collect();
    // Each node gets 30 connections at once: with all of them kept there would be 180, beside 30 clients.
    for number in 1..=6 {
        let request = format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        for client in &mut clients {
            client.send(&request);
        }
        assert!(clients.iter_mut().all(|client| client.read_response().status == 200), "{number}");
    }
    let open = || nodes.iter().map(TestNode::open_connections).sum::<usize>();
    wait_until("only so many idle connections are left as there is room for", || open() <= 12);
}
