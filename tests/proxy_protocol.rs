//! PROXY headers before clients' first bytes: who is believed, and that nothing else changes.

use crate::support::http2::{Http2Client, converse};
use crate::support::{Authority, TestClient, TestGateway, TestNode, wait_until};
use std::sync::{Arc, Mutex};

const LINE: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const HEARD: &str = "proxy_protocol = [\"127.0.0.0/8\"]";

/// A header of version 2 that tells of 192.0.2.2, with a field behind the addresses.
fn binary() -> Vec<u8> {
    let body = [192, 0, 2, 2, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb, 0x04, 0, 1, 9];
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, body.len() as u8], &body].concat()
}

/// All requests go to this node; the gateway and the listener have these keys.
fn gateway(keys: &str, listener: &str, node: &TestNode) -> TestGateway {
    let text = format!(
        "[gateway]\nworkers = 1\n{keys}\n[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]"
    );
    TestGateway::with(&text, &[node])
}

fn counted(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric("bascule_proxy_headers_total", &[("outcome", outcome)])
}

fn refused(gateway: &TestGateway, kinds: [&str; 3]) -> [f64; 3] {
    kinds.map(|kind| gateway.metric("bascule_refused_total", &[("kind", kind)]))
}

/// For whom the node was asked last.
fn asked_for(node: &TestNode) -> String {
    node.last_request().header("x-forwarded-for").expect("the gateway tells the client").to_owned()
}

#[test]
fn the_client_that_is_told_is_the_client() {
    let node = TestNode::answering("hello");
    let gateway = gateway("", HEARD, &node);
    for (header, client) in [(LINE.as_bytes(), "192.0.2.1"), (&binary(), "192.0.2.2")] {
        let mut behind = gateway.client();
        behind.send([header, REQUEST.as_bytes()].concat());
        assert_eq!(behind.read_response().status, 200);
        assert_eq!(asked_for(&node), client);
        assert_eq!(behind.get("/again").status, 200, "a header stands once on a connection");
        assert_eq!(asked_for(&node), client);
    }
    assert_eq!(counted(&gateway, "told"), 2.0);
    assert_eq!(gateway.snapshot()["listeners"][0]["proxy_protocol"][0], "127.0.0.0/8");
}

#[test]
fn a_header_may_come_in_pieces() {
    let node = TestNode::answering("hello");
    let gateway = gateway("", HEARD, &node);
    for header in [LINE.as_bytes(), &binary()] {
        let mut client = gateway.client();
        let bytes = [header, REQUEST.as_bytes()].concat();
        for byte in &bytes {
            client.send([*byte]);
        }
        assert_eq!(client.read_response().status, 200);
    }
    assert_eq!(counted(&gateway, "told"), 2.0);
}

#[test]
fn who_speaks_for_itself_is_the_client() {
    let node = TestNode::answering("hello");
    let gateway = gateway("", HEARD, &node);
    let local = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20, 0x00, 0, 0]].concat();
    for header in [&b"PROXY UNKNOWN\r\n"[..], &local] {
        let mut client = gateway.client();
        client.send([header, REQUEST.as_bytes()].concat());
        assert_eq!(client.read_response().status, 200);
        assert_eq!(asked_for(&node), "127.0.0.1");
    }
    assert_eq!(counted(&gateway, "unknown"), 2.0);
}

#[test]
fn who_has_to_send_one_and_does_not_is_not_answered() {
    let node = TestNode::answering("hello");
    let gateway = gateway("limits = { head_timeout = \"300ms\" }", HEARD, &node);
    for first in
        [REQUEST, "PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n", "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"]
    {
        gateway.client().send(first).expect_close();
    }
    assert_eq!(counted(&gateway, "refused"), 3.0);
    gateway.client().send("PROXY TCP4").expect_close();
    gateway.client().expect_close();
    assert_eq!(counted(&gateway, "timeout"), 2.0, "both waited for the header's end");
    let kinds = ["proxy_header_missing", "proxy_header_malformed", "slow_proxy_header"];
    assert_eq!(refused(&gateway, kinds), [1.0, 2.0, 2.0]);
    drop(gateway.client());
    wait_until("the departure is counted", || counted(&gateway, "gone") == 1.0);
    assert_eq!(node.hits(), 0);
    wait_until("nobody is left", || gateway.snapshot()["listeners"][0]["open"] == 0);
}

#[test]
fn from_others_it_is_a_bad_request() {
    let node = TestNode::answering("hello");
    let gateway = gateway("", "proxy_protocol = [\"192.0.2.0/24\"]", &node);
    let mut client = gateway.client();
    client.send(format!("{LINE}{REQUEST}"));
    assert_eq!(client.read_response().status, 400);
    assert_eq!(gateway.client().send(binary()).read_response().status, 400);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(asked_for(&node), "127.0.0.1");
    assert_eq!((node.hits(), counted(&gateway, "told")), (1, 0.0));
}

