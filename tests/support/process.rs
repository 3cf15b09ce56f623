//! The gateway as a process of its own, for what cannot be measured inside the test's: memory, and file descriptors.

use super::client::TestClient;
use super::gateway::{put_whole, write_configuration};
use super::node::TestNode;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// `bascule run` with a configuration that is written in the test. It is killed when this is dropped.
pub struct GatewayProcess {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

impl GatewayProcess {
    /// All requests go to these nodes, by the native round robin.
    pub fn before(nodes: &[&TestNode]) -> GatewayProcess {
        GatewayProcess::with_files("[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]", nodes, &[])
    }

    /// A configuration without the table [gateway], and files in the plugin folder.
    pub fn with_files(text: &str, nodes: &[&TestNode], files: &[(&str, &[u8])]) -> GatewayProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!("[gateway]\nworkers = 1\nlog = {{ format = \"json\" }}\n{text}");
        let path = write_configuration(folder.path(), &text, nodes);
        for (name, content) in files {
            put_whole(&folder.path().join("plugins").join(name), content);
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_bascule"))
            .args(["run", "--config"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let mut seen = Vec::new();
        let mut address = |of: &str| {
            lines.by_ref().find_map(|line| {
                let address = address_in(&line, of);
                seen.push(line);
                address
            })
        };
        let (admin, address) = (address("\"admin\""), address("public"));
        let (Some(admin), Some(address)) = (admin, address) else {
            let _ = child.kill();
            panic!("the gateway did not say where it listens: {}", seen.join("\n"));
        };
        std::thread::spawn(move || lines.for_each(drop)); // a full pipe would stop it
        GatewayProcess { child, address, admin, folder }
    }

    /// Puts a file into the plugin folder, whole.
    pub fn drop_plugin(&self, name: &str, content: &[u8]) {
        put_whole(&self.folder.path().join("plugins").join(name), content);
    }

    /// The gateway's tables and its nodes' live state.
    pub fn snapshot(&self) -> serde_json::Value {
        let response = TestClient::connect(self.admin).get_with("/snapshot", "Connection: close\r\n");
        serde_json::from_slice(&response.body.bytes).expect("/snapshot is JSON")
    }

    /// Files and sockets that it has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// A new client that is connected.
    pub fn client(&self) -> TestClient {
        TestClient::connect(self.address)
    }

    /// Bytes of memory that it has now (VmRSS) and that it had at most (VmHWM).
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let bytes = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a field");
            let number = line.split_whitespace().nth(1).expect("a number");
            number.parse::<u64>().expect("a number") * 1024
        };
        Memory { now: bytes("VmRSS:"), peak: bytes("VmHWM:") }
    }
}

/// What a process takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// The address in the log line that says where this listens.
fn address_in(line: &str, of: &str) -> Option<SocketAddr> {
    if !line.contains(of) {
        return None;
    }
    let (_, rest) = line.split_once("127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}
