//! What the gateway changes on the way, and what it leaves alone.

use crate::support::{Request, TestGateway, TestNode};
use std::collections::{BTreeMap, BTreeSet};

/// What the node got when a client sent this.
fn forwarded(request: &str) -> Request {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::before(&[&node]);
    assert_eq!(gateway.client().send(request).read_response().status, 200, "{request}");
    node.last_request()
}

#[test]
fn what_speaks_of_one_connection_is_not_forwarded() {
    let request = forwarded(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Mine\r\nConnection: x-also\r\nX-Mine: 1\r\n\
         X-Also: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nX-Kept: 3\r\n\r\n",
    );
    for name in ["x-mine", "x-also", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.header("x-kept"), Some("3"));
}

#[test]
fn an_upgrade_that_is_not_offered_is_not_forwarded() {
    let request = forwarded(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    assert_eq!(request.header("upgrade"), None);
    let connection = request.header("connection").unwrap_or_default().to_ascii_lowercase();
    assert!(!connection.contains("upgrade"), "{connection}");
}

#[test]
fn what_speaks_of_the_nodes_connection_does_not_reach_the_client() {
    let node = TestNode::answering("fine")
        .with_header("Connection", "keep-alive, X-Mine")
        .with_header("X-Mine", "1")
        .with_header("Keep-Alive", "timeout=5")
        .with_header("Proxy-Connection", "keep-alive")
        .with_header("X-Kept", "3");
    let gateway = TestGateway::before(&[&node]);
    let response = gateway.get("/");
    for name in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.header("x-kept"), Some("3"));
}

#[test]
fn a_client_cannot_take_the_gateways_own_fields_out_by_naming_them() {
    let request = forwarded(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, Host, X-Forwarded-For, Forwarded, X-Request-Id, Content-Length\r\n\
         Content-Length: 0\r\n\r\n",
    );
    for name in ["host", "x-forwarded-for", "forwarded", "x-request-id"] {
        assert!(request.header(name).is_some(), "{name} is missing in {:?}", request.head);
    }
}

