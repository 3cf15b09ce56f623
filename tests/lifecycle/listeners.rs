//! Listeners that come, move and go while requests run.

use super::ALL;
use crate::support::{Load, TestClient, TestGateway, TestNode, wait_until};

/// A configuration whose only route names the listeners.
fn with_listeners(listeners: &[(&str, &str)]) -> String {
    let names: Vec<_> = listeners.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let tables =
        listeners.iter().map(|(name, address)| format!("[listener.{name}]\naddress = \"{address}\"\n"));
    let all = ALL.replacen("[route.all]", &format!("[route.all]\nlisteners = [{}]", names.join(", ")), 1);
    tables.collect::<String>() + &all
}

const PUBLIC: (&str, &str) = ("public", "127.0.0.1:0");

#[test]
fn a_listener_that_comes_and_goes_costs_no_request() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::with(&with_listeners(&[PUBLIC]), &[&node]);
    let others = Load::on(gateway.address());
    for _ in 0..3 {
        gateway.rewrite_configuration(&with_listeners(&[PUBLIC, ("more", "127.0.0.1:0")]), &[&node]);
        wait_until("the new listener is there", || gateway.has_listener("more"));
        let address = gateway.listener("more");
        let load = Load::until_refused(address);
        wait_until("it serves", || load.answered() > 50);
        gateway.rewrite_configuration(&with_listeners(&[PUBLIC]), &[&node]);
        assert!(load.ended() > 50);
        assert!(!gateway.has_listener("more"));
    }
    assert!(others.stop() > 100);
}

#[test]
fn a_listener_that_moves_ends_the_connections_of_its_old_place_politely() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::with(&with_listeners(&[PUBLIC]), &[&node]);
    let before = gateway.address();
    let load = Load::until_refused(before);
    let mut idle = TestClient::connect(before);
    idle.get("/");
    let mut silent = TestClient::connect(before);
    wait_until("it serves", || load.answered() > 50);
    gateway.rewrite_configuration(&with_listeners(&[("public", "127.0.0.2:0")]), &[&node]);
    wait_until("it moved", || gateway.address() != before);
    // What was open there is still served, and once: it closes then.
    let last = idle.get("/");
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    idle.expect_close();
    silent.expect_close();
    assert!(load.ended() > 50);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn what_a_gone_listener_still_does_after_the_drain_timeout_is_cut_off() {
    let endless = TestNode::scripted(|node| {
        if node.read_request().is_some() {
            node.send("HTTP/1.1 200 OK\r\n\r\n");
            while node.send("x") {
                node.trickle("more");
            }
        }
    });
    let short = |listeners: &[(&str, &str)]| {
        "[gateway]\nworkers = 1\ndrain_timeout = \"300ms\"\n".to_owned() + &with_listeners(listeners)
    };
    let gateway = TestGateway::with(&short(&[PUBLIC, ("more", "127.0.0.1:0")]), &[&endless]);
    let start = |address| {
        let mut client = TestClient::connect(address);
        client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n").read_head();
        client
    };
    let (mut cut, mut kept) = (start(gateway.listener("more")), start(gateway.address()));
    gateway.rewrite_configuration(&short(&[PUBLIC]), &[&endless]);
    assert!(!cut.read_to_end().is_empty());
    assert!(!gateway.has_listener("more"));
    assert_eq!(kept.read_bytes(1000).len(), 1000, "the other one goes on");
}

#[test]
fn a_listener_that_only_changes_its_name_keeps_its_connections() {
    let node = TestNode::answering("fine");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let gateway = TestGateway::with(&with_listeners(&[("public", &free)]), &[&node]);
    let load = Load::on(gateway.address());
    gateway.rewrite_configuration(&with_listeners(&[("edge", &free)]), &[&node]);
    wait_until("it has its new name", || gateway.has_listener("edge"));
    let sofar = load.answered();
    wait_until("it serves on", || load.answered() > sofar + 50);
    load.stop();
}

#[test]
fn an_address_that_is_taken_refuses_the_whole_configuration() {
    let node = TestNode::answering("fine");
    let gateway = TestGateway::with(ALL, &[&node]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let both = with_listeners(&[PUBLIC, ("first", "127.0.0.1:0"), ("second", &address)]);
    gateway.rewrite_configuration(&both, &[&node]);
    let error = || gateway.snapshot()["configuration"]["error"]["text"].as_str().map(str::to_owned);
    wait_until("it is refused", || error().is_some());
    let error = error().expect("it is there");
    assert!(error.contains(&format!("the listener second cannot listen on {address}")), "{error}");
    assert!(error.contains("ss -ltnp"), "{error}");
    assert!(!gateway.has_listener("first"));
    assert_eq!(gateway.get("/").status, 200);
    drop(taken);
    // The same again is tried when a file changes.
    gateway.rewrite_configuration(&(both + "# again"), &[&node]);
    wait_until("it is right now", || gateway.has_listener("second"));
    assert_eq!(TestClient::connect(gateway.listener("second")).get("/").status, 200);
}
