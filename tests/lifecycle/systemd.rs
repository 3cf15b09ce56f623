//! What a service manager hears of the gateway, and sockets that it opened: a test plays systemd.

use super::ALL;
use crate::support::{GatewayProcess, TestClient, TestNode, wait_until, write_configuration};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

/// Starts a gateway that tells this socket what it does.
fn told_to(notified: &mut Option<UnixDatagram>, text: &str, node: &TestNode) -> GatewayProcess {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_configuration(folder.path(), text, &[node]);
    let socket = folder.path().join("notify");
    *notified = Some(UnixDatagram::bind(&socket).expect("a socket"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_bascule"));
    program.args(["run", "--config"]).arg(path);
    program.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "200000");
    GatewayProcess::start(program, folder)
}

/// Reads messages until one has this line; answers that one.
fn hear(notified: &UnixDatagram, line: &str) -> String {
    notified.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout");
    let mut bytes = [0; 4096];
    loop {
        let length = notified.recv(&mut bytes).unwrap_or_else(|error| panic!("nobody said {line}: {error}"));
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.lines().any(|said| said.starts_with(line)) {
            return text;
        }
    }
}

#[test]
fn the_service_manager_hears_of_each_step() {
    let node = TestNode::answering("fine");
    let mut notified = None;
    let gateway = told_to(&mut notified, ALL, &node);
    let notified = notified.expect("it is bound");
    hear(&notified, "READY=1");
    hear(&notified, "WATCHDOG=1");
    gateway.signal(Signal::HUP);
    let reloading = hear(&notified, "RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    hear(&notified, "READY=1");
    gateway.rewrite_configuration("[route.all]\npool = \"mian\"\n", &[]);
    gateway.signal(Signal::HUP);
    hear(&notified, "RELOADING=1");
    let refused = hear(&notified, "READY=1");
    assert!(
        refused.contains("STATUS=the configuration is refused: ") && refused.contains("bascule.toml:"),
        "{refused}"
    );
    gateway.rewrite_configuration(ALL, &[&node]);
    gateway.upgrade();
    assert!(hear(&notified, "MAINPID=").contains(&format!("MAINPID={}\n", gateway.pid())));
    // The new one is watched, too.
    hear(&notified, "WATCHDOG=1");
    gateway.signal(Signal::TERM);
    hear(&notified, "STOPPING=1");
    gateway.wait_for_end();
}

/// Starts a gateway as systemd does with a socket unit: the socket is its descriptor 3.
fn activated(socket: &TcpListener, name: &str, text: &str, node: &TestNode) -> GatewayProcess {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write_configuration(folder.path(), text, &[node]);
    let passing = format!(
        "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES={name}; exec \"$0\" \"$@\""
    );
    let mut program = Command::new("/bin/sh");
    program.args(["-c", &passing, env!("CARGO_BIN_EXE_bascule"), "run", "--config"]).arg(path);
    let socket = OwnedFd::from(socket.try_clone().expect("a descriptor"));
    program.stdin(Stdio::from(socket));
    GatewayProcess::start(program, folder)
}

#[test]
fn a_socket_that_the_service_manager_opened_outlives_the_gateway() {
    let node = TestNode::answering("fine");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let two_workers = format!("[gateway]\nworkers = 2\n[listener.public]\naddress = \"127.0.0.1:1\"\n{ALL}");
    let by_address = two_workers.replace("127.0.0.1:1", &address.to_string());
    for (name, text) in [("public", &two_workers), ("bascule.socket", &by_address)] {
        // It waits from before there was a gateway.
        let mut early = TestClient::connect(address);
        early.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
        let mut gateway = activated(&socket, name, text, &node);
        assert_eq!(gateway.address(), address);
        assert_eq!(early.read_response().status, 200);
        assert_eq!(gateway.client().get("/").status, 200);
        gateway.upgrade();
        assert_eq!(gateway.client().get("/").status, 200);
        assert_eq!(gateway.exit_code(), Some(0));
        gateway.signal(Signal::TERM);
        gateway.wait_for_end();
    }
    // Nobody accepts, and nobody is refused.
    wait_until("a connection waits", || std::net::TcpStream::connect(address).is_ok());
}
