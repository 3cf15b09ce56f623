//! Leases in an etcd that gateways share, with a real one.

use super::{
    a_lease_ends_at_every_gateway, a_registration_reaches_the_other, entry, gateway, ids, put, send,
};
use crate::support::{GatewayProcess, Load, TestGateway, TestNode, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeSet;
use test_servers::{Certificates, Etcd};

fn in_etcd(etcd: &Etcd, more: &str) -> String {
    format!("store = \"etcd\"\netcd = {{ endpoints = [\"{}\"]{more} }}", etcd.url())
}

fn is_followed(gateway: &TestGateway) -> bool {
    gateway.metric("bascule_discovery_up", &[]) == 1.0
}

/// A gateway with the nodes a and b, whose leases are of this length.
fn with_two(etcd: &Etcd, [a, b]: [&TestNode; 2], ttl: &str) -> TestGateway {
    let gateway = gateway(&in_etcd(etcd, ""));
    wait_until("a registers", || put(&gateway, "a", &entry(a, ttl)).status == 201);
    assert_eq!(put(&gateway, "b", &entry(b, ttl)).status, 201);
    wait_until("both are in", || ids(&gateway) == ["a", "b"]);
    gateway
}

#[test]
fn a_registration_in_etcd_reaches_the_other_gateway() {
    let Some(etcd) = Etcd::start() else { return };
    a_registration_reaches_the_other(&in_etcd(&etcd, ", prefix = \"/of/ours/\""));
}

#[test]
fn a_lease_in_etcd_ends_at_every_gateway() {
    let Some(etcd) = Etcd::start() else { return };
    a_lease_ends_at_every_gateway(&in_etcd(&etcd, ""));
}

#[test]
fn an_etcd_that_goes_and_comes_back_empty_costs_no_node() {
    let Some(etcd) = Etcd::start() else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = with_two(&etcd, [&a, &b], "5s");
    let load = Load::on(gateway.address());
    etcd.kill();
    wait_until("the loss is seen", || !is_followed(&gateway));
    let refused = put(&gateway, "a", &entry(&a, "5s"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(ids(&gateway), ["a", "b"]);
    etcd.restart_empty();
    wait_until("a renews", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    wait_until("it is followed again", || is_followed(&gateway));
    assert_eq!(ids(&gateway), ["a", "b"], "b has its lease to come back");
    wait_until("b did not", || ids(&gateway) == ["a"]);
    load.stop();
}

#[test]
fn a_frozen_etcd_that_ends_all_leases_when_it_goes_on_costs_no_node() {
    let Some(etcd) = Etcd::start() else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = with_two(&etcd, [&a, &b], "4s");
    let load = Load::on(gateway.address());
    etcd.freeze();
    wait_until("the loss is seen", || !is_followed(&gateway));
    etcd.thaw();
    wait_until("etcd ended both leases", || {
        let leases = etcd.call("/v3/lease/leases", "{}");
        assert_eq!(leases.status, 200, "{}", leases.body);
        !leases.body.contains("\"ID\"")
    });
    wait_until("it is followed again", || is_followed(&gateway));
    assert_eq!(ids(&gateway), ["a", "b"]);
    wait_until("b renews", || put(&gateway, "b", &entry(&b, "1m")).status == 201);
    wait_until("a did not", || ids(&gateway) == ["b"]);
    load.stop();
}

#[test]
fn what_changed_while_etcd_was_away_is_found_though_it_forgot_the_changes() {
    let Some(etcd) = Etcd::start() else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = with_two(&etcd, [&a, &b], "1m");
    etcd.kill();
    wait_until("the loss is seen", || !is_followed(&gateway));
    etcd.restart();
    let heavier = |weight: u32| entry(&b, "1m").replace('{', &format!("{{\"weight\": {weight}, "));
    (2..=20)
        .for_each(|weight| wait_until("b changes", || put(&gateway, "b", &heavier(weight)).status == 200));
    let key = BASE64.encode("/bascule/registry/main/b");
    let range = etcd.call("/v3/kv/range", &format!(r#"{{"key": "{key}"}}"#)).body;
    let range: serde_json::Value = serde_json::from_str(&range).expect("JSON");
    let compaction = format!(r#"{{"revision": {}, "physical": true}}"#, range["header"]["revision"]);
    assert_eq!(etcd.call("/v3/kv/compaction", &compaction).status, 200);
    wait_until("b has its weight", || gateway.snapshot()["pools"][0]["nodes"][1]["weight"] == 20);
    assert_eq!(ids(&gateway), ["a", "b"]);
}

#[test]
fn a_pool_in_etcd_has_so_many_nodes_and_those_that_are_there_may_renew() {
    let Some(etcd) = Etcd::start() else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let gateway = gateway(&in_etcd(&etcd, "").replace("store", "max_nodes = 1\nstore"));
    wait_until("a registers", || put(&gateway, "a", &entry(&a, "1m")).status == 201);
    assert_eq!(put(&gateway, "b", &entry(&b, "1m")).status, 507);
    assert_eq!(put(&gateway, "a", &entry(&a, "1m")).status, 200);
}

#[test]
fn an_etcd_that_wants_a_password_gets_it_and_a_wrong_one_is_named_once() {
    let Some(etcd) = Etcd::start() else { return };
    etcd.want_password("open sesame");
    let login = |password: &str| format!(", user = \"root\", password = \"{password}\"");
    let a = TestNode::answering("a");
    let right = gateway(&in_etcd(&etcd, &login("open sesame")));
    wait_until("a registers", || put(&right, "a", &entry(&a, "1m")).status == 201);
    let text = "[pool.main]\ndiscovery = { provider = \"registry\" }\n[route.all]\npool = \"main\"\n[registry]\naddress = \"127.0.0.1:0\"\n";
    let wrong = GatewayProcess::with_files(&format!("{text}{}", in_etcd(&etcd, &login("hunter2"))), &[], &[]);
    wait_until("it is named", || !wrong.logged("authentication failed").is_empty());
    assert!(wrong.logged("hunter2").is_empty());
}

/// What [registry] says of an etcd with TLS.
fn with_tls(etcd: &Etcd, ca: &Certificates, own: Option<&Certificates>) -> String {
    let own = own.map(|own| format!(", certificate = {:?}, key = {:?}", own.client(), own.client_key()));
    let ca = format!("ca = {:?}", ca.authority());
    in_etcd(etcd, &format!(", tls = {{ {ca}{} }}", own.unwrap_or_default()))
}

#[test]
fn leases_are_kept_over_tls_by_who_shows_a_certificate() {
    let certificates = Certificates::make();
    let Some(etcd) = Etcd::start_with_tls(&certificates) else { return };
    a_registration_reaches_the_other(&with_tls(&etcd, &certificates, Some(&certificates)));
}

#[test]
fn an_etcd_that_is_not_believed_or_does_not_believe_is_named_once_and_costs_no_request() {
    let certificates = Certificates::make();
    let Some(etcd) = Etcd::start_with_tls(&certificates) else { return };
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let strangers = Certificates::make();
    for (ca, own, words) in [
        // Another authority; no certificate; one that another authority signed.
        (&strangers, Some(&certificates), "invalid peer certificate"),
        (&certificates, None, "transport error"),
        (&certificates, Some(&strangers), "transport error"),
    ] {
        let tables = "[pool.main]\nnodes = [{nodes}]\ndiscovery = { provider = \"registry\" }\n\
                      [route.all]\npool = \"main\"\n[registry]\naddress = \"127.0.0.1:0\"\n";
        let keys = with_tls(&etcd, ca, own);
        let gateway = GatewayProcess::with(&format!("{tables}{keys}"), &[&a]);
        let registry = gateway.snapshot()["registry"]["address"].as_str().unwrap().parse().unwrap();
        for _ in 0..5 {
            let refused = send(registry, "PUT", "/pools/main/nodes/b", "", &entry(&b, "1m"));
            assert_eq!(refused.status, 503, "{keys}");
            assert_eq!(gateway.client().get("/").text(), "a");
        }
        // Who shows nothing, or the wrong thing, hears of it after the handshake, if the connection lasts that long.
        let named = gateway.logged("nodes cannot register");
        let whys: BTreeSet<_> =
            named.iter().map(|line| line.split_once("why=").expect("a reason").1).collect();
        assert_eq!(whys.len(), named.len(), "{named:?}");
        assert!(named.iter().all(|line| line.contains(&etcd.url())), "{named:?}");
        assert!(named.iter().any(|line| line.contains(words)), "{named:?}");
        assert!(gateway.logged("PRIVATE KEY").is_empty());
    }
}
