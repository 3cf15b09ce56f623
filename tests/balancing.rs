//! Which node serves: the shipped policies, seen from outside.

mod hashing;
mod load;
mod stickiness;
mod weights;
mod zones;

use crate::support::{Response, TestClient, TestGateway, TestNode};
use std::thread;

/// Nodes that answer with their own names: n1, n2, …
fn nodes(count: usize) -> Vec<TestNode> {
    (1..=count).map(|number| TestNode::answering(format!("n{number}"))).collect()
}

/// How many requests each of them served.
fn hits(nodes: &[TestNode]) -> Vec<usize> {
    nodes.iter().map(TestNode::hits).collect()
}

/// One pool of these nodes with the keys of the test.
fn gateway_with(pool: &str, nodes: &[TestNode]) -> TestGateway {
    let text = format!("[route.all]\npool = \"main\"\n[pool.main]\n{pool}");
    TestGateway::with(&text, &nodes.iter().collect::<Vec<_>>())
}

/// So many clients at once, each with so many requests, one after another.
fn in_parallel(gateway: &TestGateway, clients: usize, requests: usize, check: fn(&Response)) {
    thread::scope(|scope| {
        for _ in 0..clients {
            let mut client: TestClient = gateway.client();
            scope.spawn(move || {
                for _ in 0..requests {
                    check(&client.get("/"));
                }
            });
        }
    });
}
