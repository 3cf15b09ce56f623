//! Sessions that any gateway honours: in a Redis that gateways share, and in cookies.

mod cookies;
mod shared_redis;

use crate::support::{Response, TestClient, TestNode, plugin_file};

/// A gateway's configuration: clients stay with their nodes, and this is where their sessions are.
fn sticky(sessions: &str) -> String {
    format!(
        "{sessions}\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{{nodes}}]\n\
         policy = [\"sticky-session\", \"round-robin\"]"
    )
}

/// The files that it needs.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    ["sticky_session.wasm", "round_robin.wasm"].map(|name| (name, plugin_file(name))).into()
}

/// Nodes that say which they are.
fn nodes(count: usize) -> Vec<TestNode> {
    (0..count).map(|index| TestNode::answering(format!("node-{index}"))).collect()
}

/// A client's cookie, and the node that it is bound to.
#[derive(Clone)]
struct Visitor {
    cookie: String,
    node: String,
}

impl Visitor {
    fn first(client: &mut TestClient) -> Visitor {
        let response = client.get("/");
        let cookie = cookie(&response).expect("a first answer sets the cookie").to_owned();
        Visitor { cookie, node: response.text() }
    }

    fn visits(&self, client: &mut TestClient) -> Response {
        client.get_with("/", &format!("Cookie: {}\r\n", self.cookie))
    }

    /// Whether it is served, and where it was before.
    fn stays(&self, client: &mut TestClient) -> bool {
        let response = self.visits(client);
        assert_eq!(response.status, 200, "no request fails");
        response.text() == self.node
    }
}

/// name=value of the cookie that a response sets.
fn cookie(response: &Response) -> Option<&str> {
    response.header("set-cookie")?.split(';').next()
}

fn visitors(client: &mut TestClient, count: usize) -> Vec<Visitor> {
    (0..count).map(|_| Visitor::first(client)).collect()
}

/// How many of them are where they were before.
fn stay(visitors: &[Visitor], client: &mut TestClient) -> usize {
    visitors.iter().filter(|visitor| visitor.stays(client)).count()
}
