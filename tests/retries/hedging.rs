//! A second attempt beside the first: when it is made, which of the two answers, and what becomes of the other.

use super::timeouts::{kinds, vanished};
use super::{closing, gateway, hanging, put, refused, retries};
use crate::support::{Connection, PATIENCE, TestGateway, TestNode, wait_until};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const HEDGE: &str = "retry = { hedge = \"30ms\" }";
/// Long enough for any hedge to come.
const SLOW: Duration = Duration::from_millis(300);

/// Hedges that ended so.
fn hedges(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric("bascule_hedges_total", &[("outcome", outcome)])
}

fn attempts(gateway: &TestGateway, node: &str) -> f64 {
    gateway.metric("bascule_node_attempts_total", &[("node", node)])
}

fn failures(gateway: &TestGateway, node: &str) -> f64 {
    gateway.metric("bascule_node_failures_total", &[("node", node)])
}

fn wait_for_silence(gateway: &TestGateway) {
    wait_until("nothing is in flight", || gateway.metric("bascule_node_in_flight", &[]) == 0.0);
}

/// Takes one request on each connection, and goes on when the test says so.
fn held(go_on: impl Fn(&mut Connection) + Send + Sync + 'static) -> (TestNode, Sender<()>) {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let node = TestNode::scripted(move |connection| {
        if connection.read_request().is_some() && wait.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            go_on(connection);
        }
    });
    (node, go)
}

fn say_first(connection: &mut Connection) {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
}

#[test]
fn a_node_that_takes_long_is_overtaken() {
    for keys in [HEDGE.to_owned(), format!("{HEDGE}\nlimits = {{ in_flight_per_node = 1 }}")] {
        let (slow, good) = (hanging(), TestNode::answering("good"));
        let gateway = gateway(&slow, &good, &keys);
        let mut client = gateway.client();
        for count in 1..=2 {
            let response = client.get("/");
            assert_eq!((response.status, response.text().as_str()), (200, "good"));
            assert_eq!(response.header("x-bascule-attempt"), Some("2"));
            assert_eq!(response.header("x-bascule-node"), Some("good"));
            assert_eq!(response.header("x-bascule-policy"), Some("round-robin (native)"));
            assert_eq!(hedges(&gateway, "won"), f64::from(count));
            assert_eq!((attempts(&gateway, "bad"), attempts(&gateway, "good")), (count.into(), count.into()));
            wait_until("the slow node's connection is closed", || slow.open_connections() == 0);
            wait_for_silence(&gateway);
        }
        assert_eq!(good.connections(), 1, "the winner's connection lives on");
        assert_eq!(failures(&gateway, "bad"), 0.0, "being overtaken is no failure");
        assert_eq!(gateway.metric("bascule_retries_total", &[]), 0.0, "and no retry");
        assert_eq!(gateway.snapshot()["pools"][0]["retry"]["hedge"], "30ms");
    }
}

#[test]
fn the_first_node_wins_if_it_answers_first_after_all() {
    let (first, go) = held(say_first);
    let second = hanging();
    let gateway = gateway(&first, &second, HEDGE);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the second node is asked", || second.hits() == 1);
    go.send(()).unwrap();
    let response = client.read_response();
    assert_eq!(response.text(), "first");
    assert_eq!(response.header("x-bascule-attempt"), Some("1"));
    assert_eq!(response.header("x-bascule-node"), Some("bad"));
    assert_eq!(response.header("x-bascule-policy"), Some("first"));
    assert_eq!(hedges(&gateway, "lost"), 1.0);
    wait_until("the second node's connection is closed", || second.open_connections() == 0);
    wait_for_silence(&gateway);
    assert_eq!(gateway.metric("bascule_node_failures_total", &[]), 0.0);
}

#[test]
fn what_may_not_be_seen_twice_or_has_a_body_is_never_hedged() {
    let (slow, good) = (TestNode::answering("slow").with_delay(SLOW), TestNode::answering("good"));
    let gateway = gateway(&slow, &good, HEDGE);
    let mut client = gateway.client();
    assert_eq!(client.post("/", "once").text(), "slow");
    assert_eq!(client.post("/", "").text(), "slow");
    put(&mut client, b"twice", false);
    assert_eq!(client.read_response().text(), "slow");
    put(&mut client, b"twice", true);
    assert_eq!(client.read_response().text(), "slow");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(client.get_with("/", upgrade).text(), "slow");
    assert_eq!((slow.hits(), good.hits()), (5, 0));
    assert_eq!(gateway.metric("bascule_hedges_total", &[]), 0.0);
}

