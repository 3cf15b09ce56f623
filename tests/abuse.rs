//! Clients that mean harm: each is bounded, counted by kind, and noticed by no other client.

mod floods;
mod limits;
mod slow;

use crate::support::{TestGateway, TestNode};

/// All requests go to this node; the listener, the route and the pool have these keys.
fn gateway_with(listener: &str, route: &str, pool: &str, node: &TestNode) -> TestGateway {
    TestGateway::with(&configuration(listener, route, pool), &[node])
}

fn configuration(listener: &str, route: &str, pool: &str) -> String {
    format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\n\
         [route.all]\npool = \"main\"\n{route}\n[pool.main]\nnodes = [{{nodes}}]\n{pool}\n"
    )
}

/// How often the front door refused this kind.
fn refused(gateway: &TestGateway, kind: &str) -> f64 {
    gateway.metric("bascule_refused_total", &[("kind", kind)])
}
