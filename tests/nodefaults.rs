//! Nodes that fail in every way that a gateway can meet: no POST is ever applied twice, and every GET is answered.
//!
//! Each node writes down what it would have applied: a request counts as soon as its head was read, however the node fails
//! then. The first of three nodes fails, and the native round robin leads every third attempt to it; nothing ejects it.

use crate::support::{Connection, Head, TestGateway, TestNode, wait_until};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Long enough for a good node on a busy machine, and not for one that never answers.
const POOL: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\noutlier = \"off\"\n\
                    first_byte_timeout = \"1s\"\nretry = { budget = 100, floor = 1000 }\n";

/// How often nodes have read a request, by its method and path.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<String, usize>>>);

impl Ledger {
    fn apply(&self, head: &Head) {
        let request = head.start.trim_end_matches(" HTTP/1.1").to_owned();
        *self.0.lock().unwrap().entry(request).or_default() += 1;
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    fn check(&self) {
        for (request, times) in &*self.0.lock().unwrap() {
            assert!(!request.starts_with("POST") || *times == 1, "{request} was applied {times} times");
        }
    }
}

/// A node that does this to each connection; the ledger is for what it reads.
fn node(ledger: &Ledger, script: impl Fn(&mut Connection, &Ledger) + Send + Sync + 'static) -> TestNode {
    let ledger = ledger.clone();
    TestNode::scripted(move |connection| script(connection, &ledger))
}

fn answers(connection: &mut Connection, ledger: &Ledger) {
    while let Some(request) = connection.read_request() {
        ledger.apply(&request.head);
        connection.send(GOOD);
    }
}

/// Three shapes of POST with this number.
fn posts(number: usize) -> [String; 3] {
    let head = |kind: &str| format!("POST /{kind}/{number} HTTP/1.1\r\nHost: example.test\r\n");
    let large = 300_000; // far above what is kept for another attempt
    [
        head("empty") + "Content-Length: 0\r\n\r\n",
        head("chunked") + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        head("large") + &format!("Content-Length: {large}\r\n\r\n{}", "x".repeat(large)),
    ]
}

/// Lets requests of all kinds meet a node that fails so, beside two that do not.
fn meet(script: impl Fn(&mut Connection, &Ledger) + Send + Sync + 'static) {
    let ledger = Ledger::default();
    let bad = node(&ledger, script);
    meet_node(&ledger, &bad);
    assert!(bad.connections() > 0, "the node that fails was met");
}

fn meet_node(ledger: &Ledger, bad: &TestNode) {
    let good = [node(ledger, answers), node(ledger, answers)];
    let gateway = TestGateway::with(POOL, &[bad, &good[0], &good[1]]);
    for number in 0..6 {
        for post in posts(number) {
            let status = gateway.client().send(post).read_response().status;
            assert!([200, 500, 502, 503, 504].contains(&status), "{status}");
        }
        let got = gateway.get(&format!("/{number}"));
        assert_eq!((got.status, got.text().as_str()), (200, "ok"), "GET /{number}");
    }
    ledger.check();
}

#[test]
fn a_node_that_refuses_connections() {
    meet_node(&Ledger::default(), &TestNode::stopped());
}

#[test]
fn a_node_that_resets_before_it_reads() {
    meet(|connection, _| connection.reset_on_drop());
}

#[test]
fn a_node_that_resets_when_it_has_read_the_head() {
    meet(|connection, ledger| {
        if let Some(head) = connection.read_head() {
            ledger.apply(&head);
        }
        connection.reset_on_drop();
    });
}

#[test]
fn a_node_that_resets_when_it_has_read_all() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
        }
        connection.reset_on_drop();
    });
}

#[test]
fn a_node_that_closes_without_an_answer() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
        }
    });
}

/// From outside this looks like a kept connection that was closed just before it was used again.
#[test]
fn a_node_that_applies_the_second_request_of_a_connection_and_closes() {
    meet(|connection, ledger| {
        for answer in [GOOD, ""] {
            let Some(request) = connection.read_request() else { return };
            ledger.apply(&request.head);
            connection.send(answer);
        }
    });
}

