//! Plugins that wait for a store: their worker serves others meanwhile, and nobody waits longer than they want to.
//!
//! The Redis stands still (SIGSTOP) after the gateway found it, so that whoever asks it waits; or it is not there at all.

use crate::support::{TestClient, TestGateway, TestNode, wait_until};
use test_servers::Redis;

/// A request of a client that shows a token, so that its policy has to ask where it belongs.
const BOUND: &str = "GET / HTTP/1.1\r\nHost: a\r\nCookie: bascule-session=AAAAAAAAAAAAAAAAAAAAAA\r\n\r\n";

fn text(redis: &Redis, sessions: &str, route: &str) -> String {
    let redis = redis.url();
    format!(
        "[redis]\nservers = [\"{redis}\"]\ntimeout = \"10s\"\n[sessions]\nstore = \"redis\"\n{sessions}\n\
         [route.plain]\npath = \"/plain\"\npool = \"plain\"\n[route.all]\npool = \"main\"\n{route}\n\
         [pool.plain]\nnodes = [{{nodes}}]\n\
         [pool.main]\nnodes = [{{nodes}}]\npolicy = [\"sticky-session\", \"round-robin\"]"
    )
}

/// A gateway whose Redis stands still.
fn gateway(redis: &Redis, route: &str, node: &TestNode) -> TestGateway {
    let gateway = TestGateway::with(&text(redis, "", route), &[node]);
    wait_until("Redis is asked", || gateway.metric("bascule_redis_up", &[]) == 1.0);
    redis.freeze();
    gateway
}

fn calls(gateway: &TestGateway) -> f64 {
    gateway.metric("bascule_plugin_calls_total", &[("plugin", "sticky-session"), ("role", "balancer")])
}

fn abandoned(gateway: &TestGateway) -> f64 {
    gateway.metric("bascule_plugin_abandoned_total", &[("plugin", "sticky-session")])
}

fn faults(gateway: &TestGateway) -> f64 {
    gateway.metric("bascule_plugin_faults_total", &[("plugin", "sticky-session")])
}

/// A client whose request is in a call of its policy that waits.
fn waiting(gateway: &TestGateway) -> TestClient {
    let before = calls(gateway);
    let mut client = gateway.client();
    client.send(BOUND);
    wait_until("the policy is asked", || calls(gateway) > before);
    client
}

#[test]
fn others_are_served_while_a_call_waits_and_a_client_that_leaves_ends_it() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("hello");
    let gateway = gateway(&redis, "", &node);
    assert_eq!(gateway.plugin_row("sticky-session")["lane"], "waiting");
    assert_eq!(gateway.plugin_row("round-robin")["lane"], "synchronous");
    let mut other = gateway.client();
    // Each call is one of the worker's only thread. What was abandoned waited while the other one was served.
    wait_until("a call is abandoned", || {
        let left = waiting(&gateway);
        assert_eq!(other.get("/plain").status, 200);
        drop(left);
        assert_eq!(other.get("/plain").status, 200);
        abandoned(&gateway) > 0.0
    });
    assert_eq!(faults(&gateway), 0.0);
}

#[test]
fn a_request_waits_no_longer_than_its_route_says() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("hello");
    let gateway = gateway(&redis, "timeout = \"200ms\"", &node);
    let mut client = gateway.client();
    assert_eq!(client.send(BOUND).read_response().status, 504);
    assert_eq!(abandoned(&gateway), 1.0);
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "timeout")]), 1.0);
    assert_eq!(client.get("/plain").status, 200, "its connection goes on");
}

#[test]
fn a_call_that_waits_goes_on_through_a_reload() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("hello");
    let gateway = gateway(&redis, "", &node);
    let mut client = waiting(&gateway);
    let other = text(&redis, "", "").replace("[\"sticky-session\", \"round-robin\"]", "\"round-robin\"");
    gateway.rewrite_configuration(&other, &[&node]);
    wait_until("the other configuration serves", || {
        gateway.client().send(BOUND).read_response().status == 200
    });
    let response = client.read_response();
    assert_eq!((response.status, &*response.text()), (200, "hello"));
}

#[test]
fn a_client_that_may_not_move_is_turned_away_while_nobody_knows_where_it_belongs() {
    let Some(redis) = Redis::start() else { return };
    let node = TestNode::answering("hello");
    let refuse = text(&redis, "fail_mode = \"refuse\"", "");
    let may_move = text(&redis, "", "");
    redis.kill();

    let gateway = TestGateway::with(&refuse, &[&node]);
    let mut client = gateway.client();
    let response = client.send(BOUND).read_response();
    assert_eq!(response.status, 503);
    let seconds: u32 = response.header("retry-after").expect("it may ask again").parse().expect("seconds");
    assert!((1..=3).contains(&seconds));
    assert_eq!(gateway.metric("bascule_errors_total", &[("kind", "session_store")]), 1.0);
    assert_eq!(client.get("/").status, 200, "a new client is served, and not bound");

    let gateway = TestGateway::with(&may_move, &[&node]);
    assert_eq!(gateway.client().send(BOUND).read_response().status, 200);
    assert_eq!(faults(&gateway), 0.0);
}
