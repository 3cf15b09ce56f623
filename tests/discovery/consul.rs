//! Nodes in a real Consul, and in a double only for what that one cannot be made to do.

use super::*;
use crate::support::{
    Connection, Entry, Registry, a_broken_registry_fails_no_request, a_hundred_nodes_come_change_and_leave,
    changes_serve_soon,
};
use serde_json::json;
use test_servers::{Certificates, Consul, Server};

/// What may do everything in a Consul that wants a token.
const TOKEN: &str = "2f7d4a3c-0000-4000-8000-000000000001";

impl Registry for Consul {
    fn discovery(&self) -> String {
        format!("provider = \"consul\", service = \"api\", address = \"{}\"", self.url())
    }

    fn put(&self, node: &Entry) {
        let weights = json!({ "Passing": node.weight, "Warning": 1 });
        put(self, &node.id, node.address, json!({ "Weights": weights }));
    }

    fn remove(&self, id: &str) {
        self.deregister(id);
    }

    fn server(&self) -> &Server {
        self
    }
}

/// Registers an instance of the service "api", with further keys.
fn put(consul: &Consul, id: &str, address: SocketAddr, more: Value) {
    let mut service =
        json!({ "Name": "api", "ID": id, "Address": address.ip().to_string(), "Port": address.port() });
    let more = more.as_object().expect("a table").clone();
    service.as_object_mut().expect("a table").extend(more);
    consul.register(&service.to_string());
}

/// A gateway that finds its nodes in this Consul, with further keys of the discovery.
fn gateway_before(consul: &Consul, more: &str) -> TestGateway {
    let keys = consul.discovery();
    TestGateway::with(&configuration(&format!("discovery = {{ {keys}, empty = \"0s\"{more} }}")), &[])
}

#[test]
fn a_hundred_nodes() {
    let Some(consul) = Consul::start() else { return };
    a_hundred_nodes_come_change_and_leave(&consul);
}

#[test]
fn how_soon_a_change_serves() {
    let Some(consul) = Consul::start() else { return };
    changes_serve_soon(&consul);
}

#[test]
fn a_consul_that_breaks() {
    let Some(consul) = Consul::start() else { return };
    a_broken_registry_fails_no_request(&consul);
}

#[test]
fn a_consul_that_stops_without_a_word_is_lost_and_its_nodes_stay() {
    let Some(consul) = Consul::start() else { return };
    let node = TestNode::answering("a");
    put(&consul, "api-1", node.address(), json!({}));
    let gateway = gateway_before(&consul, "");
    wait_for_nodes(&gateway, &[("api-1", 1)]);
    consul.freeze();
    wait_until("it is lost", || pool(&gateway)["discovery"]["state"] == "down");
    let error = pool(&gateway)["discovery"]["error"]["text"].to_string();
    assert!(error.contains("did not answer within 15s"), "{error}");
    assert_eq!((nodes(&gateway).len(), gateway.get("/").text().as_str()), (1, "a"));
    consul.thaw();
    wait_until("it is back", || pool(&gateway)["discovery"]["state"] == "up");
}

#[test]
fn an_instance_tells_all_of_a_node() {
    let Some(consul) = Consul::start() else { return };
    let node = TestNode::answering("a");
    let meta = json!({ "zone": "a", "tier": "1", "version": "2" });
    let weights = json!({ "Passing": 3, "Warning": 1 });
    put(&consul, "api-1", node.address(), json!({ "Meta": meta, "Weights": weights }));
    let gateway = gateway_before(&consul, "");
    wait_for_nodes(&gateway, &[("api-1", 3)]);
    let row = &pool(&gateway)["nodes"][0];
    assert_eq!((&row["zone"], &row["tier"]), (&json!("a"), &json!(1)));
    assert_eq!(row["labels"], json!({ "version": "2" }));
    assert_eq!(row["address"], node.address().to_string());
    assert_eq!(gateway.get("/").text(), "a");
}

#[test]
fn only_instances_with_all_tags_and_good_checks_are_nodes() {
    let Some(consul) = Consul::start() else { return };
    let node = TestNode::answering("a");
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    put(&consul, "both", node.address(), json!({ "Tags": ["v1", "eu"] }));
    put(&consul, "one", at(1), json!({ "Tags": ["v1"] }));
    // A check that waits to be told fails until then.
    let check = json!({ "CheckID": "told", "TTL": "10m" });
    put(&consul, "checked", at(2), json!({ "Tags": ["eu", "v1"], "Check": check }));
    let gateway = gateway_before(&consul, ", tags = [\"v1\", \"eu\"], datacenter = \"dc1\"");
    wait_for_nodes(&gateway, &[("both", 1)]);
    assert_eq!(consul.call("PUT", "/v1/agent/check/pass/told", "").status, 200);
    wait_for_nodes(&gateway, &[("both", 1), ("checked", 1)]);
    consul.maintain("checked", true);
    wait_for_nodes(&gateway, &[("both", 1)]);
    consul.maintain("checked", false);
    wait_for_nodes(&gateway, &[("both", 1), ("checked", 1)]);
}

#[test]
fn a_service_that_nobody_knows_has_no_nodes_until_it_has() {
    let Some(consul) = Consul::start() else { return };
    let gateway = gateway_before(&consul, "");
    wait_until("Consul answered", || pool(&gateway)["discovery"]["state"] == "up");
    wait_until("the gateway is ready", || gateway.admin("/readyz").status == 200);
    assert_eq!(gateway.get("/").status, 503);
    let node = TestNode::answering("a");
    put(&consul, "api-1", node.address(), json!({}));
    wait_until("the node serves", || gateway.get("/").text() == "a");
}

