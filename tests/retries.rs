//! A node fails, and the client does not notice: what is sent again, what never is, and how each limit of time ends.

mod hedging;
mod limits;
mod timeouts;

use crate::support::{Connection, TestClient, TestGateway, TestNode};

/// A pool whose node "bad" is asked first, and "good" only if another one is tried. `keys` are the pool's. The policy has
/// time: were it ended on a busy machine, the native round robin might ask "good" first.
pub fn gateway(bad: &TestNode, good: &TestNode, keys: &str) -> TestGateway {
    let text = format!(
        "[gateway]\nworkers = 1\ndebug_headers = true\n[route.all]\npool = \"main\"\n\
         [plugin.first]\nfile = \"fixed.wasm\"\nconfig = {{ node = \"bad\" }}\n\
         limits = {{ deadline = \"1s\", start = \"1s\" }}\n[pool.main]\npolicy = \"first\"\noutlier = \"off\"\n\
         nodes = [{{ address = \"{{node1}}\", id = \"bad\" }}, {{ address = \"{{node2}}\", id = \"good\" }}]\n{keys}"
    );
    TestGateway::with(&text, &[bad, good])
}

/// Requests that were sent again for this reason.
pub fn retries(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric("bascule_retries_total", &[("reason", reason)])
}

/// Requests that were not, because of this.
pub fn refused(gateway: &TestGateway, why: &str) -> f64 {
    gateway.metric("bascule_retries_refused_total", &[("why", why)])
}

/// Takes each request and ends the connection.
fn closing() -> TestNode {
    TestNode::scripted(|connection| {
        connection.read_request();
    })
}

/// Takes each request and never answers.
pub fn hanging() -> TestNode {
    TestNode::scripted(|connection| {
        connection.read_request();
        connection.read_to_end();
    })
}

/// Takes each request and answers with these bytes.
fn saying(answer: &'static str) -> TestNode {
    TestNode::scripted(
        move |connection| {
            while connection.read_request().is_some() && connection.send(answer) {}
        },
    )
}

/// Every way to fail after the request was sent, with the word for it and what a client gets of it.
fn failing() -> Vec<(&'static str, u16, TestNode)> {
    let resetting = TestNode::scripted(|connection: &mut Connection| {
        connection.read_request();
        connection.reset_on_drop();
    });
    vec![
        ("reset", 502, closing()),
        ("reset", 502, resetting),
        ("timeout", 504, hanging()),
        ("malformed", 502, saying("HTTP/1.1 200 OK\nthis is no HTTP\r\n\r\n")),
        ("status", 500, TestNode::answering("no").with_status(500)),
        ("status", 503, TestNode::answering("no").with_status(503)),
    ]
}

const TIMEOUT: &str = "first_byte_timeout = \"300ms\"";

#[test]
fn an_idempotent_request_goes_to_another_node_whatever_fails() {
    for (reason, _, bad) in failing() {
        let good = TestNode::answering("good");
        let gateway = gateway(&bad, &good, TIMEOUT);
        let response = gateway.get("/");
        assert_eq!((response.status, response.text().as_str()), (200, "good"), "{reason}");
        assert_eq!(response.header("x-bascule-attempt"), Some("2"), "{reason}");
        assert_eq!(response.header("x-bascule-node"), Some("good"), "{reason}");
        assert_eq!(retries(&gateway, reason), 1.0, "{reason}");
        assert_eq!(gateway.metric("bascule_errors_total", &[]), 0.0, "what was made good is no error");
        assert_eq!(
            gateway.metric("bascule_node_failures_total", &[("node", "bad")]),
            1.0,
            "but it is the node's"
        );
        crate::support::wait_until("nothing is in flight", || {
            gateway.metric("bascule_node_in_flight", &[]) == 0.0
        });
    }
}

#[test]
fn a_request_that_may_not_be_repeated_never_is() {
    for (reason, status, bad) in failing() {
        let good = TestNode::answering("good");
        let gateway = gateway(&bad, &good, TIMEOUT);
        for method in ["POST", "PATCH", "MINE"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nonce");
            assert_eq!(gateway.client().send(request).read_response().status, status, "{method}, {reason}");
        }
        assert_eq!((bad.hits(), good.hits()), (3, 0), "{reason}");
        assert_eq!(refused(&gateway, "method"), 3.0, "{reason}");
    }
}

