//! TLS on both sides of the gateway, seen by a client that speaks it.

mod files;
mod told;

use crate::support::{Authority, PATIENCE, TestClient, TestGateway, TestNode, TlsClients, wait_until};
use rustls::ProtocolVersion;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

const ALL: &str = "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n";

/// A gateway whose listener has this `tls` table's keys.
fn gateway(keys: &str, nodes: &[&TestNode]) -> TestGateway {
    TestGateway::with(&text(keys), nodes)
}

fn text(keys: &str) -> String {
    format!("{ALL}[listener.public]\naddress = \"127.0.0.1:0\"\n[listener.public.tls]\n{keys}\n")
}

#[test]
fn clients_are_served_under_both_versions() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}"), &[&node]);
    for (client, version) in [
        (authority.client().build(), ProtocolVersion::TLSv1_3),
        (authority.client().old().build(), ProtocolVersion::TLSv1_2),
    ] {
        let mut connection = client.connect(gateway.address(), "site.test").unwrap();
        assert_eq!(connection.version(), version);
        let answer =
            connection.ask("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
    let asked = node.requests();
    assert_eq!(asked[0].header("x-forwarded-proto"), Some("https"));
    assert_eq!(gateway.metric("bascule_tls_handshakes_total", &[("outcome", "made")]), 2.0);
}

#[test]
fn version_1_2_can_be_left_out() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}\nmin_version = \"1.3\""), &[&node]);
    assert!(authority.client().old().build().connect(gateway.address(), "site.test").is_err());
    assert!(authority.client().build().connect(gateway.address(), "site.test").is_ok());
}

#[test]
fn a_name_gets_its_own_certificate() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let pairs: Vec<String> =
        [("one", &["one.test"][..]), ("wild", &["*.two.test"]), ("exact", &["a.two.test"])]
            .map(|(stem, names)| authority.issue(stem, names))
            .to_vec();
    let gateway = gateway(&format!("certificates = [{}]", pairs.join(", ")), &[&node]);
    let client = authority.client().build();
    let shown = |name: &str| {
        client.connect(gateway.address(), name).map(|connection| connection.certificate()).unwrap()
    };
    assert_ne!(shown("a.two.test"), shown("b.two.test"));
    assert_eq!(shown("b.two.test"), shown("c.two.test"));
    assert_ne!(shown("one.test"), shown("b.two.test"));
    let error = client.connect(gateway.address(), "other.test").err().unwrap();
    assert!(error.to_string().contains("not valid for name"), "it gets the first one: {error}");
}

#[test]
fn an_unknown_name_can_be_refused() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}\nunknown_name = \"refuse\""), &[&node]);
    let client = authority.client().build();
    let error = client.connect(gateway.address(), "other.test").err().unwrap();
    assert!(!error.to_string().contains("not valid for name"), "nothing is shown: {error}");
    assert!(client.get(gateway.address(), "site.test", "/").unwrap().ends_with("hello"));
    wait_until("the refusal is counted", || {
        gateway.metric("bascule_tls_handshakes_total", &[("outcome", "refused")]) == 1.0
    });
}

#[test]
fn another_host_on_a_connection_is_misdirected() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let pairs = [authority.issue("one", &["one.test", "same.test"]), authority.issue("two", &["two.test"])];
    let gateway = gateway(&format!("certificates = [{}]", pairs.join(", ")), &[&node]);
    let client = authority.client().build();
    let ask = |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.connect(gateway.address(), "one.test").unwrap().ask(&request).unwrap()
    };
    assert!(ask("two.test").starts_with("HTTP/1.1 421"));
    assert!(ask("two.test:443").starts_with("HTTP/1.1 421"));
    // For a host that no certificate is for, the first one is shown.
    for same in ["one.test", "ONE.test:443", "same.test", "other.test"] {
        assert!(ask(same).starts_with("HTTP/1.1 200"), "{same}");
    }
    assert_eq!(node.requests().len(), 4);
}

