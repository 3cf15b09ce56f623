//! SIGHUP, and what a reload changes of the process itself.

use super::ALL;
use crate::support::{GatewayProcess, TestNode, wait_until};
use rustix::process::Signal;

#[test]
fn a_hangup_is_no_end_but_a_look_and_says_what_came_of_it() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::with(ALL, &[&node]);
    gateway.signal(Signal::HUP);
    wait_until("it looks", || gateway.has_logged("told to look at the configuration now"));
    gateway.rewrite_configuration("[route.all]\npool = \"mian\"\n", &[]);
    gateway.signal(Signal::HUP);
    wait_until("it is refused", || {
        gateway.has_logged("the configuration is refused, the last good one stays")
    });
    let error = gateway.snapshot()["configuration"]["error"]["text"].as_str().map(str::to_owned);
    assert!(error.is_some_and(|error| error.contains("there is no pool \"mian\"")));
    assert_eq!(gateway.client().get("/").status, 200);
}

#[test]
fn the_log_changes_with_the_configuration() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::with(ALL, &[&node]);
    assert!(!gateway.has_logged("{\""), "it is for people");
    let json = "[gateway]\nworkers = 1\nlog = { format = \"json\", level = \"debug\" }\n";
    gateway.rewrite_configuration(&format!("{json}{ALL}"), &[&node]);
    wait_until("it is for machines", || {
        // Unknown hosts are worth a line at this level alone.
        gateway.client().send("GET / HTTP/1.1\r\n\r\n").read_response();
        gateway.has_logged("\"level\":\"DEBUG\"")
    });
}