#[test]
fn nothing_is_hedged_without_the_key_or_the_budget() {
    let (slow, good) = (TestNode::answering("slow").with_delay(SLOW), TestNode::answering("good"));
    for (keys, due) in [("", 0.0), ("retry = { hedge = \"30ms\", budget = 0, floor = 0 }", 1.0)] {
        let gateway = gateway(&slow, &good, keys);
        let response = gateway.get("/");
        assert_eq!((response.text().as_str(), response.header("x-bascule-attempt")), ("slow", Some("1")));
        assert_eq!(hedges(&gateway, "budget"), due, "{keys}");
    }
    assert_eq!(good.hits(), 0);
}

#[test]
fn a_pool_without_another_node_waits_for_the_one() {
    let slow = TestNode::answering("slow").with_delay(SLOW);
    let text = format!("[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n{HEDGE}");
    let gateway = TestGateway::with(&text, &[&slow]);
    assert_eq!(gateway.get("/").text(), "slow");
    assert_eq!((hedges(&gateway, "no_node"), slow.hits()), (1.0, 1));
}

#[test]
fn a_failure_of_the_first_is_none_while_the_second_runs() {
    let (first, fail) = held(|connection| connection.reset_on_drop());
    let (second, answer) = held(say_first);
    let gateway = gateway(&first, &second, HEDGE);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the second node is asked", || second.hits() == 1);
    fail.send(()).unwrap();
    wait_until("the first node failed", || failures(&gateway, "bad") == 1.0);
    answer.send(()).unwrap();
    let response = client.read_response();
    assert_eq!((response.status, response.header("x-bascule-node")), (200, Some("good")));
    assert_eq!((hedges(&gateway, "won"), retries(&gateway, "reset")), (1.0, 0.0));
    wait_for_silence(&gateway);
}

#[test]
fn a_bad_answer_of_the_second_is_none_while_the_first_runs() {
    let (first, answer) = held(say_first);
    let second = TestNode::answering("no").with_status(503);
    let gateway = gateway(&first, &second, HEDGE);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the second node failed", || failures(&gateway, "good") == 1.0);
    answer.send(()).unwrap();
    let response = client.read_response();
    assert_eq!((response.text().as_str(), response.header("x-bascule-attempt")), ("first", Some("1")));
    assert_eq!((hedges(&gateway, "failed"), second.open_connections()), (1.0, 1));
    assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0);
}

#[test]
fn if_both_fail_it_goes_on_as_without() {
    let (first, fail) = held(|connection| connection.reset_on_drop());
    let second = closing();
    let reserve = TestNode::answering("reserve");
    let text = |reserve: &str| {
        format!(
            "[gateway]\nworkers = 1\ndebug_headers = true\n[route.all]\npool = \"main\"\n\
             [plugin.first]\nfile = \"fixed.wasm\"\nconfig = {{ node = \"bad\" }}\n\
             [pool.main]\npolicy = \"first\"\noutlier = \"off\"\n{HEDGE}\nnodes = [\
             {{ address = \"{{node1}}\", id = \"bad\" }}, {{ address = \"{{node2}}\", id = \"good\" }}, {reserve}]"
        )
    };
    for (third, status, attempt) in
        [("", 502, "1"), ("{ address = \"{node3}\", id = \"reserve\", tier = 2 }", 200, "3")]
    {
        let gateway = TestGateway::with(&text(third), &[&first, &second, &reserve]);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        wait_until("the second node failed", || failures(&gateway, "good") == 1.0);
        fail.send(()).unwrap();
        let response = client.read_response();
        assert_eq!((response.status, response.header("x-bascule-attempt")), (status, Some(attempt)));
        assert_eq!((hedges(&gateway, "failed"), failures(&gateway, "bad")), (1.0, 1.0));
        assert_eq!(retries(&gateway, "reset"), f64::from(status == 200));
        assert_eq!(refused(&gateway, "no_node"), f64::from(status == 502));
        wait_for_silence(&gateway);
    }
}