#[test]
fn a_session_is_taken_up_again() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}"), &[&node]);
    for client in [authority.client().build(), authority.client().old().build()] {
        client.get(gateway.address(), "site.test", "/").unwrap();
        assert!(client.connect(gateway.address(), "site.test").unwrap().is_resumed());
        // A reload changes no key of tickets.
        let again = text(&format!("certificates = {site}\nhandshake_timeout = \"9s\""));
        gateway.rewrite_configuration(&again, &[&node]);
        client.get(gateway.address(), "site.test", "/").unwrap();
        assert!(client.connect(gateway.address(), "site.test").unwrap().is_resumed());
    }
}

#[test]
fn new_certificates_take_over_and_a_misfit_does_not() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}"), &[&node]);
    let client = authority.client().build();
    let shown = || client.connect(gateway.address(), "site.test").unwrap().certificate();
    let first = shown();
    let key = fs::read(authority.folder().join("site.key")).unwrap();
    authority.issue("site", &["site.test"]);
    let new_key = fs::read(authority.folder().join("site.key")).unwrap();
    wait_until("the new pair is shown", || shown() != first);
    let second = shown();
    fs::write(authority.folder().join("site.key"), key).unwrap();
    // What a look does is seen by another change that comes after it.
    let more = text(&format!("certificates = {site}\n")) + "[listener.more]\naddress = \"127.0.0.1:0\"\n";
    gateway.rewrite_configuration(&more, &[&node]);
    wait_until("the configuration took over", || gateway.has_listener("more"));
    assert_eq!(shown(), second);
    fs::write(authority.folder().join("site.key"), new_key).unwrap();
    assert!(client.get(gateway.address(), "site.test", "/").unwrap().ends_with("hello"));
}

#[test]
fn clients_can_be_asked_for_certificates() {
    let (authority, stranger, node) = (Authority::new(), Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    authority.issue("client", &["client.test"]);
    stranger.issue("client", &["client.test"]);
    let good = || authority.client().showing(&authority.folder().join("client")).build();
    let bad = || authority.client().showing(&stranger.folder().join("client")).build();
    let keys = format!("certificates = {site}\nclient_ca = {:?}\n", authority.file());
    let required = gateway(&keys, &[&node]);
    let optional = gateway(&format!("{keys}client_certificate = \"optional\""), &[&node]);
    let ask = |client: TlsClients, gateway: &TestGateway| client.get(gateway.address(), "site.test", "/");
    assert!(ask(good(), &required).unwrap().ends_with("hello"));
    assert!(ask(authority.client().build(), &required).is_err());
    assert!(ask(bad(), &required).is_err());
    assert!(ask(good(), &optional).unwrap().ends_with("hello"));
    assert!(ask(authority.client().build(), &optional).unwrap().ends_with("hello"));
    assert!(ask(bad(), &optional).is_err());
    assert_eq!(node.requests().len(), 3);
}

#[test]
fn large_bodies_pass_both_ways() {
    let (authority, node) = (Authority::new(), TestNode::answering("x".repeat(3_000_000)));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}"), &[&node]);
    let mut connection = authority.client().build().connect(gateway.address(), "site.test").unwrap();
    let body = "y".repeat(2_000_000);
    for round in 1..=2 {
        let head = format!("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = connection.exchange(format!("{head}{body}").as_bytes(), 3_000_000).unwrap();
        let start = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let missing = 3_000_000 - (answer.len() - start);
        connection.exchange(b"", missing).unwrap();
        assert_eq!(node.requests().len(), round);
        assert_eq!(node.requests()[round - 1].body.bytes.len(), body.len());
    }
}

#[test]
fn who_says_nothing_or_speaks_in_the_clear_is_let_go() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}\nhandshake_timeout = \"50ms\""), &[&node]);
    let mut silent = TcpStream::connect(gateway.address()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0; 10]).unwrap(), 0, "it is closed");
    let mut plain = TcpStream::connect(gateway.address()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // An alert, and the end; the end may come as a reset.
    let _end = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    for outcome in ["timeout", "refused"] {
        wait_until("it is counted", || {
            gateway.metric("bascule_tls_handshakes_total", &[("outcome", outcome)]) == 1.0
        });
    }
    assert_eq!(node.requests().len(), 0);
}

