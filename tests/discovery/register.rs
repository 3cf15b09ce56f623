//! `bascule register`: a companion keeps a node in a registry.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal};

use super::*;

/// A companion that runs. It is killed when this is dropped.
struct Companion(Child);

impl Companion {
    /// Of the node `id` of the pool "main".
    fn start(to: &str, id: &str, node: &TestNode, more: &[&str]) -> Companion {
        Companion(command(to, id, node, more).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }

    /// Waits for its end; its exit code.
    fn ended(mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the companion ends", || {
            status = self.0.try_wait().expect("it is ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

fn command(to: &str, id: &str, node: &TestNode, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bascule"));
    command.args(["register", "--pool", "main", "--to", to, "--id", id, "--leave-wait", "200ms"]);
    if !more.contains(&"--ttl") {
        command.args(["--ttl", "1s"]);
    }
    command.args(["--address", &node.address().to_string()]).args(more);
    command
}

/// A gateway with a registry, the node "a" for good, and no second attempt: each failure shows.
fn gateway(a: &TestNode) -> (TestGateway, String) {
    let keys = "nodes = [{ id = \"a\", address = \"{node1}\" }]\ndiscovery = { provider = \"registry\", empty = \"0s\" }\n";
    let text = configuration(&format!("{keys}[registry]\naddress = \"127.0.0.1:0\""));
    let gateway = TestGateway::with(&text, &[a]);
    let to = format!("http://{}", gateway.registry_address());
    (gateway, to)
}

fn ids(gateway: &TestGateway) -> Vec<String> {
    nodes(gateway).into_iter().map(|(id, _)| id).collect()
}

fn health_of(node: &TestNode) -> [String; 4] {
    let url = format!("http://{}/healthz", node.address());
    ["--health".to_owned(), url, "--health-interval".to_owned(), "50ms".to_owned()]
}

#[test]
fn a_node_that_is_told_to_stop_is_taken_out_first_and_no_request_fails() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let (gateway, to) = gateway(&a);
    let load = Load::on(gateway.address());
    let health = health_of(&b);
    let companion = Companion::start(&to, "b", &b, &health.each_ref().map(String::as_str));
    wait_until("b serves", || ids(&gateway).len() == 2 && b.hits() > 50);
    companion.signal(Signal::TERM);
    assert_eq!(companion.ended(), Some(0));
    assert_eq!(ids(&gateway), ["a"]);
    b.stop();
    let before = load.answered();
    wait_until("a goes on alone", || load.answered() > before + 50);
    load.stop();
}

#[test]
fn a_node_is_in_the_registry_while_its_health_url_answers() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b").with_status(503));
    let (gateway, to) = gateway(&a);
    let health = health_of(&b);
    let _companion = Companion::start(&to, "b", &b, &health.each_ref().map(String::as_str));
    wait_until("it was asked a few times", || b.hits() > 5);
    assert_eq!(ids(&gateway), ["a"], "it never was well");
    b.set_status(204);
    wait_until("b is in", || ids(&gateway) == ["a", "b"]);
    b.set_status(500);
    wait_until("b is out", || ids(&gateway) == ["a"]);
    b.set_status(200);
    wait_until("b is in again", || ids(&gateway) == ["a", "b"]);
}

#[test]
fn a_node_that_loses_its_power_leaves_when_its_lease_ends() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let (gateway, to) = gateway(&a);
    let companion = Companion::start(&to, "b", &b, &[]);
    wait_until("b is in", || ids(&gateway) == ["a", "b"]);
    companion.signal(Signal::KILL);
    b.stop();
    let killed = Instant::now();
    wait_until("b is out", || ids(&gateway) == ["a"]);
    eprintln!("a node with a lease of 1 s was out {:?} after its power went", killed.elapsed());
}

#[test]
fn the_command_is_stopped_after_the_node_is_out_and_its_exit_code_is_passed_on() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let (gateway, to) = gateway(&a);
    let folder = tempfile::tempdir().unwrap();
    let [hung_up, stopped] = ["hung-up", "stopped"].map(|name| folder.path().join(name));
    let script = "trap 'touch \"$0\"' HUP; trap 'touch \"$1\"; exit 7' TERM; while :; do sleep 0.02; done";
    let [first, second] = [&hung_up, &stopped].map(|path| path.to_str().unwrap());
    let companion = Companion::start(&to, "b", &b, &["--", "sh", "-c", script, first, second]);
    wait_until("b is in", || ids(&gateway) == ["a", "b"]);
    wait_until("a signal reaches the command", || {
        companion.signal(Signal::HUP);
        hung_up.exists()
    });
    companion.signal(Signal::INT);
    wait_until("the command is told to stop", || {
        let was_in = ids(&gateway).len() == 2;
        assert!(!(stopped.exists() && was_in), "the command stopped while requests still came");
        stopped.exists()
    });
    assert_eq!(companion.ended(), Some(7));
}

#[test]
fn a_command_that_ends_takes_the_node_with_it() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let (gateway, to) = gateway(&a);
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let script = "while ! test -e \"$0\"; do sleep 0.02; done; exit 3";
    let companion =
        Companion::start(&to, "b", &b, &["--ttl", "1h", "--", "sh", "-c", script, end.to_str().unwrap()]);
    wait_until("b is in", || ids(&gateway) == ["a", "b"]);
    fs::write(&end, "").unwrap();
    assert_eq!(companion.ended(), Some(3));
    wait_until("b is out, long before its lease ends", || ids(&gateway) == ["a"]);
}