#[test]
fn a_request_that_no_node_has_seen_goes_to_another_one_whatever_its_method() {
    let (bad, good) = (TestNode::stopped(), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "retry = { budget = 0, floor = 0 }");
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.post("/", "once").text(), "good");
    }
    assert_eq!(good.hits(), 10);
    assert_eq!(retries(&gateway, "connect"), 10.0, "it is no load, so the budget does not count it");
    let pool = &gateway.snapshot()["pools"][0];
    assert_eq!(
        (&pool["attempts"], &pool["retry"]["budget"], &pool["retry"]["on"][7]),
        (&3.into(), &0.into(), &"504".into())
    );
}

#[test]
fn a_node_that_answers_with_an_error_keeps_its_connection() {
    let (bad, good) = (TestNode::answering("no").with_status(503), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "");
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "good");
    }
    assert_eq!((bad.hits(), bad.connections()), (3, 1));
}

#[test]
fn an_answer_that_is_no_failure_of_the_node_is_passed_on() {
    let (bad, good) = (TestNode::answering("no"), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "");
    for status in [200, 304, 404, 429, 501] {
        bad.set_status(status);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.read_head().status(), status);
    }
    assert_eq!(good.hits(), 0);
}

#[test]
fn the_configuration_says_what_is_tried_again() {
    let (bad, good) = (TestNode::answering("no"), TestNode::answering("good"));
    let gateway = gateway(&bad, &good, "retry = { on = [\"4xx\", \"503\"] }");
    for (status, served) in [(404, "good"), (499, "good"), (503, "good"), (500, "no"), (502, "no")] {
        bad.set_status(status);
        assert_eq!(gateway.get("/").text(), served, "{status}");
    }
}

/// PUTs this body, with a length or in chunks.
fn put(client: &mut TestClient, body: &[u8], chunked: bool) {
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", body.len())
    };
    client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n"));
    if !chunked {
        client.try_send(body);
        return;
    }
    for piece in body.chunks(7000) {
        client.send(format!("{:x}\r\n", piece.len())).try_send(piece);
        client.send("\r\n");
    }
    client.send("0\r\nX-Sum: fine\r\n\r\n");
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn a_body_of_up_to_64_kib_is_sent_again_whole() {
    for (length, chunked) in [(1, false), (8192, false), (60_000, false), (64 << 10, false), (60_000, true)] {
        let (bad, good) = (closing(), TestNode::answering("good"));
        let gateway = gateway(&bad, &good, "");
        let mut client = gateway.client();
        put(&mut client, &body(length), chunked);
        assert_eq!(client.read_response().text(), "good", "{length}, chunked: {chunked}");
        let (first, second) = (bad.last_request(), good.last_request());
        assert!(
            first.body.bytes == body(length) && first.body == second.body,
            "{length}, chunked: {chunked}"
        );
        assert_eq!(client.get("/").text(), "good", "the client's connection lives on");
    }
}

#[test]
fn a_body_that_the_first_node_took_in_part_reaches_the_second_whole() {
    let bad = TestNode::scripted(|connection| {
        connection.read_head();
        connection.read_bytes(10_000);
        connection.reset_on_drop();
    });
    let good = TestNode::answering("good");
    let gateway = gateway(&bad, &good, "");
    let mut client = gateway.client();
    client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40000\r\n\r\n").try_send(&body(10_000));
    // The rest comes when the node is gone already: it was never sent to that one.
    crate::support::wait_until("the other node is tried", || retries(&gateway, "reset") == 1.0);
    client.try_send(&body(40_000)[10_000..]);
    assert_eq!(client.read_response().text(), "good");
    assert!(good.last_request().body.bytes == body(40_000));
}

#[test]
fn a_body_that_is_too_large_to_keep_is_not_sent_again() {
    let (bad, good) = (closing(), TestNode::answering("good"));
    for (keys, length) in [("", 1_000_000), ("", 100_000), ("retry = { buffer = \"1KiB\" }", 40_000)] {
        let gateway = gateway(&bad, &good, keys);
        let mut client = gateway.client();
        put(&mut client, &body(length), false);
        assert_eq!(client.read_response().status, 502, "{length}");
        assert_eq!(refused(&gateway, "body"), 1.0, "{length}");
    }
    assert_eq!(good.hits(), 0);
}

#[test]
fn a_body_that_waits_for_100_goes_to_the_node_that_wants_it() {
    let bad = TestNode::scripted(|connection| {
        connection.read_head();
    });
    let good = TestNode::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(connection.read_bytes(5), b"hello");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    });
    let gateway = gateway(&bad, &good, "");
    let mut client = gateway.client();
    client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.read_head().status(), 100);
    assert_eq!(client.send("hello").read_response().text(), "good");
}
