//! A name server tells the nodes.

use super::*;
use crate::support::{Crowd, Mood, NameServer};
use crate::support::{Entry, Registry, a_hundred_nodes_come_change_and_leave, changes_serve_soon};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

const NAME: &str = "api.example.test";

/// The keys of a pool that asks these servers for [`NAME`] all the time.
fn discovery(servers: &[&NameServer], more: &str) -> String {
    let servers: Vec<_> = servers.iter().map(|server| format!("\"{}\"", server.address())).collect();
    let servers = servers.join(", ");
    format!(
        "discovery = {{ provider = \"dns\", name = \"{NAME}\", servers = [{servers}], min_ttl = \"20ms\", {more} }}"
    )
}

/// A service in a name server that tells of each node by a record of its own.
struct Service {
    server: NameServer,
    nodes: Mutex<BTreeMap<String, (SocketAddr, u32)>>,
}

impl Service {
    fn start() -> Service {
        Service { server: NameServer::start(), nodes: Mutex::default() }
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, (SocketAddr, u32)>)) {
        let mut nodes = self.nodes.lock().unwrap();
        change(&mut nodes);
        let host = |id: &String| format!("{id}.example.test");
        let records: Vec<_> = nodes
            .iter()
            .map(|(id, (address, weight))| (0, *weight as u16, address.port(), host(id)))
            .collect();
        let records: Vec<_> =
            records.iter().map(|(tier, weight, port, host)| (*tier, *weight, *port, host.as_str())).collect();
        self.server.services(NAME, &records);
    }
}

impl Registry for Service {
    fn discovery(&self) -> String {
        let address = self.server.address();
        format!(
            "provider = \"dns\", record = \"srv\", name = \"{NAME}\", servers = [\"{address}\"], min_ttl = \"20ms\""
        )
    }

    fn put(&self, node: &Entry) {
        self.server.addresses(&format!("{}.example.test", node.id), &[node.address.ip()]);
        self.change(|nodes| {
            nodes.insert(node.id.clone(), (node.address, node.weight));
        });
    }

    fn remove(&self, id: &str) {
        self.change(|nodes| {
            nodes.remove(id);
        });
    }
}

#[test]
fn a_hundred_services_come_change_and_leave_and_no_request_fails() {
    a_hundred_nodes_come_change_and_leave(&Service::start());
}

#[test]
fn a_change_serves_soon_after_the_time_to_live() {
    changes_serve_soon(&Service::start());
}

fn state(gateway: &TestGateway) -> String {
    pool(gateway)["discovery"]["state"].as_str().expect("a word").to_owned()
}

#[test]
fn addresses_come_and_leave_under_load_and_no_request_fails() {
    let crowd = Crowd::on_one_port(50);
    let ips: Vec<_> = (0..50).map(|number| crowd.address(number).ip()).collect();
    let server = NameServer::start();
    server.addresses(NAME, &ips[..1]);
    let port = crowd.address(0).port();
    let gateway = TestGateway::with(&configuration(&discovery(&[&server], &format!("port = {port}"))), &[]);
    let wait_for = |count: usize| wait_until("all are there", || nodes(&gateway).len() == count);
    wait_for(1);
    assert_eq!(nodes(&gateway), [(crowd.address(0).to_string(), 1)]);
    let load = Load::gently_on(gateway.address());
    for count in [10, 50, 3] {
        server.addresses(NAME, &ips[..count]);
        wait_for(count);
        let before = load.answered();
        wait_until("requests are answered", || load.answered() > before + 100);
    }
    load.stop();
}

