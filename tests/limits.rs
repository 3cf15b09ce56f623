//! What the gateway takes at once, and what it says to the rest.

mod connections;
mod load_reports;
mod queue;

use crate::support::{PATIENCE, Response, TestClient, TestGateway, TestNode, wait_until};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// All requests go to these nodes, on two workers, within these limits.
fn gateway_with(limits: &str, nodes: &[&TestNode]) -> TestGateway {
    let text =
        "[gateway]\nworkers = 2\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\nlimits = ";
    TestGateway::with(&format!("{text}{limits}"), nodes)
}

/// A node that answers each request when the test says so, with its path.
fn held_node() -> (TestNode, Sender<()>) {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let node = TestNode::scripted(move |connection| {
        while let Some(request) = connection.read_request() {
            // The test may end first.
            if wait.lock().unwrap().recv_timeout(PATIENCE).is_err() {
                return;
            }
            let body = request.path();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    (node, go)
}

/// A client that asked, and did not read the answer yet.
fn asking(gateway: &TestGateway, path: &str) -> TestClient {
    let mut client = gateway.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

/// What /snapshot says of the pool's limits.
fn limits(gateway: &TestGateway, key: &str) -> u64 {
    gateway.snapshot()["pools"][0]["limits"][key].as_u64().unwrap_or_default()
}

fn wait_for_waiting(gateway: &TestGateway, count: u64) {
    wait_until("so many wait", || limits(gateway, "waiting") == count);
}

/// So many clients ask at once; all their answers.
fn crowd(gateway: &TestGateway, clients: usize, requests: usize) -> Vec<Response> {
    let one = || {
        let mut client = gateway.client();
        (0..requests).map(|_| client.get("/")).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

fn retry_after(response: &Response) -> Option<u32> {
    response.header("retry-after")?.parse().ok()
}
