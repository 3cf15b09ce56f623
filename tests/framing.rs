//! Where messages end, in both directions, and what becomes of the connections (RFC 9112).

mod connections;
mod early;
mod interim;
mod requests;
mod responses;
mod splits;
mod upgrades;

use crate::support::{TestGateway, TestNode};

/// All requests below /t go to this node; anything else has no route.
fn gateway_before(node: &TestNode) -> TestGateway {
    let text = "[route.all]\npath = \"/t\"\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]";
    TestGateway::with(text, &[node])
}
