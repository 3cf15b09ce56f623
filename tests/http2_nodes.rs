//! HTTP/2 to nodes: requests share connections, and nothing of one reaches another.

mod bodies;
mod broken;
mod sharing;
mod tunnel_ends;
mod tunnel_room;
mod tunnel_stops;
mod tunnels;

use crate::support::{Http2Node, TestGateway};

/// A gateway before these nodes, whose pool has these keys too.
fn before(nodes: &[&Http2Node], keys: &str) -> TestGateway {
    let addresses: Vec<String> = nodes.iter().map(|node| format!("\"{}\"", node.address())).collect();
    TestGateway::with(&pool(&addresses.join(", "), keys), &[])
}

fn pool(addresses: &str, keys: &str) -> String {
    format!(
        "[route.all]\npool = \"main\"\n[pool.main]\nprotocol = \"http2\"\nnodes = [{addresses}]\noutlier = \"off\"\n{keys}\n"
    )
}
