//! Nodes in etcd, with a real one.

use super::keyed::{Keyed, a_long_silence_is_made_up_for, bad_entries_are_named_once_and_harmless};
use super::keyed::{gateway, is_refused, text, told};
use super::{configuration, nodes, wait_for_nodes};
use crate::support::{
    Crowd, Entry, Load, Registry, a_broken_registry_fails_no_request, a_hundred_nodes_come_change_and_leave,
    changes_serve_soon, wait_until, write_configuration,
};
use bascule::control::config::{self, Provider};
use bascule::control::etcd::{Etcd, Registration, Servers};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::time::{Duration, Instant};
use test_servers::{Certificates, Etcd as Server};
use tokio::runtime::Runtime;

const PREFIX: &str = "/bascule/api/";
const LONG: Duration = Duration::from_secs(60);

/// Calls its API in JSON; keys and values in base64.
fn call(server: &Server, path: &str, body: &str) -> String {
    let answer = server.call(path, body);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn key(id: &str) -> String {
    BASE64.encode(format!("{PREFIX}{id}"))
}

impl Registry for Server {
    fn discovery(&self) -> String {
        format!("provider = \"etcd\", endpoints = [\"{}\"], prefix = \"{PREFIX}\"", self.url())
    }

    fn put(&self, node: &Entry) {
        self.write(&node.id, &node.json().to_string());
    }

    fn remove(&self, id: &str) {
        call(self, "/v3/kv/deleterange", &format!(r#"{{"key": "{}"}}"#, key(id)));
    }

    fn server(&self) -> &test_servers::Server {
        self
    }
}

impl Keyed for Server {
    fn write(&self, id: &str, text: &str) {
        let body = format!(r#"{{"key": "{}", "value": "{}"}}"#, key(id), BASE64.encode(text));
        call(self, "/v3/kv/put", &body);
    }
}

#[test]
fn a_hundred_nodes_in_etcd_come_change_and_leave() {
    let Some(etcd) = Server::start() else { return };
    a_hundred_nodes_come_change_and_leave(&etcd);
}

#[test]
fn changes_in_etcd_serve_soon() {
    let Some(etcd) = Server::start() else { return };
    changes_serve_soon(&etcd);
}

#[test]
fn an_etcd_that_breaks_fails_no_request() {
    let Some(etcd) = Server::start() else { return };
    a_broken_registry_fails_no_request(&etcd);
}

#[test]
fn a_frozen_etcd_is_noticed_and_followed_again() {
    let Some(etcd) = Server::start() else { return };
    a_long_silence_is_made_up_for(&etcd, Duration::from_secs(6));
}

#[test]
fn bad_entries_in_etcd_are_named_once_and_harmless() {
    let Some(etcd) = Server::start() else { return };
    bad_entries_are_named_once_and_harmless(&etcd);
}

#[test]
fn values_that_are_too_long_to_be_read_at_once_are_read_in_parts() {
    let Some(etcd) = Server::start() else { return };
    let crowd = Crowd::of(1);
    (0..30).for_each(|number| etcd.write(&format!("huge-{number}"), &"x".repeat(1_000_000)));
    etcd.put(&Entry::of(&crowd, 0, 1));
    let gateway = gateway(&etcd.discovery());
    wait_for_nodes(&gateway, &[("node-0", 1)]);
    assert_eq!(told(&gateway)["unused"], 30);
}

#[test]
fn what_happened_while_etcd_was_away_is_found_though_it_forgot_the_changes() {
    let Some(etcd) = Server::start() else { return };
    let crowd = Crowd::of(2);
    (0..2).for_each(|number| etcd.put(&Entry::of(&crowd, number, 1)));
    let gateway = gateway(&etcd.discovery());
    wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", 1)]);
    let load = Load::gently_on(gateway.address());
    etcd.kill();
    wait_until("it is lost", || told(&gateway)["state"] == "down");
    etcd.restart();
    etcd.remove("node-0");
    (2..=20).for_each(|weight| etcd.put(&Entry::of(&crowd, 1, weight)));
    let range = call(&etcd, "/v3/kv/range", &format!(r#"{{"key": "{}"}}"#, key("node-1")));
    let range: serde_json::Value = serde_json::from_str(&range).expect("JSON");
    let compaction = format!(r#"{{"revision": {}, "physical": true}}"#, range["header"]["revision"]);
    call(&etcd, "/v3/kv/compaction", &compaction);
    wait_for_nodes(&gateway, &[("node-1", 20)]);
    load.stop();
}

#[test]
fn a_second_endpoint_serves_while_the_first_is_frozen() {
    let (Some(frozen), Some(etcd)) = (Server::start(), Server::start()) else { return };
    let crowd = Crowd::of(1);
    etcd.put(&Entry::of(&crowd, 0, 1));
    frozen.freeze();
    let endpoints = format!("endpoints = [\"{}\", \"{}\"]", frozen.url(), etcd.url());
    let gateway = gateway(&format!("provider = \"etcd\", {endpoints}, prefix = \"{PREFIX}\""));
    wait_for_nodes(&gateway, &[("node-0", 1)]);
}

#[test]
fn a_wrong_password_is_told_and_a_right_one_outlives_its_token() {
    let Some(etcd) = Server::start() else { return };
    let crowd = Crowd::of(2);
    etcd.put(&Entry::of(&crowd, 0, 1));
    etcd.want_password("right-one");
    let with = |password: &str| format!("{}, user = \"root\", password = \"{password}\"", etcd.discovery());
    is_refused(&with("wrong-one"), "authentication failed", "wrong-one");
    is_refused(&etcd.discovery(), "user name is empty", "right-one");

    let keys = with("right-one");
    let gateway = gateway(&keys);
    wait_for_nodes(&gateway, &[("node-0", 1)]);
    let (servers, runtime) = (servers_of(&keys), Runtime::new().expect("a runtime"));
    let client = runtime.block_on(Etcd::connect(servers.endpoint(0), &servers)).expect("it connects");
    let put = |number: usize| {
        let (key, value) = (format!("{PREFIX}node-{number}"), text(&crowd, number, 2));
        runtime.block_on(Registration::put(&client, key, &value, LONG))
    };
    drop(put(1).expect("it is put"));
    wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", 2)]);
    // Its tokens are in its memory.
    etcd.restart();
    wait_until("it is put with a new token", || put(0).is_ok());
    wait_for_nodes(&gateway, &[("node-0", 2), ("node-1", 2)]);
}

#[test]
fn etcd_is_spoken_to_over_tls_and_shown_a_certificate() {
    let certificates = Certificates::make();
    let Some(etcd) = Server::start_with_tls(&certificates) else { return };
    let crowd = Crowd::of(1);
    let ca = format!("ca = {:?}", certificates.authority());
    let own = format!("certificate = {:?}, key = {:?}", certificates.client(), certificates.client_key());
    is_refused(&etcd.discovery(), "certificate", "PRIVATE KEY");
    // Who shows no certificate hears of it after the handshake, if the connection lasts that long.
    is_refused(&format!("{}, tls = {{ {ca} }}", etcd.discovery()), &etcd.url(), "PRIVATE KEY");

    let keys = format!("{}, tls = {{ {ca}, {own} }}", etcd.discovery());
    let gateway = gateway(&keys);
    let servers = servers_of(&keys);
    Runtime::new().expect("a runtime").block_on(async {
        let client = Etcd::connect(servers.endpoint(0), &servers).await.expect("it connects");
        let put = Registration::put(&client, format!("{PREFIX}node-0"), &text(&crowd, 0, 1), LONG).await;
        let registration = put.expect("it is put");
        wait_for_nodes(&gateway, &[("node-0", 1)]);
        registration.change(&text(&crowd, 0, 4)).await.expect("it is changed");
        wait_for_nodes(&gateway, &[("node-0", 4)]);
        registration.leave().await.expect("it leaves");
    });
    // It was the last one: whether that is believed is another matter.
    wait_until("it is gone", || told(&gateway)["doubted"] == true);
}

#[test]
fn a_registration_in_etcd_lives_as_long_as_it_is_kept() {
    let Some(etcd) = Server::start() else { return };
    let crowd = Crowd::of(2);
    etcd.put(&Entry::of(&crowd, 0, 1));
    let gateway = gateway(&etcd.discovery());
    let servers = servers_of(&etcd.discovery());
    Runtime::new().expect("a runtime").block_on(async {
        let client = Etcd::connect(servers.endpoint(0), &servers).await.expect("it connects");
        let key = format!("{PREFIX}node-1");
        let put = Registration::put(&client, key, &text(&crowd, 1, 1), Duration::from_secs(2)).await;
        let registration = put.expect("it is put");
        wait_for_nodes(&gateway, &[("node-0", 1), ("node-1", 1)]);
        registration.keep().await.expect("it is kept");
        let begin = Instant::now();
        wait_until("nobody keeps it, and it is gone", || nodes(&gateway).len() == 1);
        assert!(begin.elapsed() > Duration::from_secs(1), "it was there for its time");
        let failed = registration.keep().await.expect_err("there is nothing to keep");
        assert!(failed.to_string().contains("lease not found"), "{failed}");
    });
}

/// What `discovery` says of etcd.
fn servers_of(keys: &str) -> Servers {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_configuration(folder.path(), &configuration(&format!("discovery = {{ {keys} }}")), &[]);
    let config = config::load(&path).expect("it is right");
    let pool = config.pools.into_values().next().expect("a pool");
    match pool.discovery.map(|discovery| discovery.provider) {
        Some(Provider::Etcd(etcd)) => Servers { endpoints: etcd.endpoints, login: etcd.login, tls: etcd.tls },
        other => panic!("{other:?} is not etcd"),
    }
}
