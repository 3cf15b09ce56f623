//! Each limit of time ends in its own kind of error, and the first three in another attempt.

use super::{gateway, hanging, retries};
use crate::support::{Connection, TestGateway, TestNode, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An address where connections are never accepted: the queue is full, so the kernel drops what knocks.
pub struct Vanished {
    pub address: SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

pub fn vanished() -> Vanished {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let queue = std::iter::from_fn(knock).take(64).collect();
    Vanished { address, _listener: listener, _queue: queue }
}

/// A gateway before one node; `route` and `pool` are their keys.
fn before(address: SocketAddr, route: &str, pool: &str) -> TestGateway {
    let text = format!(
        "[route.all]\npool = \"main\"\n{route}\n[pool.main]\nnodes = [\"{address}\"]\noutlier = \"off\"\n{pool}"
    );
    TestGateway::with(&text, &[])
}

/// The kinds of errors that were counted, each once.
pub fn kinds(gateway: &TestGateway) -> Vec<String> {
    let text = gateway.admin("/metrics").text();
    let counted = text
        .lines()
        .filter_map(|line| line.strip_prefix("bascule_errors_total{kind=\"")?.strip_suffix("\"} 1"));
    counted.map(str::to_owned).collect()
}

#[test]
fn each_limit_before_the_answer_has_its_kind() {
    let node = hanging();
    for (kind, route, pool) in [
        ("first_byte_timeout", "", "first_byte_timeout = \"200ms\""),
        ("attempt_timeout", "", "attempt_timeout = \"200ms\""),
        ("timeout", "timeout = \"200ms\"", ""),
        ("total_timeout", "total_timeout = \"200ms\"", ""),
    ] {
        let gateway = before(node.address(), route, pool);
        assert_eq!(gateway.get("/").status, 504, "{kind}");
        assert_eq!(kinds(&gateway), [kind]);
    }
    let vanished = vanished();
    let gateway = before(vanished.address, "", "connect_timeout = \"200ms\"");
    assert_eq!(gateway.get("/").status, 504);
    assert_eq!(kinds(&gateway), ["connect_timeout"]);
}

#[test]
fn a_node_whose_host_vanished_is_passed_over() {
    let (vanished, good) = (vanished(), TestNode::answering("good"));
    let text = format!(
        "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{}\", {{nodes}}]\nconnect_timeout = \"200ms\"\noutlier = \"off\"",
        vanished.address
    );
    let gateway = TestGateway::with(&text, &[&good]);
    let mut client = gateway.client();
    for _ in 0..4 {
        assert_eq!(client.post("/", "once").text(), "good");
    }
    assert_eq!(retries(&gateway, "connect"), 2.0, "half of the turns are the vanished node's");
}

#[test]
fn an_attempt_that_takes_too_long_is_made_good_within_the_time_of_the_route() {
    for keys in ["first_byte_timeout = \"200ms\"", "attempt_timeout = \"200ms\""] {
        let (bad, good) = (hanging(), TestNode::answering("good"));
        let gateway = gateway(&bad, &good, keys);
        let response = gateway.get("/");
        assert_eq!((response.status, response.header("x-bascule-attempt")), (200, Some("2")), "{keys}");
        assert_eq!(retries(&gateway, "timeout"), 1.0, "{keys}");
        wait_until("the late node's connection is closed", || bad.open_connections() == 0);
    }
}

#[test]
fn all_attempts_share_the_time_of_the_route() {
    let nodes = [hanging(), hanging(), hanging(), hanging()];
    let text = "[route.all]\npool = \"main\"\ntimeout = \"500ms\"\n[pool.main]\nattempts = 4\n\
                attempt_timeout = \"400ms\"\noutlier = \"off\"\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &nodes.each_ref());
    assert_eq!(gateway.get("/").status, 504);
    assert_eq!(kinds(&gateway), ["timeout"], "the second attempt has no 400 ms of its own");
    assert_eq!(gateway.metric("bascule_node_attempts_total", &[]), 2.0);
}

/// Begins to answer, and goes on so.
fn answering_slowly(go_on: impl Fn(&mut Connection) + Send + Sync + 'static) -> TestNode {
    TestNode::scripted(move |connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nfirst");
        go_on(connection);
    })
}

#[test]
fn a_response_that_stands_still_is_cut_off() {
    let node = answering_slowly(|connection| {
        connection.read_to_end();
    });
    let gateway = before(node.address(), "", "between_bytes_timeout = \"200ms\"");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    assert_eq!(client.read_to_end(), b"first");
    assert_eq!(kinds(&gateway), ["between_bytes_timeout"]);
}

#[test]
fn a_response_that_never_ends_is_cut_off() {
    // It moves all the time, so no other limit ends it.
    let node = answering_slowly(|connection| while connection.send("more") {});
    let gateway = before(node.address(), "total_timeout = \"400ms\"", "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_head().status(), 200);
    client.read_pieces(u64::MAX, |_| {});
    assert_eq!(kinds(&gateway), ["total_timeout"]);
}

#[test]
fn a_client_that_does_not_take_its_response_is_to_blame_itself() {
    let node = answering_slowly(|connection| while connection.send([0; 100_000]) {});
    let gateway = before(node.address(), "", "between_bytes_timeout = \"300ms\"");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the client is given up", || kinds(&gateway) == ["client_timeout"]);
    assert_eq!(gateway.metric("bascule_node_failures_total", &[]), 0.0);
}