/// A node that speaks TLS: another gateway before a plain one. And the text of a gateway before that.
fn secure_node(authority: &Authority, names: &[&str], node: &TestNode, keys: &str) -> (TestGateway, String) {
    let inner = gateway(&format!("certificates = {}", authority.issue("node", names)), &[node]);
    let address = inner.address();
    let text = format!(
        "[route.all]\npool = \"main\"\n[pool.main]\nnodes = [\"{address}\"]\nattempts = 1\noutlier = \"off\"\n[pool.main.tls]\n{keys}\n"
    );
    (inner, text)
}

#[test]
fn nodes_are_met_under_tls() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let keys = format!("ca = {:?}", authority.file());
    let (_inner, text) = secure_node(&authority, &["127.0.0.1"], &node, &keys);
    let outer = TestGateway::with(&text, &[]);
    let mut client: TestClient = outer.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "hello");
    }
    let made = outer.metric("bascule_node_connections_total", &[]);
    assert_eq!(made, 1.0, "the connection is kept");
}

#[test]
fn a_node_has_to_be_whom_it_should_be() {
    let (authority, stranger, node) = (Authority::new(), Authority::new(), TestNode::answering("hello"));
    for (keys, status) in [
        (format!("ca = {:?}\nserver_name = \"node.test\"", authority.file()), 200),
        (format!("ca = {:?}\nserver_name = \"other.test\"", authority.file()), 502),
        (format!("ca = {:?}\nserver_name = \"node.test\"", stranger.file()), 502),
        (format!("ca = {:?}", authority.file()), 502),
    ] {
        let (_inner, text) = secure_node(&authority, &["node.test"], &node, &keys);
        assert_eq!(TestGateway::with(&text, &[]).get("/").status, status, "{keys}");
    }
    assert_eq!(node.requests().len(), 1);
}

#[test]
fn checks_of_nodes_speak_tls_too() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let keys =
        format!("ca = {:?}\n[pool.main.health]\npath = \"/well\"\ninterval = \"50ms\"", authority.file());
    let (_inner, text) = secure_node(&authority, &["127.0.0.1"], &node, &keys);
    let outer = TestGateway::with(&text, &[]);
    wait_until("the node is found well", || outer.admin("/readyz").status == 200);
    assert_eq!(node.requests()[0].path(), "/well");
    assert_eq!(outer.get("/").text(), "hello");
}

#[test]
fn clients_in_the_clear_are_sent_to_https() {
    let (authority, node) = (Authority::new(), TestNode::answering("hello"));
    let site = authority.issue("site", &["site.test"]);
    let plain = "[listener.plain]\naddress = \"127.0.0.1:0\"\nredirect = ";
    for (redirect, port) in [("\"https\"", ""), ("\"https:8443\"", ":8443")] {
        let gateway = TestGateway::with(
            &format!("{}{plain}{redirect}", text(&format!("certificates = {site}\nhsts = \"1h\""))),
            &[&node],
        );
        let mut client = TestClient::connect(gateway.listener("plain"));
        let response = client
            .send("POST /a?b=c HTTP/1.1\r\nHost: site.test:80\r\nContent-Length: 0\r\n\r\n")
            .read_response();
        assert_eq!(response.status, 308);
        assert_eq!(response.header("location"), Some(&*format!("https://site.test{port}/a?b=c")));
        assert_eq!(response.header("strict-transport-security"), None, "it means nothing in the clear");
        let secure = authority.client().build().get(gateway.address(), "site.test", "/").unwrap();
        assert!(secure.contains("\r\nstrict-transport-security: max-age=3600\r\n"), "{secure}");
    }
    assert_eq!(node.requests().len(), 2);
}

#[test]
fn a_nodes_own_word_on_https_stands() {
    let node = TestNode::answering("hello").with_header("Strict-Transport-Security", "max-age=1");
    let authority = Authority::new();
    let site = authority.issue("site", &["site.test"]);
    let gateway = gateway(&format!("certificates = {site}\nhsts = \"1h\""), &[&node]);
    let answer = authority.client().build().get(gateway.address(), "site.test", "/").unwrap().to_lowercase();
    assert!(answer.contains("strict-transport-security: max-age=1\r\n"), "{answer}");
    assert!(!answer.contains("max-age=3600"), "{answer}");
}
