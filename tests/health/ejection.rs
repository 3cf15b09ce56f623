//! Ejection by traffic, its cap, and tiers.

use std::sync::{Mutex, mpsc};

use super::*;

/// Out for longer than any test.
const FOR_LONG: &str = "outlier = { ejection = \"1h\", max_ejection = \"1h\" }";

/// Sends requests until the node is ejected.
fn wait_until_ejected(gateway: &TestGateway, number: usize) {
    wait_until(&format!("node {number} is ejected"), || {
        gateway.get("/");
        state(gateway, number) == "ejected"
    });
}

#[test]
fn a_node_that_answers_500_is_taken_out() {
    let (a, b, bad) =
        (TestNode::answering("a"), TestNode::answering("b"), TestNode::answering("bad").with_status(500));
    let gateway = gateway_with(&format!("nodes = [{{nodes}}]\n{FOR_LONG}"), &[&a, &b, &bad]);
    wait_until_ejected(&gateway, 3);
    let node = bad.address().to_string();
    let ejections = gateway.metric("bascule_node_ejections_total", &[("node", &node), ("why", "failures")]);
    assert_eq!(ejections, 1.0);
    assert_eq!(gateway.metric("bascule_node_weight", &[("node", &node)]), 0.0);
    bad.forget();
    let mut client = gateway.client();
    assert!((0..30).all(|_| client.get("/").status == 200));
    assert_eq!(bad.hits(), 0);
}

#[test]
fn a_node_that_refuses_connections_is_taken_out_and_comes_back_on_trial() {
    let (a, lost) = (TestNode::answering("a"), TestNode::stopped());
    let gateway = gateway_with("nodes = [{nodes}]\noutlier = { ejection = \"300ms\" }", &[&a, &lost]);
    wait_until_ejected(&gateway, 2);
    lost.restart();
    // It gets a tenth at first; five good answers end the trial.
    wait_until("it is up again", || {
        gateway.get("/");
        state(&gateway, 2) == "up"
    });
    assert!(lost.hits() >= 5);
}

#[test]
fn a_node_that_accepts_and_never_answers_is_taken_out() {
    let (a, hangs) =
        (TestNode::answering("a"), TestNode::scripted(|connection| drop(connection.read_to_end())));
    let gateway = gateway_with(
        "nodes = [{nodes}]\noutlier = { ejection = \"1h\", max_ejection = \"1h\", silence = \"100ms\" }",
        &[&a, &hangs],
    );
    let posting = hang(&gateway, &a, "POST");
    let mut getting = hang(&gateway, &a, "GET");
    wait_until("it is ejected", || {
        // The other one has to answer meanwhile; what is sent to this one hangs as well.
        let _waiting = gateway.client().send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        state(&gateway, 2) == "ejected"
    });
    assert_eq!(shown(&gateway, 2)["ejections"]["silence"], 1);
    assert_eq!(answers(&gateway, 10), ["a"; 10]);
    let answer = getting.read_response();
    assert_eq!(
        (answer.status, answer.text()),
        (200, "a".to_owned()),
        "what waited for it goes to another node"
    );
    assert_eq!(shown(&gateway, 2)["in_flight"], 1, "what may not be done twice waits on");
    drop(posting);
}

/// A request that hangs on the second of two nodes, and not on this one.
fn hang(gateway: &TestGateway, other: &TestNode, method: &str) -> TestClient {
    let in_flight = || shown(gateway, 2)["in_flight"].as_u64().unwrap();
    let before = in_flight();
    loop {
        let answered = other.hits();
        let mut client = gateway.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"));
        wait_until("it is answered or hangs", || in_flight() > before || other.hits() > answered);
        if in_flight() > before {
            return client;
        }
    }
}

