//! WebSocket through the gateway (RFC 6455, RFC 8441), spoken by tungstenite on both sides.

mod connect;
mod ends;
mod messages;
mod seen;

use crate::support::TestGateway;
use crate::support::websocket::WebSocketNode;

/// A gateway before these nodes, with these keys of its pool.
fn gateway(nodes: &[&WebSocketNode], keys: &str) -> TestGateway {
    gateway_with("", nodes, keys)
}

/// The same with further tables.
fn gateway_with(tables: &str, nodes: &[&WebSocketNode], keys: &str) -> TestGateway {
    let nodes: Vec<_> = nodes.iter().map(|node| node.quoted()).collect();
    let nodes = nodes.join(", ");
    TestGateway::with(
        &format!("{tables}\n[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n{keys}\n"),
        &[],
    )
}