#[test]
fn limits_and_trust_go_by_the_client_that_is_told() {
    let node = TestNode::answering("hello");
    let listener = format!("{HEARD}\nconnections_per_client = 1");
    let gateway = gateway("trusted_proxies = [\"192.0.2.1\"]", &listener, &node);
    let ask = |header: &[u8]| {
        let mut client = gateway.client();
        client.send(header).send("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
        (client.read_response().status, client)
    };
    let (first, second) = (ask(LINE.as_bytes()), ask(&binary()));
    assert_eq!((first.0, second.0), (200, 200), "two clients behind one address");
    let asked: Vec<_> =
        node.requests().iter().map(|asked| asked.header("x-forwarded-for").unwrap().to_owned()).collect();
    assert_eq!(asked, ["203.0.113.9, 192.0.2.1", "192.0.2.2"], "the first is believed, the second is not");
    assert_eq!(ask(LINE.as_bytes()).0, 503);
    assert_eq!(gateway.metric("bascule_connections_refused_total", &[("reason", "client")]), 1.0);
    drop(first);
    wait_until("there is room again", || gateway.snapshot()["listeners"][0]["open"] == 1);
    assert_eq!(ask(LINE.as_bytes()).0, 200);
}

#[test]
fn tls_and_http2_come_behind_it() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let tls = format!("{HEARD}\ntls = {{ certificates = {site} }}");
    let gateway_tls = gateway("", &tls, &node);
    let mut client =
        authority.client().build().connect_behind(&binary(), gateway_tls.address(), "site.test").unwrap();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(asked_for(&node), "192.0.2.2");

    let gateway = gateway("", HEARD, &node);
    let response = converse(async {
        let mut client = Http2Client::connect_behind(LINE.as_bytes(), gateway.address()).await;
        client.get("/").await.unwrap()
    });
    assert_eq!((response.status, asked_for(&node).as_str()), (200, "192.0.2.1"));
}

#[test]
fn a_redirect_and_a_reload_come_behind_it() {
    let node = TestNode::answering("hello");
    let gateway = gateway("", &format!("{HEARD}\nredirect = \"https\""), &node);
    let mut client = gateway.client();
    client.send(format!("{LINE}{REQUEST}"));
    assert_eq!(client.read_response().header("location"), Some("https://a.test/"));

    let plain = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n\
                 [listener.public]\naddress = \"127.0.0.1:0\"\n";
    gateway.rewrite_configuration(plain, &[&node]);
    wait_until("nobody is asked for a header", || {
        gateway.snapshot()["listeners"][0]["proxy_protocol"] == serde_json::json!([])
    });
    assert_eq!(TestClient::connect(gateway.address()).get("/").status, 200);
}

/// A pool whose nodes get a header of this version.
fn telling(version: &str, listener: &str, more: &str, nodes: &[&TestNode]) -> TestGateway {
    let text = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\n[route.all]\npool = \"main\"\n\
         [pool.main]\nnodes = [{{nodes}}]\nproxy_protocol = \"{version}\"\n{more}"
    );
    TestGateway::with(&text, nodes)
}

/// A node that keeps the lines before each request, and answers it.
fn keeping_lines(lines: &Arc<Mutex<Vec<String>>>) -> TestNode {
    let lines = lines.clone();
    TestNode::scripted(move |connection| {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            match connection.read_bytes(1).first() {
                Some(byte) => line.push(char::from(*byte)),
                None => return,
            }
        }
        lines.lock().unwrap().push(line);
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    })
}

#[test]
fn a_node_is_told_whose_a_connection_is_and_gets_none_of_anothers() {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let node = keeping_lines(&lines);
    let gateway = telling("v1", HEARD, "", &[&node]);
    let mut first = gateway.client();
    first.send(format!("{LINE}{REQUEST}"));
    assert_eq!(first.read_response().status, 200);
    assert_eq!(first.get("/again").status, 200);
    let mut second = gateway.client();
    second.send([&binary(), REQUEST.as_bytes()].concat());
    assert_eq!(second.read_response().status, 200);
    let told = "PROXY TCP4 192.0.2.2 198.51.100.1 56324 443\r\n";
    assert_eq!(*lines.lock().unwrap(), [LINE, LINE, told], "whatever it came in");

    let response = converse(async {
        let mut client = Http2Client::connect_behind(LINE.as_bytes(), gateway.address()).await;
        client.get("/").await.unwrap()
    });
    assert_eq!((response.status, lines.lock().unwrap()[3].as_str()), (200, LINE));
}

#[test]
fn without_a_header_the_sockets_addresses_are_told() {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let node = keeping_lines(&lines);
    let gateway = telling("v1", "", "", &[&node]);
    assert_eq!(gateway.get("/").status, 200);
    let line = lines.lock().unwrap()[0].clone();
    let port = format!(" {}\r\n", gateway.address().port());
    assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ") && line.ends_with(&port), "{line:?}");
}

#[test]
fn checks_speak_for_the_gateway_itself() {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let node = keeping_lines(&lines);
    let gateway = telling("v1", "", "health = { path = \"/health\", interval = \"50ms\" }", &[&node]);
    wait_until("the node was checked", || !lines.lock().unwrap().is_empty());
    assert_eq!(lines.lock().unwrap()[0], "PROXY UNKNOWN\r\n");
    wait_until("it is well", || gateway.metric("bascule_node_checks_total", &[("outcome", "good")]) > 0.0);
}

#[test]
fn one_gateway_tells_the_next_before_tls() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let inner = gateway("", &format!("{HEARD}\ntls = {{ certificates = {site} }}"), &node);
    let tls = format!(
        "tls = {{ ca = {:?}, server_name = \"site.test\" }}\nhealth = {{ path = \"/\", interval = \"50ms\" }}",
        authority.file()
    );
    let text = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n{HEARD}\n[route.all]\npool = \"main\"\n\
         [pool.main]\nnodes = [\"{}\"]\nproxy_protocol = \"v2\"\n{tls}",
        inner.address()
    );
    let outer = TestGateway::with(&text, &[]);
    let mut client = outer.client();
    client.send(format!("{LINE}{REQUEST}"));
    assert_eq!(client.read_response().status, 200);
    let served = node.requests().into_iter().find(|asked| asked.header("host") == Some("a.test"));
    assert_eq!(served.unwrap().header("x-forwarded-for"), Some("192.0.2.1"));
    wait_until("checks spoke for themselves", || counted(&inner, "unknown") > 0.0);
}
