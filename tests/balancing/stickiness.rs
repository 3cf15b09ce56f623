//! sticky-session: a client stays where it was first served.

use super::nodes;
use crate::support::{Response, TestClient, TestGateway, TestNode, wait_until};
use std::collections::BTreeSet;

const CLIENTS: usize = 1_000;

fn sticky_gateway(nodes: &[TestNode]) -> TestGateway {
    let pool = "policy = [\"sticky-session\", \"least-connections\"]\nnodes = [{nodes}]";
    super::gateway_with(pool, nodes)
}

/// A client's cookie jar and the node that it is bound to.
struct Visitor {
    cookie: String,
    node: String,
}

fn first_visit(client: &mut TestClient) -> Visitor {
    let response = client.get("/");
    let cookie = cookie(&response).expect("a first answer sets the cookie").to_owned();
    Visitor { cookie, node: response.text() }
}

/// name=value of the cookie that a response sets.
fn cookie(response: &Response) -> Option<&str> {
    response.header("set-cookie")?.split(';').next()
}

fn visit(client: &mut TestClient, visitor: &Visitor) -> Response {
    client.get_with("/", &format!("Cookie: other=1; {}\r\n", visitor.cookie))
}

#[test]
fn a_thousand_clients_keep_their_nodes() {
    let nodes = nodes(5);
    let gateway = sticky_gateway(&nodes);
    let mut client = gateway.client();
    let visitors: Vec<_> = (0..CLIENTS).map(|_| first_visit(&mut client)).collect();

    let tokens: BTreeSet<_> = visitors.iter().map(|visitor| visitor.cookie.as_str()).collect();
    assert_eq!(tokens.len(), CLIENTS, "no two clients have the same token");
    let bound: BTreeSet<_> = visitors.iter().map(|visitor| visitor.node.as_str()).collect();
    assert_eq!(bound.len(), 5, "new clients are spread");

    // On another connection and in another order, since a client is known by its cookie alone.
    let mut other = gateway.client();
    for visitor in visitors.iter().rev() {
        let response = visit(&mut other, visitor);
        assert_eq!(response.text(), visitor.node);
        assert_eq!(response.header("set-cookie"), None, "it is bound already");
    }
}

#[test]
fn a_client_that_comes_back_costs_one_call() {
    let nodes = nodes(3);
    let gateway = sticky_gateway(&nodes);
    let mut client = gateway.client();
    let visitor = first_visit(&mut client);
    let calls =
        |plugin, role| gateway.metric("bascule_plugin_calls_total", &[("plugin", plugin), ("role", role)]);
    assert_eq!(calls("sticky-session", "filter"), 1.0, "the response was seen, and the cookie set");
    let before = [calls("sticky-session", "balancer"), calls("least-connections", "balancer")];
    (0..10).for_each(|_| assert_eq!(visit(&mut client, &visitor).text(), visitor.node));
    let after = [calls("sticky-session", "balancer"), calls("least-connections", "balancer")];
    assert_eq!([after[0] - before[0], after[1] - before[1]], [10.0, 0.0]);
    assert_eq!(calls("sticky-session", "filter"), 1.0, "nothing was to be done for it");
}

#[test]
fn the_clients_of_a_lost_node_are_bound_anew_and_the_others_stay() {
    let nodes = nodes(3);
    let gateway = sticky_gateway(&nodes);
    let mut client = gateway.client();
    let visitors: Vec<_> = (0..60).map(|_| first_visit(&mut client)).collect();
    nodes[0].stop();
    wait_until("its connections are closed", || nodes[0].open_connections() == 0);
    for visitor in &visitors {
        let response = visit(&mut client, visitor);
        assert_eq!(response.status, 200);
        if visitor.node != "n1" {
            assert_eq!(response.text(), visitor.node);
        } else {
            assert_ne!(response.text(), "n1");
            let now = visit(&mut client, visitor).text();
            assert_eq!(now, response.text(), "it stays where it was bound anew, under the token that it had");
        }
    }
}

#[test]
fn the_cookie_is_kept_from_scripts_and_other_sites() {
    let nodes = nodes(2);
    let gateway = sticky_gateway(&nodes);
    let response = gateway.get("/");
    let line = response.header("set-cookie").expect("a cookie");
    let mut parts = line.split(';').map(str::trim);
    let (name, token) = parts.next().and_then(|pair| pair.split_once('=')).expect("name=value");
    assert_eq!(name, "bascule-session");
    assert!(token.len() >= 21, "{token:?} has fewer than 128 bits");
    let attributes: BTreeSet<_> = parts.map(str::to_ascii_lowercase).collect();
    for expected in ["httponly", "samesite=lax", "path=/"] {
        assert!(attributes.contains(expected), "{expected} is missing in {line:?}");
    }
    assert!(!attributes.contains("secure"), "over plain HTTP the client would drop it: {line:?}");
}

#[test]
fn a_token_that_the_gateway_did_not_mint_binds_nobody() {
    let nodes = nodes(2);
    let gateway = sticky_gateway(&nodes);
    let mut client = gateway.client();
    for claimed in ["", "n1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\"", "%00"] {
        let response = client.get_with("/", &format!("Cookie: bascule-session={claimed}\r\n"));
        let set = cookie(&response).expect("a new cookie");
        assert_ne!(set, format!("bascule-session={claimed}"));
    }
}

#[test]
fn an_answer_that_no_node_gave_sets_no_cookie() {
    let down = TestNode::stopped();
    let gateway = sticky_gateway(std::slice::from_ref(&down));
    let response = gateway.get("/");
    assert!([502, 503].contains(&response.status));
    assert_eq!(response.header("set-cookie"), None);
}
