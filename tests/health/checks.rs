//! Active checks.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const CHECKED: &str =
    "nodes = [{nodes}]\npanic = 0\nhealth = { path = \"/healthz\", interval = \"1s\", unhealthy = 2 }";

#[test]
fn a_node_that_fails_its_checks_leaves_and_comes_back() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway_with(CHECKED, &[&a, &b]);
    wait_until("both are checked", || gateway.admin("/readyz").status == 200);
    a.set_status(503);
    wait_for_state(&gateway, 1, "down");
    assert_eq!(shown(&gateway, 1)["why"], "it answered 503");
    assert_eq!(answers(&gateway, 20), ["b"; 20]);
    assert_eq!(gateway.metric("bascule_node_healthy", &[("node", &a.address().to_string())]), 0.0);

    a.set_status(200);
    wait_for_state(&gateway, 1, "up");
    assert!(answers(&gateway, 20).contains(&"a".to_owned()));
    let checks = |outcome| gateway.metric("bascule_node_checks_total", &[("outcome", outcome)]);
    assert!(checks("good") >= 2.0 && checks("bad") >= 2.0);
}

#[test]
fn a_check_is_a_get_of_its_own_with_the_nodes_address_as_host() {
    let node = TestNode::answering("fine");
    let _gateway = gateway_with(CHECKED, &[&node]);
    wait_until("it is checked twice", || node.hits() >= 2);
    let requests = node.requests();
    let check = &requests[0];
    assert_eq!((check.method(), check.path()), ("GET", "/healthz"));
    assert_eq!(check.header("host"), Some(node.address().to_string().as_str()));
    assert!(check.header("user-agent").is_some_and(|agent| agent.starts_with("bascule-check/")));
    assert_ne!(requests[0].connection, requests[1].connection);
}

#[test]
fn statuses_and_hosts_are_as_configured() {
    let node = TestNode::answering("fine").with_status(401);
    let health =
        "health = { path = \"/\", host = \"node.test\", status = [204, \"400-402\"], interval = \"1s\" }";
    let gateway = gateway_with(&format!("nodes = [{{nodes}}]\n{health}"), &[&node]);
    wait_until("it is checked", || gateway.admin("/readyz").status == 200);
    assert_eq!(state(&gateway, 1), "up");
    assert_eq!(node.requests()[0].header("host"), Some("node.test"));
    node.set_status(200);
    wait_for_state(&gateway, 1, "down");
}

#[test]
fn a_connection_is_enough_for_tcp_and_a_refused_one_is_not() {
    let (up, down) = (TestNode::answering("up"), TestNode::stopped());
    let pool = "nodes = [{nodes}]\nhealth = { type = \"tcp\", interval = \"1s\" }";
    let gateway = gateway_with(pool, &[&up, &down]);
    wait_for_state(&gateway, 2, "down");
    assert_eq!(state(&gateway, 1), "up");
    assert_eq!(up.hits(), 0, "nothing was asked");
    down.restart();
    wait_for_state(&gateway, 2, "up");
}

#[test]
fn a_node_that_closes_stalls_or_talks_nonsense_is_down() {
    let closes = TestNode::scripted(|connection| drop(connection.read_request()));
    let nonsense = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("SSH-2.0-nonsense\r\n\r\n");
    });
    let stalls = TestNode::scripted(|connection| drop(connection.read_to_end()));
    let pool = "nodes = [{nodes}]\nhealth = { path = \"/\", interval = \"1s\", timeout = \"500ms\" }";
    let gateway = gateway_with(pool, &[&closes, &nonsense, &stalls]);
    for (number, why) in [(1, "it closed"), (2, "malformed"), (3, "did not answer within 500ms")] {
        wait_for_state(&gateway, number, "down");
        wait_until(why, || shown(&gateway, number)["why"].as_str().unwrap().contains(why));
    }
}

#[test]
fn a_gateway_is_ready_when_its_nodes_were_checked_and_serves_before() {
    let is_free = Arc::new(AtomicBool::new(false));
    let free = Arc::clone(&is_free);
    let node = TestNode::scripted(move |connection| {
        while let Some(request) = connection.read_request() {
            if request.path() == "/healthz" {
                wait_until("the test lets it answer", || free.load(SeqCst));
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    let health = "health = { path = \"/healthz\", interval = \"60s\", timeout = \"60s\" }";
    let gateway = gateway_with(&format!("nodes = [{{nodes}}]\n{health}"), &[&node]);
    let ready = gateway.admin("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "not every node was checked yet\n"));
    assert_eq!(gateway.get("/").text(), "fine", "nobody else could serve");
    is_free.store(true, SeqCst);
    wait_until("it is ready", || gateway.admin("/readyz").status == 200);
}

#[test]
fn a_new_node_waits_for_its_first_check_and_starts_slowly() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b").with_status(503));
    let keys = "health = { path = \"/\", interval = \"1s\", unhealthy = 1 }\nslow_start = \"1h\"\npanic = 0";
    let gateway = gateway_with(&format!("nodes = [\"{{node1}}\"]\n{keys}"), &[&a]);
    wait_until("the first is checked", || gateway.admin("/readyz").status == 200);
    let both = configuration(&format!("nodes = [\"{{node1}}\", \"{{node2}}\"]\n{keys}"));
    gateway.rewrite_configuration(&both, &[&a, &b]);
    wait_until("the second is checked", || shown(&gateway, 2)["checks"]["bad"].as_u64() > Some(0));
    assert_eq!(answers(&gateway, 10), ["a"; 10]);
    b.set_status(200);
    wait_for_state(&gateway, 2, "starting");
    assert_eq!(shown(&gateway, 2)["effective_weight"], 100);
    let share = answers(&gateway, 110).iter().filter(|answer| *answer == "b").count();
    assert_eq!(share, 10, "a tenth of the other's");
}

#[test]
fn when_too_few_are_healthy_all_are_used() {
    let (a, b, c) = (TestNode::answering("a"), TestNode::stopped(), TestNode::stopped());
    let pool = "nodes = [{nodes}]\nhealth = { type = \"tcp\", interval = \"1s\" }\noutlier = \"off\"";
    let gateway = gateway_with(pool, &[&a, &b, &c]);
    (2..=3).for_each(|number| wait_for_state(&gateway, number, "down"));
    wait_until("panic is told", || gateway.metric("bascule_pool_panic", &[("pool", "main")]) == 1.0);
    assert_eq!(gateway.snapshot()["pools"][0]["panic"], true);
    assert_eq!(gateway.metric("bascule_pool_candidates", &[]), 3.0);
    assert_eq!(answers(&gateway, 9), ["a"; 9], "the others are passed over, request by request");
    b.restart();
    wait_until("panic is over", || gateway.metric("bascule_pool_panic", &[("pool", "main")]) == 0.0);
    assert_eq!(gateway.metric("bascule_pool_panics_total", &[]), 1.0);
}