#[test]
fn a_node_that_closes_each_connection_behind_its_first_answer() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.send(GOOD);
        }
    });
}

#[test]
fn a_node_that_never_answers() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.read_to_end(); // until the gateway gives up
        }
    });
}

#[test]
fn a_node_that_answers_500() {
    meet(|connection, ledger| {
        while let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad");
        }
    });
}

#[test]
fn a_node_that_answers_503_and_closes_before_the_body_came() {
    meet(|connection, ledger| {
        if let Some(head) = connection.read_head() {
            ledger.apply(&head);
            connection
                .send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
}

#[test]
fn a_node_that_answers_what_nobody_understands() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.send("hello\r\n\r\n");
        }
    });
}

#[test]
fn a_node_that_dies_in_the_middle_of_a_head() {
    meet(|connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.send("HTTP/1.1 200 OK\r\nContent-Le");
            connection.reset_on_drop();
        }
    });
}

/// The client has a part of the answer, so nothing can be made good any more, for no method.
#[test]
fn a_node_that_dies_in_the_middle_of_a_body_is_not_asked_again() {
    let ledger = Ledger::default();
    let bad = node(&ledger, |connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
        }
    });
    let good = node(&ledger, answers);
    let gateway = TestGateway::with(POOL, &[&bad, &good]);
    for number in 0..4 {
        for request in [posts(number)[1].clone(), format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")] {
            let got = gateway.client().send(request).read_response();
            assert!(got.body.complete == (got.text() == "ok"), "{got:?}");
        }
    }
    assert!(bad.hits() > 0, "the node that fails was met");
    assert_eq!(ledger.count(), 8, "each request went to one node");
    ledger.check();
}

#[test]
fn a_node_that_is_killed_with_requests_in_flight() {
    const EACH: usize = 6;
    let ledger = Ledger::default();
    let bad = node(&ledger, |connection, ledger| {
        if let Some(request) = connection.read_request() {
            ledger.apply(&request.head);
            connection.read_to_end(); // until it is killed
        }
    });
    let good = [node(&ledger, answers), node(&ledger, answers)];
    // Nothing may end a request but the node's death.
    let text = POOL.replace("\"1s\"", "\"30s\"").replace("[route.all]\n", "[route.all]\ntimeout = \"30s\"\n");
    let gateway = TestGateway::with(&text, &[&bad, &good[0], &good[1]]);
    thread::scope(|scope| {
        let gateway = &gateway;
        let gets: Vec<_> =
            (0..EACH).map(|number| scope.spawn(move || gateway.get(&format!("/{number}")).status)).collect();
        for number in 0..EACH {
            scope.spawn(move || gateway.client().post(&format!("/{number}"), "once"));
        }
        wait_until("each request is at a node", || ledger.count() == 2 * EACH);
        bad.stop();
        for got in gets {
            assert_eq!(got.join().unwrap(), 200);
        }
    });
    assert!(bad.hits() > 0, "the node that fails was met");
    ledger.check();
}

#[test]
fn a_node_that_is_restarted_again_and_again() {
    let ledger = Ledger::default();
    let bad = node(&ledger, answers);
    let good = [node(&ledger, answers), node(&ledger, answers)];
    let gateway = TestGateway::with(POOL, &[&bad, &good[0], &good[1]]);
    for number in 0..10 {
        for (what, path) in [("up", "up"), ("down", "down")] {
            for kind in 0..3 {
                gateway.client().post(&format!("/{path}/{kind}/{number}"), what);
                assert_eq!(gateway.get(&format!("/{path}/{kind}/{number}")).status, 200);
            }
            match what {
                "up" => bad.stop(),
                _ => bad.restart(),
            }
        }
    }
    assert!(bad.connections() > 1, "it was used again behind a restart");
    ledger.check();
}