#[test]
fn a_node_that_answers_when_it_is_asked_is_only_slow() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (question, questions) = mpsc::channel();
    let slow = TestNode::scripted(move |connection| {
        while let Some(request) = connection.read_request() {
            if request.method() == "OPTIONS" {
                assert_eq!(request.path(), "*");
                question.send(()).unwrap();
            } else {
                // Whichever comes first: the test ends, or it lets go.
                let _ = released.lock().unwrap().recv();
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    let a = TestNode::answering("a");
    let gateway = gateway_with("nodes = [{nodes}]\noutlier = { silence = \"100ms\" }", &[&a, &slow]);
    let mut waiting = hang(&gateway, &a, "GET");
    let mut asked = 0;
    wait_until("it was asked twice", || {
        // The other one has to answer meanwhile.
        gateway.client().send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        asked += questions.try_iter().count();
        asked >= 2
    });
    assert_eq!(state(&gateway, 2), "up");
    drop(release);
    let answer = waiting.read_response();
    assert_eq!((answer.status, answer.text()), (200, "slow".to_owned()));
}

#[test]
fn no_more_than_half_of_a_pool_is_taken_out() {
    let nodes: Vec<_> = (0..4).map(|_| TestNode::answering("bad").with_status(500)).collect();
    let gateway = gateway_with(
        &format!("nodes = [{{nodes}}]\nattempts = 1\n{FOR_LONG}"),
        &nodes.iter().collect::<Vec<_>>(),
    );
    wait_until("two are out", || {
        gateway.get("/");
        gateway.metric("bascule_pool_candidates", &[]) == 2.0
    });
    let mut client = gateway.client();
    assert!((0..40).all(|_| client.get("/").status == 500));
    assert_eq!(gateway.metric("bascule_pool_candidates", &[]), 2.0);
    assert_eq!(gateway.metric("bascule_pool_panic", &[]), 0.0);
}

#[test]
fn it_can_be_off() {
    let bad: Vec<_> = (0..2).map(|_| TestNode::answering("bad").with_status(500)).collect();
    let gateway =
        gateway_with("nodes = [{nodes}]\nattempts = 1\noutlier = \"off\"", &bad.iter().collect::<Vec<_>>());
    let mut client = gateway.client();
    (0..40).for_each(|_| drop(client.get("/")));
    // Looks are ten times a second: this one may be the next.
    let looked = gateway.admin_send("POST", "/pools/main/nodes/none/undrain", "");
    assert_eq!(looked.status, 404);
    assert_eq!(gateway.metric("bascule_pool_candidates", &[]), 2.0);
}

const TIERS: &str = "nodes = [\"{node1}\", { address = \"{node2}\", tier = 1 }]";

#[test]
fn a_later_tier_is_not_used_while_the_first_is_well_and_takes_over_at_once() {
    let (first, backup) = (TestNode::answering("first"), TestNode::answering("backup"));
    let gateway = gateway_with(&format!("{TIERS}\n{FOR_LONG}"), &[&first, &backup]);
    assert_eq!(answers(&gateway, 20), ["first"; 20]);
    assert_eq!(shown(&gateway, 2)["candidate"], false);
    first.stop();
    wait_until("its connections are closed", || first.open_connections() == 0);
    assert_eq!(answers(&gateway, 20), ["backup"; 20], "the first request found it");
    wait_until_ejected(&gateway, 1);
    assert_eq!(shown(&gateway, 2)["candidate"], true);
}

#[test]
fn a_later_tier_takes_the_share_that_is_missing() {
    let nodes: Vec<_> = ["a", "b", "c"].into_iter().map(TestNode::answering).collect();
    // No checks: one that a busy machine answers late would take a node out in the middle of the count.
    let tiers = "nodes = [\"{node1}\", \"{node2}\", { address = \"{node3}\", tier = 1 }]";
    let gateway = gateway_with(&format!("{tiers}\n{FOR_LONG}"), &nodes.iter().collect::<Vec<_>>());
    nodes[0].set_status(503);
    wait_until_ejected(&gateway, 1);
    wait_until("the third is used", || shown(&gateway, 3)["effective_weight"] == 429);
    let served = answers(&gateway, 1429);
    let share = served.iter().filter(|answer| *answer == "c").count();
    assert_eq!((share, served.contains(&"a".to_owned())), (429, false), "half of the tier carries 70 %");
}