#[test]
fn services_tell_ports_weights_and_tiers() {
    let crowd = Crowd::of(4);
    let server = NameServer::start();
    let port = |number: usize| crowd.address(number).port();
    for number in 0..4 {
        server.addresses(&format!("n{number}.example.test"), &[crowd.address(number).ip()]);
    }
    let (n0, n1, n2) = ("n0.example.test", "n1.example.test", "n2.example.test");
    server.services(NAME, &[(10, 5, port(0), n0), (10, 0, port(1), n1), (20, 1, port(2), n2)]);
    let gateway = TestGateway::with(&configuration(&discovery(&[&server], "record = \"srv\"")), &[]);
    let id = |number: usize| format!("n{number}.example.test:{}", port(number));
    let [id0, id1, id2] = [0, 1, 2].map(id);
    wait_for_nodes(&gateway, &[(&id0, 5), (&id1, 1), (&id2, 0)]);
    assert_eq!(pool(&gateway)["nodes"][2]["tier"], 1, "it is not needed, so it has no weight");
    let load = Load::gently_on(gateway.address());
    server.services(NAME, &[(10, 5, port(0), n0), (20, 9, port(2), n2), (10, 7, port(3), "n3.example.test")]);
    let id3 = id(3);
    wait_for_nodes(&gateway, &[(&id0, 5), (&id2, 0), (&id3, 7)]);
    server.services(NAME, &[(20, 9, port(2), n2)]);
    wait_for_nodes(&gateway, &[(&id2, 9)]);
    load.stop();
    // A target that moves is the same node.
    server.addresses(n2, &[crowd.address(3).ip()]);
    let moved = SocketAddr::new(crowd.address(3).ip(), port(2)).to_string();
    wait_until("it moved", || pool(&gateway)["nodes"][0]["address"] == moved);
    wait_for_nodes(&gateway, &[(&id2, 9)]);
    // A target that nobody knows is named, and the others stand.
    server.services(NAME, &[(1, 1, port(2), n2), (1, 1, 80, "lost.example.test"), (1, 1, 0, n2)]);
    wait_until("both are named", || pool(&gateway)["discovery"]["unused"] == 2);
    wait_for_nodes(&gateway, &[(&id2, 1)]);
    // The root says that there is no such service any more, and that is doubted.
    server.services(NAME, &[(0, 0, 0, ".")]);
    wait_until("it is doubted", || pool(&gateway)["discovery"]["doubted"] == true);
    assert_eq!(nodes(&gateway).len(), 1);
}

#[test]
fn a_name_server_in_trouble_takes_no_node_out() {
    let crowd = Crowd::on_one_port(2);
    let server = NameServer::start();
    let [first, second] = [0, 1].map(|number| crowd.address(number));
    server.addresses(NAME, &[first.ip()]);
    let port = format!("empty = \"0s\", port = {}", first.port());
    let gateway = TestGateway::with(&configuration(&discovery(&[&server], &port)), &[]);
    let first = first.to_string();
    wait_for_nodes(&gateway, &[(&first, 1)]);
    let load = Load::gently_on(gateway.address());
    for mood in [Mood::Failing, Mood::Silent, Mood::Garbled] {
        server.be(mood);
        wait_until(&format!("it is noticed that it is {mood:?}"), || state(&gateway) == "down");
        assert_eq!(nodes(&gateway), [(first.clone(), 1)], "{mood:?}");
        assert_eq!(gateway.metric("bascule_discovery_up", &[("pool", "main")]), 0.0);
        server.be(Mood::Well);
        wait_until("it is followed again", || state(&gateway) == "up");
    }
    server.forget(NAME);
    wait_until("it is noticed that the name is gone", || state(&gateway) == "down");
    let error = pool(&gateway)["discovery"]["error"]["text"].to_string();
    assert!(error.contains("there is no name"), "{error}");
    assert_eq!(nodes(&gateway), [(first, 1)]);
    server.addresses(NAME, &[second.ip()]);
    wait_for_nodes(&gateway, &[(&second.to_string(), 1)]);
    load.stop();
    // A name that is there and has no address is an answer.
    server.addresses(NAME, &[]);
    wait_for_nodes(&gateway, &[]);
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let crowd = Crowd::on_one_port(40);
    let server = NameServer::start();
    let ips: Vec<_> = (0..40).map(|number| crowd.address(number).ip()).collect();
    server.addresses(NAME, &ips);
    server.be(Mood::Truncating);
    let port = format!("port = {}", crowd.address(0).port());
    let gateway = TestGateway::with(&configuration(&discovery(&[&server], &port)), &[]);
    wait_until("all are there", || nodes(&gateway).len() == 40);
    assert!(server.asked_over_tcp() > 0);
}

#[test]
fn another_name_server_is_asked_if_one_is_silent() {
    let crowd = Crowd::on_one_port(1);
    let (silent, well) = (NameServer::start(), NameServer::start());
    silent.be(Mood::Silent);
    well.addresses(NAME, &[crowd.address(0).ip()]);
    let port = format!("port = {}", crowd.address(0).port());
    let gateway = TestGateway::with(&configuration(&discovery(&[&silent, &well], &port)), &[]);
    wait_until("it is there", || nodes(&gateway).len() == 1);
    assert_eq!(gateway.get("/").status, 200);
}
