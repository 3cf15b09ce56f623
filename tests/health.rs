//! Nodes fail, and clients do not notice: what control makes of checks, of traffic and of operators' wishes.

mod checks;
mod draining;
mod ejection;

use crate::support::{TestClient, TestGateway, TestNode, wait_until};
use serde_json::Value;

/// All requests go to one pool, "main", with these keys.
fn gateway_with(pool: &str, nodes: &[&TestNode]) -> TestGateway {
    TestGateway::with(&configuration(pool), nodes)
}

fn configuration(pool: &str) -> String {
    format!("[route.all]\npool = \"main\"\n[pool.main]\n{pool}")
}

/// What is shown of the pool's node with this number, from 1.
fn shown(gateway: &TestGateway, number: usize) -> Value {
    gateway.snapshot()["pools"][0]["nodes"][number - 1].clone()
}

fn state(gateway: &TestGateway, number: usize) -> String {
    shown(gateway, number)["state"].as_str().unwrap().to_owned()
}

fn wait_for_state(gateway: &TestGateway, number: usize, wanted: &str) {
    wait_until(&format!("node {number} is {wanted}"), || state(gateway, number) == wanted);
}

/// Who answers, of so many requests one after another.
fn answers(gateway: &TestGateway, count: usize) -> Vec<String> {
    let mut client = gateway.client();
    (0..count).map(|_| client.get("/").text()).collect()
}
