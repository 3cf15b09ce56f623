//! Which route a request takes.

use crate::support::{TestGateway, TestNode};

/// A gateway whose routes lead to pools of their own names; each node answers with its pool's name.
fn gateway_with(routes: &[(&str, &str)], nodes: &[TestNode]) -> TestGateway {
    let mut text = String::new();
    for (number, (name, keys)) in (1..).zip(routes) {
        text += &format!(
            "[route.{name}]\npool = \"{name}\"\n{keys}\n[pool.{name}]\nnodes = [\"{{node{number}}}\"]\n"
        );
    }
    TestGateway::with(&text, &nodes.iter().collect::<Vec<_>>())
}

/// Asserts where each request goes; "" is nowhere.
fn assert_routes(routes: &[(&str, &str)], requests: &[(&str, &str)]) {
    let nodes: Vec<_> = routes.iter().map(|(name, _)| TestNode::answering(*name)).collect();
    let gateway = gateway_with(routes, &nodes);
    let mut client = gateway.client();
    for (request, expected) in requests {
        let response = client.send(format!("{request}\r\n\r\n")).read_response();
        match *expected {
            "" => assert_eq!(response.status, 404, "{request}"),
            name => assert_eq!(response.text(), name, "{request}"),
        }
    }
}

#[test]
fn the_longest_path_by_whole_segments_wins() {
    let routes = [
        ("root", "path = \"/\""),
        ("api", "path = \"/api\""),
        ("users", "path = \"/api/users\""),
        ("exact", "path_exact = \"/api/exact\""),
    ];
    assert_routes(
        &routes,
        &[
            ("GET / HTTP/1.1\r\nHost: a", "root"),
            ("GET /api HTTP/1.1\r\nHost: a", "api"),
            ("GET /api/ HTTP/1.1\r\nHost: a", "api"),
            ("GET /api?q=/api/users HTTP/1.1\r\nHost: a", "api"),
            ("GET /apix HTTP/1.1\r\nHost: a", "root"),
            ("GET /api/x HTTP/1.1\r\nHost: a", "api"),
            ("GET /api/users HTTP/1.1\r\nHost: a", "users"),
            ("GET /api/users/7 HTTP/1.1\r\nHost: a", "users"),
            ("GET /api/usersx HTTP/1.1\r\nHost: a", "api"),
            ("GET /api/exact HTTP/1.1\r\nHost: a", "exact"),
            ("GET /api/exact?q HTTP/1.1\r\nHost: a", "exact"),
            ("GET /api/exact/x HTTP/1.1\r\nHost: a", "api"),
        ],
    );
}

#[test]
fn an_exact_host_wins_over_a_wildcard_and_that_over_any() {
    let routes = [
        ("any", "host = \"*\"\npath = \"/public\""),
        ("wild", "host = \"*.example.com\""),
        ("deep", "host = \"*.api.example.com\""),
        ("exact", "host = \"www.example.com\""),
    ];
    assert_routes(
        &routes,
        &[
            ("GET / HTTP/1.1\r\nHost: www.example.com", "exact"),
            ("GET / HTTP/1.1\r\nHost: WWW.Example.COM:8080", "exact"),
            ("GET / HTTP/1.1\r\nHost: other.example.com", "wild"),
            ("GET / HTTP/1.1\r\nHost: v1.api.example.com", "deep"),
            ("GET / HTTP/1.1\r\nHost: example.com", ""),
            ("GET / HTTP/1.1\r\nHost: badexample.com", ""),
            ("GET /public HTTP/1.1\r\nHost: elsewhere.test", "any"),
            ("GET /other HTTP/1.1\r\nHost: elsewhere.test", ""),
        ],
    );
}

#[test]
fn methods_and_headers_are_conditions() {
    let routes = [
        ("all", "path = \"/\""),
        ("write", "path = \"/\"\nmethods = [\"POST\", \"PUT\"]"),
        ("beta", "path = \"/\"\nheaders = { \"x-beta\" = \"1\" }"),
        ("only", "path = \"/only\"\nmethods = [\"DELETE\"]"),
    ];
    assert_routes(
        &routes,
        &[
            ("GET / HTTP/1.1\r\nHost: a", "all"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0", "write"),
            ("POSTS / HTTP/1.1\r\nHost: a", "all"), // methods are case-sensitive (RFC 9110, 9.1)
            ("GET / HTTP/1.1\r\nHost: a\r\nX-Beta: 1", "beta"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX-Beta: 2", "all"),
            ("DELETE /only HTTP/1.1\r\nHost: a", "only"),
            ("GET /only HTTP/1.1\r\nHost: a", "all"),
        ],
    );
}

#[test]
fn a_route_may_belong_to_one_listener_only() {
    let (public, inner) = (TestNode::answering("public"), TestNode::answering("inner"));
    let text = "[listener.public]\naddress = \"127.0.0.1:0\"\n[listener.inner]\naddress = \"127.0.0.1:0\"\n\
                [route.everywhere]\npath = \"/shared\"\npool = \"public\"\n\
                [route.public]\nlisteners = [\"public\"]\npath = \"/\"\npool = \"public\"\n\
                [route.inner]\nlisteners = [\"inner\"]\npath = \"/\"\npool = \"inner\"\n\
                [pool.public]\nnodes = [\"{node1}\"]\n[pool.inner]\nnodes = [\"{node2}\"]\n";
    let gateway = TestGateway::with(text, &[&public, &inner]);
    let mut outside = gateway.client();
    let mut inside = crate::support::TestClient::connect(gateway.listener("inner"));
    assert_eq!(outside.get("/a").text(), "public");
    assert_eq!(inside.get("/a").text(), "inner");
    assert_eq!(inside.get("/shared").text(), "public");
}

#[test]
fn one_connection_may_visit_many_routes() {
    let nodes: Vec<_> = (0..20).map(|number| TestNode::answering(format!("n{number}"))).collect();
    let names: Vec<_> =
        (0..20).map(|number| (format!("n{number}"), format!("path = \"/p{number}\""))).collect();
    let routes: Vec<_> = names.iter().map(|(name, keys)| (name.as_str(), keys.as_str())).collect();
    let gateway = gateway_with(&routes, &nodes);
    let mut client = gateway.client();
    for number in (0..20).chain((0..20).rev()) {
        assert_eq!(client.get(&format!("/p{number}/x")).text(), format!("n{number}"));
    }
}