#[test]
fn a_token_lets_the_gateway_in_and_a_wrong_one_is_named() {
    let Some(consul) = Consul::start_with_token(TOKEN) else { return };
    let node = TestNode::answering("a");
    put(&consul, "api-1", node.address(), json!({}));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with_token = |text: &str| {
        let path = folder.path().join("token");
        fs::write(&path, text).expect("the file is written");
        gateway_before(&consul, &format!(", token = {{ file = {path:?} }}"))
    };
    wait_for_nodes(&with_token(TOKEN), &[("api-1", 1)]);
    let wrong = TOKEN.replace('1', "2");
    let gateway = with_token(&wrong);
    wait_until("the token is refused", || pool(&gateway)["discovery"]["state"] == "down");
    let snapshot = gateway.snapshot().to_string();
    assert!(snapshot.contains("Consul refuses the token: 403 Forbidden: ACL not found"), "{snapshot}");
    assert!(!snapshot.contains(&wrong));
}

#[test]
fn tls_with_a_certificate_of_the_gateways_own() {
    let certificates = Certificates::make();
    let Some(consul) = Consul::start_with_tls(&certificates) else { return };
    let node = TestNode::answering("a");
    put(&consul, "api-1", node.address(), json!({}));
    let before = |identity: &str| {
        let keys = format!(
            "provider = \"consul\", service = \"api\", address = \"https://{}\", tls = {{ ca = {:?}{identity} }}",
            consul.tls_address(),
            certificates.authority(),
        );
        TestGateway::with(&configuration(&format!("discovery = {{ {keys} }}")), &[])
    };
    let (shown, key) = (certificates.client(), certificates.client_key());
    let known = before(&format!(", certificate = {shown:?}, key = {key:?}"));
    wait_for_nodes(&known, &[("api-1", 1)]);
    let stranger = before("");
    wait_until("it is not let in", || pool(&stranger)["discovery"]["state"] == "down");
}

/// A double of Consul: it is told the path of each request, and answers with an index and a body, or holds the request for ever.
fn double(script: impl Fn(&str) -> Option<(u64, String)> + Send + Sync + 'static) -> TestNode {
    TestNode::scripted(move |connection: &mut Connection| {
        while let Some(request) = connection.read_request() {
            match script(request.path()) {
                Some((index, body)) => connection.send(format!(
                    "HTTP/1.1 200 OK\r\nX-Consul-Index: {index}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )),
                None => return while connection.read_request().is_some() {},
            };
        }
    })
}

fn gateway_before_double(double: &TestNode) -> TestGateway {
    let keys = format!("provider = \"consul\", service = \"api\", address = \"http://{}\"", double.address());
    TestGateway::with(&configuration(&format!("discovery = {{ {keys} }}")), &[])
}

fn instance(id: &str, port: u16, note: &str) -> Value {
    json!({
        "Node": { "Node": "agent", "Address": "127.0.0.1" },
        "Service": { "ID": id, "Address": "127.0.0.1", "Port": port, "Meta": { "note": note } },
    })
}

#[test]
fn an_index_that_goes_backwards_asks_for_everything_anew() {
    let consul = double(|path| {
        let index: u64 = path.split("index=").nth(1).expect("an index").parse().expect("a number");
        let at = |index, id| Some((index, json!([instance(id, 1, "")]).to_string()));
        match index {
            0 => at(100, "first"),
            100 => at(7, "second"), // a snapshot of it was restored
            7 => None,
            _ => panic!("asked with {path}"),
        }
    });
    // The second answer leads to the first again, and so on: both are seen, and nothing else is asked for.
    let gateway = gateway_before_double(&consul);
    wait_for_nodes(&gateway, &[("second", 1)]);
    wait_for_nodes(&gateway, &[("first", 1)]);
    let asked: Vec<_> = consul.requests().iter().map(|request| request.path().to_owned()).collect();
    assert!(asked.iter().all(|path| path.contains("wait=10s&index=")), "{asked:?}");
    assert_eq!(pool(&gateway)["discovery"]["state"], "up");
}

#[test]
fn a_large_value_is_named_and_the_other_instances_stand() {
    let consul = double(|path| {
        let large = instance("large", 1, &"x".repeat(1024 * 1024));
        path.ends_with("index=0")
            .then(|| (1, json!([large, instance("good", 2, ""), instance("zero", 0, "")]).to_string()))
    });
    let gateway = gateway_before_double(&consul);
    wait_for_nodes(&gateway, &[("good", 1)]);
    let discovery = &pool(&gateway)["discovery"];
    assert_eq!((&discovery["state"], &discovery["unused"]), (&json!("up"), &json!(2)));
    let bad = discovery["bad_entries"].to_string();
    assert!(bad.contains("large") && bad.contains("65536 is the most") && bad.contains("zero"), "{bad}");
    assert_eq!(gateway.metric("bascule_discovery_bad_entries_total", &[("pool", "main")]), 2.0);
}

#[test]
fn what_answers_html_is_not_consul_and_harms_nobody() {
    let html = TestNode::answering("<html><body>It works!</body></html>");
    let gateway = gateway_before_double(&html);
    wait_until("it is noticed", || pool(&gateway)["discovery"]["state"] == "down");
    let error = pool(&gateway)["discovery"]["error"]["text"].clone();
    assert_eq!(error, "what answers is not Consul: it sends no X-Consul-Index");
    assert_eq!(nodes(&gateway), []);
    assert!(gateway.metric("bascule_discovery_losses_total", &[("pool", "main")]) >= 1.0);
}
