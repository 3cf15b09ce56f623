//! What a pool's registry has to stand, whichever it is: a provider's test names its registry and plays these scenes.

use super::crowd::Crowd;
use super::gateway::TestGateway;
use super::load::Load;
use super::wait::wait_until;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Instant;
use test_servers::Server;

/// A node, as it is told to a registry.
pub struct Entry {
    pub id: String,
    pub address: SocketAddr,
    pub weight: u32,
}

impl Entry {
    /// The node of a crowd with this number.
    pub fn of(crowd: &Crowd, number: usize, weight: u32) -> Entry {
        Entry { id: format!("node-{number}"), address: crowd.address(number), weight }
    }

    /// In the schema of etcd, ZooKeeper and the gateway's own registry.
    pub fn json(&self) -> Value {
        json!({ "address": self.address.to_string(), "weight": self.weight })
    }
}

/// A real registry, and how a node gets into it.
pub trait Registry {
    /// The keys of `[pool.NAME.discovery]` that lead there, in one line: `provider = "…", …`.
    fn discovery(&self) -> String;
    /// Tells it of a node, or of a change of one.
    fn put(&self, node: &Entry);
    /// Takes a node out.
    fn remove(&self, id: &str);
    /// What is broken: the scene about that is for registries that are processes.
    fn server(&self) -> &Server {
        panic!("this registry is no process that could be killed")
    }
}

/// A gateway that finds the nodes of its only pool, "main", there. An answer without nodes is doubted for longer than any
/// test takes.
fn gateway_before(registry: &dyn Registry) -> TestGateway {
    let keys = registry.discovery();
    TestGateway::with(
        &format!("[route.all]\npool = \"main\"\n[pool.main]\ndiscovery = {{ empty = \"10m\", {keys} }}"),
        &[],
    )
}

/// What /snapshot tells of a pool.
fn found(gateway: &TestGateway, pool: &str) -> Value {
    let snapshot = gateway.snapshot();
    let pools = snapshot["pools"].as_array().expect("a list");
    pools.iter().find(|row| row["name"] == pool).expect("a pool of this name").clone()
}

/// Waits until a pool has exactly so many nodes, that all may be picked, each with this weight.
fn wait_for_nodes(gateway: &TestGateway, pool: &str, count: usize, weight: u32) {
    wait_until(&format!("{pool} has {count} nodes with the weight {weight}"), || {
        let pool = found(gateway, pool);
        let nodes = pool["nodes"].as_array().expect("a list");
        nodes.len() == count && nodes.iter().all(|node| node["candidate"] == true && node["weight"] == weight)
    });
}

/// A hundred nodes come one by one, change their weight and leave while requests are on their way, and none fails.
pub fn a_hundred_nodes_come_change_and_leave(registry: &dyn Registry) {
    let crowd = Crowd::of(100);
    let put = |number, weight| registry.put(&Entry::of(&crowd, number, weight));
    put(0, 1);
    let gateway = gateway_before(registry);
    wait_for_nodes(&gateway, "main", 1, 1);
    let load = Load::gently_on(gateway.address());
    (1..100).for_each(|number| put(number, 1));
    wait_for_nodes(&gateway, "main", 100, 1);
    let answers: std::collections::HashSet<_> = (0..100).map(|_| gateway.get("/").text()).collect();
    assert!(answers.len() > 50, "only {} of 100 nodes serve", answers.len());
    (0..100).for_each(|number| put(number, 3));
    wait_for_nodes(&gateway, "main", 100, 3);
    (1..100).for_each(|number| registry.remove(&format!("node-{number}")));
    wait_for_nodes(&gateway, "main", 1, 3);
    assert_eq!(gateway.get("/").text(), "0");
    assert!(load.stop() > 0, "requests were answered meanwhile, and none failed");
}

/// Prints how long it takes until a change is seen by requests: a heavy node comes, and leaves. It decides nothing: other
/// work on the machine counts in.
#[allow(clippy::print_stdout, reason = "whoever wants to know it runs the test with --nocapture")]
pub fn changes_serve_soon(registry: &dyn Registry) {
    let crowd = Crowd::of(2);
    registry.put(&Entry::of(&crowd, 0, 1));
    let gateway = gateway_before(registry);
    wait_for_nodes(&gateway, "main", 1, 1);
    let mut client = gateway.client();
    let mut times = Vec::new();
    let mut until_served_by = |number: &str| {
        let start = Instant::now();
        wait_until("the change serves", || client.get("/").text() == number);
        times.push(start.elapsed());
    };
    for _ in 0..20 {
        registry.put(&Entry::of(&crowd, 1, 1000));
        until_served_by("1");
        registry.remove("node-1");
        until_served_by("0");
    }
    times.sort_unstable();
    let [median, last] = [times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1e3);
    println!("a change serves after {median:.0} ms (median of {}; at most {last:.0} ms)", times.len());
}

/// The server is killed, stopped in its tracks and restarted empty while requests are on their way, and none fails; each
/// time the pool follows it again by itself.
pub fn a_broken_registry_fails_no_request(registry: &dyn Registry) {
    let crowd = Crowd::of(8);
    let put = |numbers: std::ops::Range<usize>| {
        numbers.for_each(|number| registry.put(&Entry::of(&crowd, number, 1)));
    };
    put(0..5);
    let gateway = gateway_before(registry);
    wait_for_nodes(&gateway, "main", 5, 1);
    let load = Load::gently_on(gateway.address());
    let state = || found(&gateway, "main")["discovery"]["state"].clone();
    let nodes_stay = |count: usize| {
        let before = load.answered();
        wait_until("requests are answered meanwhile", || load.answered() > before + 200);
        wait_for_nodes(&gateway, "main", count, 1);
    };

    registry.server().kill();
    wait_until("the loss is noticed", || state() == "down");
    nodes_stay(5);
    registry.server().restart();
    put(0..6);
    wait_for_nodes(&gateway, "main", 6, 1);

    registry.server().freeze();
    nodes_stay(6);
    registry.server().thaw();
    put(0..7);
    wait_for_nodes(&gateway, "main", 7, 1);

    registry.server().kill();
    wait_until("the loss is noticed", || state() == "down");
    registry.server().restart_empty();
    wait_until("the empty answer is there", || found(&gateway, "main")["discovery"]["doubted"] == true);
    nodes_stay(7);
    put(0..8);
    wait_for_nodes(&gateway, "main", 8, 1);
    assert!(load.stop() > 0, "requests were answered all the time, and none failed");
}
