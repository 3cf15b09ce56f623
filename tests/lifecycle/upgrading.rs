//! SIGUSR2: another process takes over on the same sockets, or this one goes on.

use super::ALL;
use crate::support::{GatewayProcess, Load, TestNode, wait_until, write_configuration};
use rustix::process::Signal;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Waits until an upgrade failed, and answers why.
fn failure(gateway: &GatewayProcess) -> String {
    let upgrade = || gateway.snapshot()["upgrade"].clone();
    wait_until("the upgrade fails", || upgrade()["failed"] == 1);
    wait_until("it is logged", || gateway.has_logged("no other process takes over, this one goes on"));
    upgrade()["error"]["text"].as_str().expect("it says why").to_owned()
}

#[test]
fn ten_upgrades_under_load_cost_no_request_and_refuse_no_connection() {
    let node = TestNode::answering("fine");
    let workers = |count: usize| format!("[gateway]\nworkers = {count}\n{ALL}");
    let mut gateway = GatewayProcess::with(&workers(2), &[&node]);
    let load = Load::on(gateway.address());
    for round in 0..10 {
        // More workers than sockets, and fewer.
        gateway.rewrite_configuration(&workers(1 + round % 3), &[&node]);
        let sofar = load.answered();
        gateway.upgrade();
        wait_until("the new one serves", || load.answered() > sofar + 50);
        if round == 0 {
            assert_eq!(gateway.exit_code(), Some(0));
        }
    }
    let answered = load.stop();
    assert!(answered > 500, "{answered}");
    gateway.signal(Signal::TERM);
    gateway.wait_for_end();
}

#[test]
fn the_old_process_ends_what_is_in_flight_and_its_connections_politely() {
    let node = TestNode::answering("late").with_delay(Duration::from_millis(1500));
    let mut gateway = GatewayProcess::with(ALL, &[&node]);
    let (mut busy, mut idle) = (gateway.client(), gateway.client());
    busy.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    wait_until("the node was asked", || node.hits() == 1);
    gateway.upgrade();
    // First the one that was idle: it has a second for its request.
    let answers = [idle.get("/"), busy.read_response()];
    for answer in &answers {
        assert_eq!((answer.text().as_str(), answer.header("connection")), ("late", Some("close")));
    }
    assert_eq!(gateway.exit_code(), Some(0));
    assert_eq!(gateway.client().get("/").header("connection"), None);
}

#[test]
fn a_program_that_fails_changes_nothing() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::by_name(ALL, &[&node]);
    let load = Load::on(gateway.address());
    let mut kept = gateway.client();
    kept.get("/");
    gateway.replace_program("exit 3");
    gateway.signal(Signal::USR2);
    let why = failure(&gateway);
    assert!(why.contains("ended before it was ready (exit status: 3)"), "{why}");
    assert_eq!(kept.get("/").header("connection"), None, "it does not drain");
    load.stop();
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::with(ALL, &[&node]);
    gateway.rewrite_configuration("[route.all]\npool = \"mian\"\n", &[]);
    gateway.signal(Signal::USR2);
    let why = failure(&gateway);
    assert!(why.contains("ended before it was ready (exit status: 2)"), "{why}");
    assert_eq!(gateway.client().get("/").status, 200);
    // And then it is right again.
    gateway.rewrite_configuration(ALL, &[&node]);
    gateway.upgrade();
    assert_eq!(gateway.client().get("/").status, 200);
}

#[test]
fn a_gateway_that_stops_takes_its_unready_successor_along() {
    let node = TestNode::answering("fine");
    let mut gateway = GatewayProcess::by_name(ALL, &[&node]);
    let pid_file = gateway.folder().join("pid");
    gateway.replace_program(&format!("echo $$ > {}; exec sleep 3600", pid_file.display()));
    gateway.signal(Signal::USR2);
    let pid = || fs::read_to_string(&pid_file).unwrap_or_default();
    wait_until("the other process runs", || !pid().is_empty());
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code(), Some(0));
    assert!(!fs::exists(format!("/proc/{}", pid().trim())).unwrap(), "it is gone");
}

#[test]
fn a_program_that_never_gets_ready_is_ended() {
    let node = TestNode::answering("fine");
    let text = format!("[gateway]\nworkers = 1\nupgrade_timeout = \"500ms\"\n{ALL}");
    let gateway = GatewayProcess::by_name(&text, &[&node]);
    let pid_file = gateway.folder().join("pid");
    gateway.replace_program(&format!("echo $$ > {}; exec sleep 3600", pid_file.display()));
    gateway.signal(Signal::USR2);
    let why = failure(&gateway);
    assert!(why.contains("was not ready within 500ms and was ended"), "{why}");
    // On a busy machine the shell may not have come so far.
    if let Ok(pid) = fs::read_to_string(pid_file) {
        assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap(), "it is gone");
    }
    assert_eq!(gateway.client().get("/").status, 200);
}

/// `bascule upgrade` for this gateway: its exit code, and what it says.
fn command(gateway: &GatewayProcess, text: &str, node: &TestNode) -> (Option<i32>, String) {
    let admin = format!("[admin]\naddress = \"{}\"\n{text}", gateway.admin_address());
    let folder = tempfile::tempdir().unwrap();
    let path = write_configuration(folder.path(), &admin, &[node]);
    let run =
        Command::new(env!("CARGO_BIN_EXE_bascule")).args(["upgrade", "--config"]).arg(path).output().unwrap();
    let said = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
    (run.status.code(), said)
}

#[test]
fn the_command_tells_what_came_of_it() {
    let node = TestNode::answering("fine");
    let gateway = GatewayProcess::by_name(ALL, &[&node]);
    let before = gateway.pid();
    let (code, said) = command(&gateway, ALL, &node);
    gateway.wait_for_successor();
    assert_eq!((code, said), (Some(0), format!("process {} took over from {before}\n", gateway.pid())));
    gateway.replace_program("exit 3");
    let (code, said) = command(&gateway, ALL, &node);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("process {} goes on: ", gateway.pid())), "{said}");
    assert!(said.contains("exit status: 3"), "{said}");
    // Another process is not told anything.
    let wrong = format!("[gateway]\npid_file = \"wrong.pid\"\n{ALL}");
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("wrong.pid");
    fs::write(&pid_file, "1\n").unwrap();
    let (code, said) = command(&gateway, &wrong.replace("wrong.pid", &pid_file.to_string_lossy()), &node);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("is process {}, not 1", gateway.pid())), "{said}");
}

#[test]
fn the_pid_file_names_the_process_that_serves_and_goes_with_the_last() {
    let node = TestNode::answering("fine");
    let text = format!("[gateway]\nworkers = 1\npid_file = \"bascule.pid\"\n{ALL}");
    let mut gateway = GatewayProcess::with(&text, &[&node]);
    let path = gateway.folder().join("bascule.pid");
    let named = || fs::read_to_string(&path).unwrap_or_default();
    wait_until("it is written", || named() == format!("{}\n", gateway.pid()));
    gateway.upgrade();
    wait_until("it is written anew", || named() == format!("{}\n", gateway.pid()));
    assert_eq!(gateway.exit_code(), Some(0));
    assert_eq!(named(), format!("{}\n", gateway.pid()), "the old one leaves it alone");
    gateway.signal(Signal::TERM);
    gateway.wait_for_end();
    assert!(!path.exists());
}
