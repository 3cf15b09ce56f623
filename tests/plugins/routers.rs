//! path-router: some of a route's requests go to another pool.

use crate::support::{TestGateway, TestNode};

struct Canary {
    gateway: TestGateway,
    _nodes: [TestNode; 2],
}

/// A route to the pool "stable", of which these rules send some requests to the pool "next".
fn canary(rules: &str) -> Canary {
    let nodes = [TestNode::answering("stable"), TestNode::answering("next")];
    let text = format!(
        "[plugin.canary]\nfile = \"path_router.wasm\"\nconfig = {{ rules = [{rules}] }}\n\
         [route.all]\nfilters = [\"canary\"]\npool = \"stable\"\n\
         [pool.stable]\nnodes = [\"{{node1}}\"]\n[pool.next]\nnodes = [\"{{node2}}\"]"
    );
    let gateway = TestGateway::with(&text, &[&nodes[0], &nodes[1]]);
    Canary { gateway, _nodes: nodes }
}

#[test]
fn a_header_a_cookie_or_a_path_chooses_the_pool() {
    let canary = canary(
        "{ pool = \"next\", headers = { x-canary = \"1\" } }, { pool = \"next\", cookies = { beta = \"*\" } }, \
         { pool = \"next\", path = \"/new\" }",
    );
    let mut client = canary.gateway.client();
    for (path, fields, pool) in [
        ("/", "", "stable"),
        ("/", "X-Canary: 1\r\n", "next"),
        ("/", "X-Canary: 2\r\n", "stable"),
        ("/", "Cookie: a=b; beta=yes\r\n", "next"),
        ("/", "Cookie: alpha=yes\r\n", "stable"),
        ("/new", "", "next"),
        ("/new/x?y", "", "next"),
        ("/newer", "", "stable"),
    ] {
        assert_eq!(client.get_with(path, fields).text(), pool, "{path} {fields}");
    }
}

#[test]
fn a_share_of_the_users_goes_to_the_other_pool_and_stays_there() {
    let canary = canary("{ pool = \"next\", percent = 30, by = { header = \"x-user\" } }");
    let mut client = canary.gateway.client();
    let mut ask = |user: usize| client.get_with("/", &format!("X-User: user-{user}\r\n")).text();
    let first: Vec<_> = (0..500).map(&mut ask).collect();
    let again: Vec<_> = (0..500).map(&mut ask).collect();
    assert_eq!(first, again, "a user is always in or always out");
    let share = first.iter().filter(|pool| *pool == "next").count();
    assert!((100..200).contains(&share), "{share} of 500 where 150 are meant");
}

#[test]
fn a_share_of_the_requests_is_drawn_anew_each_time() {
    let canary = canary("{ pool = \"next\", percent = 50, by = \"random\" }");
    let mut client = canary.gateway.client();
    let next = (0..400).filter(|_| client.get("/").text() == "next").count();
    assert!((120..280).contains(&next), "{next} of 400");
}

#[test]
fn a_pool_that_does_not_exist_is_an_error_and_not_a_guess() {
    let canary = canary("{ pool = \"nowhere\", headers = { x-canary = \"1\" } }");
    let mut client = canary.gateway.client();
    assert_eq!(client.get_with("/", "X-Canary: 1\r\n").status, 500);
    assert_eq!(client.get("/").text(), "stable");
}
