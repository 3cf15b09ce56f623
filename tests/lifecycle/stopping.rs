//! SIGTERM: no request fails that a client sent before it could know, and the exit code says how it went.

use super::ALL;
use crate::support::{GatewayProcess, Load, TestNode, wait_until};
use rustix::process::Signal;
use std::time::Duration;

fn is_draining(gateway: &GatewayProcess) -> bool {
    gateway.admin("/readyz").status == 503
}

#[test]
fn clients_under_load_lose_no_request_when_it_stops() {
    let node = TestNode::answering("fine");
    let two = format!("[gateway]\nworkers = 2\n{ALL}");
    let mut gateway = GatewayProcess::with(&two, &[&node]);
    let load = Load::until_refused(gateway.address());
    wait_until("it serves", || load.answered() > 200);
    gateway.signal(Signal::TERM);
    assert!(load.ended() > 200);
    assert_eq!(gateway.exit_code(), Some(0));
}

#[test]
fn a_request_that_comes_just_when_it_stops_is_answered_and_is_the_last() {
    let node = TestNode::answering("fine");
    let mut gateway = GatewayProcess::with(ALL, &[&node]);
    let (mut kept, mut fresh, mut silent) = (gateway.client(), gateway.client(), gateway.client());
    assert_eq!(kept.get("/").header("connection"), None);
    gateway.signal(Signal::TERM);
    wait_until("it stops", || is_draining(&gateway));
    for client in [&mut kept, &mut fresh] {
        let response = client.get("/");
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        client.expect_close();
    }
    silent.expect_close();
    assert_eq!(gateway.exit_code(), Some(0));
}

#[test]
fn what_is_in_flight_ends_within_the_drain_timeout() {
    let slow = TestNode::answering("late").with_delay(Duration::from_millis(1500));
    let mut gateway = GatewayProcess::with(ALL, &[&slow]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    wait_until("the node was asked", || slow.hits() == 1);
    gateway.signal(Signal::TERM);
    let response = client.read_response();
    assert_eq!((response.text().as_str(), response.header("connection")), ("late", Some("close")));
    assert_eq!(gateway.exit_code(), Some(0));
}

#[test]
fn what_takes_longer_is_cut_off_and_said() {
    let never = TestNode::answering("never").with_delay(Duration::from_secs(3600));
    let mut gateway =
        GatewayProcess::with(&format!("[gateway]\nworkers = 1\ndrain_timeout = \"200ms\"\n{ALL}"), &[&never]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    wait_until("the node was asked", || never.hits() == 1);
    gateway.signal(Signal::TERM);
    client.expect_close();
    assert_eq!(gateway.exit_code(), Some(0));
    wait_until("it is logged", || gateway.has_logged("the drain timeout is over"));
}

#[test]
fn load_balancers_may_notice_before_it_stops() {
    let node = TestNode::answering("fine");
    let text = format!("[gateway]\nworkers = 1\nshutdown_delay = \"1h\"\n{ALL}");
    let mut gateway = GatewayProcess::with(&text, &[&node]);
    gateway.signal(Signal::TERM);
    wait_until("it says so", || is_draining(&gateway));
    let response = gateway.client().get("/");
    assert_eq!((response.status, response.header("connection")), (200, None), "it serves as before");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code(), Some(1));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let never = TestNode::answering("never").with_delay(Duration::from_secs(3600));
    let mut gateway = GatewayProcess::with(ALL, &[&never]);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    wait_until("the node was asked", || never.hits() == 1);
    gateway.signal(Signal::TERM);
    wait_until("it stops", || is_draining(&gateway));
    gateway.signal(Signal::TERM);
    client.expect_close();
    assert_eq!(gateway.exit_code(), Some(1));
}