#[test]
fn the_limits_of_an_attempt_end_both() {
    for (kind, keys) in [
        ("first_byte_timeout", "first_byte_timeout = \"200ms\""),
        ("attempt_timeout", "attempt_timeout = \"200ms\""),
    ] {
        let (first, second) = (hanging(), hanging());
        let gateway = gateway(&first, &second, &format!("{HEDGE}\n{keys}"));
        assert_eq!(gateway.get("/").status, 504, "{kind}");
        assert_eq!(kinds(&gateway), [kind]);
        assert_eq!((failures(&gateway, "bad"), failures(&gateway, "good")), (1.0, 1.0), "{kind}");
        assert_eq!((hedges(&gateway, "failed"), refused(&gateway, "no_node")), (1.0, 1.0), "{kind}");
    }
}

#[test]
fn a_node_that_does_not_accept_is_overtaken_too() {
    let (vanished, good) = (vanished(), TestNode::answering("good"));
    let text = format!(
        "[gateway]\ndebug_headers = true\n[route.all]\npool = \"main\"\n[plugin.first]\nfile = \"fixed.wasm\"\n\
         config = {{ node = \"bad\" }}\n[pool.main]\npolicy = \"first\"\noutlier = \"off\"\nconnect_timeout = \"10s\"\n\
         {HEDGE}\nnodes = [{{ address = \"{}\", id = \"bad\" }}, {{nodes}}]",
        vanished.address
    );
    let gateway = TestGateway::with(&text, &[&good]);
    let response = gateway.get("/");
    assert_eq!((response.text().as_str(), response.header("x-bascule-attempt")), ("good", Some("2")));
    assert_eq!((hedges(&gateway, "won"), failures(&gateway, "bad")), (1.0, 0.0));
    wait_for_silence(&gateway);
}

#[test]
fn a_client_that_leaves_ends_both() {
    let (first, second) = (hanging(), hanging());
    let gateway = gateway(&first, &second, HEDGE);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the second node is asked", || second.hits() == 1);
    drop(client);
    wait_until("both are let go", || first.open_connections() + second.open_connections() == 0);
    wait_for_silence(&gateway);
    assert_eq!((hedges(&gateway, "lost"), gateway.metric("bascule_node_failures_total", &[])), (1.0, 0.0));
}

#[test]
fn an_informational_head_decides_as_well() {
    let second = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    });
    let first = hanging();
    let gateway = gateway(&first, &second, HEDGE);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 103);
    assert_eq!(client.read_response().text(), "good");
    assert_eq!(hedges(&gateway, "won"), 1.0);
    wait_until("the first node's connection is closed", || first.open_connections() == 0);
}

#[test]
fn a_kept_connection_that_was_closed_just_then_is_made_anew() {
    let first = TestNode::scripted(|connection| {
        connection.read_request();
        say_first(connection);
        if connection.number == 1 {
            connection.read_request();
        } else {
            connection.read_to_end();
        }
    });
    let second = TestNode::answering("second");
    let gateway = gateway(&first, &second, "retry = { hedge = \"10s\" }");
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "first");
    let response = client.get("/");
    assert_eq!((response.text().as_str(), response.header("x-bascule-attempt")), ("first", Some("1")));
    assert_eq!((retries(&gateway, "reused"), first.connections()), (1.0, 2));
    assert_eq!((failures(&gateway, "bad"), second.hits()), (0.0, 0));
}

#[test]
fn a_percentile_is_known_after_a_hundred_answers() {
    let count = AtomicUsize::new(0);
    let first = TestNode::scripted(move |connection| {
        while connection.read_request().is_some() && count.fetch_add(1, SeqCst) < 100 {
            say_first(connection);
        }
        connection.read_to_end();
    });
    let second = TestNode::answering("second");
    let gateway = gateway(&first, &second, "retry = { hedge = \"p95\" }");
    let mut client = gateway.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").text(), "first");
    }
    assert_eq!(client.get("/").text(), "second");
    assert_eq!((hedges(&gateway, "won"), second.hits()), (1.0, 1));
    assert_eq!(gateway.snapshot()["pools"][0]["retry"]["hedge"], "p95");
}