#[test]
fn everything_else_passes_as_it_was_sent() {
    let request = forwarded(
        "PATCH /a%3Bb/~user;v=1?q=1&q=%20%7e HTTP/1.1\r\nHost: a.test:81\r\nX-Twice: 1\r\nX-Empty:\r\nx-twice: 2\r\n\
         Accept: */*\r\nAuthorization: Basic YTpi\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!((request.method(), request.path()), ("PATCH", "/a%3Bb/~user;v=1?q=1&q=%20%7e"));
    assert_eq!(request.head.headers("x-twice"), ["1", "2"]);
    assert_eq!(request.header("x-empty"), Some(""));
    assert_eq!(request.header("authorization"), Some("Basic YTpi"));
    assert_eq!(request.header("content-length"), Some("0"), "a PATCH without content still says so");
}

#[test]
fn a_response_passes_as_it_was_sent() {
    let node = TestNode::scripted(|connection| {
        connection.read_request();
        connection.send(
            "HTTP/1.1 299 My Own Words\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             Server: mine\r\nContent-Length: 2\r\n\r\nhi",
        );
    });
    let response = TestGateway::before(&[&node]).get("/");
    assert_eq!(response.status, 299);
    assert_eq!(response.head.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.head.headers("server"), ["mine"]);
    assert_eq!(response.head.headers("date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
}

#[test]
fn the_target_may_be_absolute() {
    let request = forwarded("GET http://A.test:80/path?q HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((request.path(), request.header("host")), ("/path?q", Some("A.test:80")));
    let request = forwarded("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((request.method(), request.path()), ("OPTIONS", "*"));
}

#[test]
fn host_is_kept_or_set_for_each_pool() {
    let node = TestNode::answering("fine");
    assert_eq!(forwarded("GET / HTTP/1.1\r\nHost: A.test:81\r\n\r\n").header("host"), Some("A.test:81"));
    let text = "[route.all]\npool = \"main\"\n[pool.main]\nhost = \"inner.test\"\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    gateway.get("/");
    let request = node.last_request();
    assert_eq!(request.head.headers("host"), ["inner.test"]);
    assert_eq!(request.header("x-forwarded-host"), Some("example.test"));
}

const CLAIMS: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: claimed.test\r\n\
                      Forwarded: for=203.0.113.7;proto=https;host=claimed.test\r\n";

/// The parameters of one element of Forwarded (RFC 7239), names in lowercase, without quotes.
fn parameters(element: &str) -> BTreeMap<String, String> {
    let pairs = element.split(';').map(|pair| pair.trim().split_once('=').expect("name=value"));
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn a_clients_own_claims_are_replaced() {
    let request = forwarded(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{CLAIMS}\r\n"));
    assert_eq!(request.head.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.head.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(request.head.headers("x-forwarded-host"), ["a.test"]);
    let forwarded = request.head.headers("forwarded");
    assert_eq!(forwarded.len(), 1);
    let said = parameters(forwarded[0]);
    assert_eq!(said["for"], "127.0.0.1");
    assert_eq!(said["proto"], "http");
    assert_eq!(said["host"], "a.test");
}

#[test]
fn a_trusted_proxys_claims_are_kept_and_it_is_added() {
    let node = TestNode::answering("fine");
    let text = "[gateway]\nworkers = 1\ntrusted_proxies = [\"127.0.0.0/8\"]\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    gateway.client().get_with("/", CLAIMS);
    let request = node.last_request();
    let addresses = request.head.headers("x-forwarded-for").join(", ");
    assert_eq!(addresses, "203.0.113.7, 127.0.0.1");
    assert_eq!(request.head.headers("x-forwarded-proto"), ["https"]);
    assert_eq!(request.head.headers("x-forwarded-host"), ["claimed.test"]);
    let forwarded = request.head.headers("forwarded").join(", ");
    let elements: Vec<_> = forwarded.split(',').map(parameters).collect();
    assert_eq!(elements.len(), 2, "{forwarded}");
    assert_eq!(elements[0]["for"], "203.0.113.7");
    assert_eq!(elements[1]["for"], "127.0.0.1");
}

#[test]
fn every_request_has_an_id_of_its_own() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::before(&[&node]);
    let mut client = gateway.client();
    for _ in 0..50 {
        client.get_with("/", "X-Request-Id: claimed\r\n");
    }
    let ids: BTreeSet<_> = node
        .requests()
        .iter()
        .map(|request| request.header("x-request-id").expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 50);
    assert!(!ids.contains("claimed"), "only a trusted proxy may name a request");
}

#[test]
fn debug_headers_come_only_if_configured() {
    let node = TestNode::answering("fine");
    for allowed in [true, false] {
        let text = format!(
            "[gateway]\nworkers = 1\ndebug_headers = {allowed}\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]"
        );
        let gateway = TestGateway::with(&text, &[&node]);
        let response = gateway.get("/");
        let address = node.address().to_string();
        let expected = allowed.then_some([("pool", "main"), ("node", &address), ("attempt", "1")]);
        for (name, value) in expected.into_iter().flatten() {
            assert_eq!(response.header(&format!("x-bascule-{name}")), Some(value), "{:?}", response.head);
        }
        assert_eq!(response.header("x-bascule-policy").is_some(), allowed);
        assert_eq!(response.header("x-bascule-node").is_some(), allowed);
    }
}

#[test]
fn debug_headers_are_left_out_where_there_is_nothing_to_tell() {
    let node = TestNode::answering("fine");
    let text = "[gateway]\nworkers = 1\ndebug_headers = true\n[route.app]\npath = \"/app\"\npool = \"main\"\n\
                [pool.main]\nnodes = [{nodes}]";
    let gateway = TestGateway::with(text, &[&node]);
    let response = gateway.get("/elsewhere");
    assert_eq!(response.status, 404);
    for name in ["pool", "node", "policy", "attempt"] {
        assert_eq!(response.header(&format!("x-bascule-{name}")), None, "{:?}", response.head);
    }
}