#[test]
fn a_second_signal_ends_a_command_that_does_not_listen() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let (gateway, to) = gateway(&a);
    let script = "trap '' TERM; while :; do sleep 0.02; done";
    let companion = Companion::start(&to, "b", &b, &["--", "sh", "-c", script]);
    wait_until("b is in", || ids(&gateway) == ["a", "b"]);
    companion.signal(Signal::TERM);
    wait_until("b is out", || ids(&gateway) == ["a"]);
    companion.signal(Signal::TERM);
    assert_eq!(companion.ended(), Some(137));
}

#[test]
fn a_gateway_that_is_gone_does_not_keep_a_node_from_another() {
    let (a, b) = (TestNode::answering("a"), TestNode::answering("b"));
    let nobody = TestNode::stopped();
    let (gateway, to) = gateway(&a);
    let both = format!("http://{},{to}", nobody.address());
    let _companion = Companion::start(&both, "b", &b, &[]);
    wait_until("b is in at the one that is there", || ids(&gateway) == ["a", "b"]);
}

#[test]
fn wrong_input_is_told_at_once() {
    let node = TestNode::answering("");
    let mut wrong = command("gateway:9902", "b", &node, &["--ttl", "10", "--health", "healthz"]);
    let Output { status, stderr, .. } = wrong.output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(2), "{said}");
    for words in ["--to: \"gateway:9902\" has no scheme", "consul://", "--ttl: ", "--health: "] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    let missing = command("http://127.0.0.1:1", "b", &node, &["--", "/nowhere/at-all"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot start /nowhere/at-all"));
}

/// A node comes into a real registry with all that it says of itself, serves, and leaves before its companion ends.
fn comes_and_leaves(to: &str, discovery: &str) {
    let keys = format!("discovery = {{ {discovery}, empty = \"0s\" }}");
    let gateway = TestGateway::with(&configuration(&keys), &[]);
    let b = TestNode::answering("b");
    let more = ["--weight", "3", "--zone", "east", "--tier", "1", "--label", "version=2"];
    let companion = Companion::start(to, "b", &b, &more);
    wait_until("b is in", || ids(&gateway) == ["b"]);
    let node = &pool(&gateway)["nodes"][0];
    assert_eq!((&node["weight"], &node["zone"], &node["tier"]), (&3.into(), &"east".into(), &1.into()));
    assert_eq!(node["labels"]["version"], "2");
    wait_until("it serves", || gateway.get("/").text() == "b");
    companion.signal(Signal::TERM);
    assert_eq!(companion.ended(), Some(0));
    wait_until("b is out", || ids(&gateway).is_empty());
}

#[test]
fn a_node_registers_with_consul_and_leaves_it() {
    let Some(consul) = test_servers::Consul::start() else { return };
    let keys = format!("provider = \"consul\", service = \"main\", address = \"{}\"", consul.url());
    comes_and_leaves(&consul.url().replace("http://", "consul://"), &keys);
}

#[test]
fn a_node_registers_with_etcd_and_leaves_it() {
    let Some(etcd) = test_servers::Etcd::start() else { return };
    let keys = format!("provider = \"etcd\", prefix = \"/bascule/main/\", endpoints = [\"{}\"]", etcd.url());
    comes_and_leaves(&etcd.url().replace("http://", "etcd://"), &keys);
}

#[test]
fn a_node_registers_with_zookeeper_and_leaves_it() {
    let Some(zookeeper) = test_servers::ZooKeeper::start() else { return };
    let address = zookeeper.address();
    let keys = format!("provider = \"zookeeper\", path = \"/bascule/main\", servers = [\"{address}\"]");
    comes_and_leaves(&format!("zookeeper://{address}"), &keys);
}

#[test]
fn a_registry_that_hangs_does_not_hold_up_the_end_of_a_node() {
    let Some(etcd) = test_servers::Etcd::start() else { return };
    let keys = format!("provider = \"etcd\", prefix = \"/bascule/main/\", endpoints = [\"{}\"]", etcd.url());
    let gateway = TestGateway::with(&configuration(&format!("discovery = {{ {keys} }}")), &[]);
    let b = TestNode::answering("b");
    let mut command = command(&etcd.url().replace("http://", "etcd://"), "b", &b, &["--ttl", "1h"]);
    let mut companion = Companion(command.stderr(Stdio::piped()).spawn().expect("it starts"));
    let mut stderr = companion.0.stderr.take().expect("it was piped");
    wait_until("b is in", || ids(&gateway) == ["b"]);
    etcd.freeze();
    companion.signal(Signal::TERM);
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("it says something");
    assert_eq!(companion.ended(), Some(0));
    assert!(said.contains("no answer within 2s of the end"), "{said}");
}

#[test]
fn who_cannot_be_taken_out_is_not_said_to_be() {
    let Some(etcd) = test_servers::Etcd::start() else { return };
    let b = TestNode::answering("b");
    let mut command = command(&etcd.url().replace("http://", "etcd://"), "b", &b, &[]);
    let mut companion = Companion(command.stderr(Stdio::piped()).spawn().expect("it starts"));
    let mut said = BufReader::new(companion.0.stderr.take().expect("it was piped")).lines();
    let mut hears =
        |what: &str| said.by_ref().find(|line| line.as_ref().is_ok_and(|line| line.contains(what)));
    assert!(hears("the node is registered").is_some());
    drop(etcd);
    assert!(hears("the node cannot be registered").is_some());
    companion.signal(Signal::TERM);
    assert!(hears("its lease has to end by itself").is_some());
    assert_eq!(companion.ended(), Some(0));
}
