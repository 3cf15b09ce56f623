//! A message means the same wherever the network splits it.

use super::gateway_before;
use crate::support::{TestClient, TestGateway, TestNode};
use proptest::test_runner::{Config, TestRunner};

/// Requests with all that may be split badly: CRLFs, chunk sizes, extensions, trailers, a second request behind.
const REQUESTS: [&str; 4] = [
    "GET /t?a=b HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n",
    "\r\nPOST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /t HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n006\r\n world\r\n0\r\nX-A: b\r\n\r\n",
    "POST /t HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\nGET / HTTP/",
];

/// Returns when the only worker has seen all that was sent before: it serves its events in their order.
struct Barrier(TestClient);

impl Barrier {
    fn of(gateway: &TestGateway) -> Barrier {
        Barrier(gateway.client())
    }

    fn pass(&mut self) {
        assert_eq!(self.0.get("/nowhere").status, 404);
    }
}

/// What the node got, without what the gateway says about the connection.
fn essence(node: &TestNode) -> (String, Vec<u8>, bool) {
    let request = node.last_request();
    (request.head.start, request.body.bytes, request.body.complete)
}

#[test]
fn a_request_may_be_split_at_every_byte() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let mut barrier = Barrier::of(&gateway);
    let mut client = gateway.client();
    for request in REQUESTS {
        assert_eq!(client.send(request).read_response().text(), "fine");
        let whole = essence(&node);
        for at in 1..request.len() {
            client.send(&request[..at]);
            barrier.pass();
            client.send(&request[at..]);
            assert_eq!(client.read_response().text(), "fine", "{request:?} split at {at}");
            assert_eq!(essence(&node), whole, "{request:?} split at {at}");
        }
    }
}

#[test]
fn a_request_may_be_split_anywhere_any_number_of_times() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let (mut barrier, mut client) = (Barrier::of(&gateway), gateway.client());
    let all = REQUESTS.concat();
    let splits = proptest::collection::btree_set(1..all.len(), 1..40);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let client = std::cell::RefCell::new((&mut barrier, &mut client));
    let run = TestRunner::new_with_rng(config, deterministic()).run(&splits, |splits| {
        let (barrier, client) = &mut *client.borrow_mut();
        node.forget();
        let mut from = 0;
        for at in splits.into_iter().chain([all.len()]) {
            client.send(&all[from..at]);
            barrier.pass();
            from = at;
        }
        for _ in REQUESTS {
            assert_eq!(client.read_response().text(), "fine");
        }
        let bodies: Vec<_> = node.requests().into_iter().map(|request| request.body.bytes).collect();
        assert_eq!(bodies, [&b""[..], b"hello world", b"hello world", b"GET / HTTP/"]);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let node = TestNode::answering("fine");
    let gateway = gateway_before(&node);
    let (mut barrier, mut client) = (Barrier::of(&gateway), gateway.client());
    for request in REQUESTS {
        for byte in request.bytes() {
            client.send([byte]);
            barrier.pass();
        }
        assert_eq!(client.read_response().text(), "fine", "{request:?}");
    }
}

const RESPONSES: [(&str, &str); 4] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", "hello"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\nX-A: b\r\n\r\n",
        "hello",
    ),
    ("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nhello", "hello"),
];

#[test]
fn a_response_may_be_split_at_every_byte() {
    for (response, body) in RESPONSES {
        // The path says where to split.
        let node = TestNode::scripted(move |connection| {
            while let Some(request) = connection.read_request() {
                let at = request.path().trim_start_matches("/t/").parse().expect("a number");
                connection.send_split(response.as_bytes(), at);
                if response.starts_with("HTTP/1.0") {
                    break;
                }
            }
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        for at in 1..response.len() {
            let mut got = client.get(&format!("/t/{at}"));
            if got.status == 103 {
                got = client.read_response();
            }
            assert_eq!((got.status, got.text().as_str()), (200, body), "{response:?} split at {at}");
            assert!(got.body.complete);
        }
    }
}

#[test]
fn a_response_may_come_byte_by_byte() {
    for (response, body) in RESPONSES {
        let node = TestNode::scripted(move |connection| {
            connection.read_request();
            connection.trickle(response);
        });
        let gateway = gateway_before(&node);
        let mut client = gateway.client();
        let mut got = client.get("/t");
        if got.status == 103 {
            got = client.read_response();
        }
        assert_eq!((got.status, got.text().as_str()), (200, body), "{response:?}");
    }
}

/// The same cases in each run.
fn deterministic() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}
