//! What nodes report of their load (ORCA) is known to every policy, and to no client.

use super::wait_until;
use crate::support::{TestGateway, TestNode};

const TEXT: &str = "TEXT cpu_utilization=0.3,named_metrics.queue=9";
const JSON: &str = "JSON {\"cpu_utilization\": 0.7, \"named_metrics\": {\"queue\": 2}}";
const FIELD: &str = "endpoint-load-metrics";

fn reporting(name: &str, field: &str, report: &str) -> TestNode {
    TestNode::answering(name).with_header(field, report)
}

/// A gateway whose pool has these keys beside its nodes.
fn gateway_with(pool: &str, nodes: &[&TestNode]) -> TestGateway {
    let text = "[plugin.least]\nfile = \"least_signal.wasm\"\nconfig = { signal = \"orca.named.queue\" }\n\
                [route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]\n";
    TestGateway::with(&format!("{text}{pool}"), nodes)
}

fn signal(gateway: &TestGateway, node: usize, name: &str) -> Option<f64> {
    gateway.snapshot()["pools"][0]["nodes"][node]["signals"][name].as_f64()
}

#[test]
fn a_policy_follows_what_nodes_report_in_either_form() {
    let nodes = [reporting("nine", FIELD, TEXT), reporting("two", "Endpoint-Load-Metrics", JSON)];
    let gateway = gateway_with("policy = \"least\"\nload_reports = true", &[&nodes[0], &nodes[1]]);
    let mut client = gateway.client();
    // Both report once; before that the policy has no opinion, and the native round robin turns.
    for _ in 0..2 {
        assert_eq!(client.get("/").header(FIELD), None, "clients learn nothing of it");
    }
    assert_eq!(signal(&gateway, 0, "orca.cpu_utilization"), Some(0.3));
    assert_eq!(signal(&gateway, 1, "orca.cpu_utilization"), Some(0.7));
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "two");
    }
    let taken = [("pool", "main"), ("result", "taken")];
    assert!(gateway.metric("bascule_load_reports_total", &taken) >= 2.0);
}

#[test]
fn a_report_lasts_for_its_time() {
    let node = reporting("a", FIELD, TEXT);
    let gateway = gateway_with("load_reports = true\nload_report_ttl = \"300ms\"", &[&node]);
    gateway.get("/");
    wait_until("the report is forgotten", || signal(&gateway, 0, "orca.named.queue").is_none());
    // Reports are taken ten times a second at most.
    wait_until("a new one is taken", || {
        gateway.get("/");
        signal(&gateway, 0, "orca.named.queue") == Some(9.0)
    });
}

#[test]
fn what_cannot_be_read_is_counted_and_kept_from_clients() {
    for (field, report) in [(FIELD, "BIN CAES"), (FIELD, "JSON {"), ("endpoint-load-metrics-bin", "CAES")] {
        let node = reporting("fine", field, report);
        let gateway = gateway_with("load_reports = true", &[&node]);
        let response = gateway.get("/");
        assert_eq!((response.text().as_str(), response.header(field)), ("fine", None));
        let unreadable = [("pool", "main"), ("result", "unreadable")];
        assert_eq!(gateway.metric("bascule_load_reports_total", &unreadable), 1.0, "{report}");
    }
}

#[test]
fn a_pool_that_does_not_ask_passes_the_field_on() {
    let node = reporting("a", FIELD, TEXT);
    let gateway = gateway_with("", &[&node]);
    assert_eq!(gateway.get("/").header(FIELD), Some(TEXT));
    assert_eq!(signal(&gateway, 0, "orca.cpu_utilization"), None);
}
