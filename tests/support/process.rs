//! The gateway as a process of its own, for what cannot be had inside the test's: its memory and files, and signals.

use super::client::{Response, TestClient};
use super::gateway::{put_whole, write_configuration};
use super::node::TestNode;
use super::wait::wait_until;
use rustix::process::{Pid, Signal};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// `bascule run` with a configuration that is written in the test. It is killed when this is dropped.
pub struct GatewayProcess {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
    /// The processes that took over, in order.
    successors: Mutex<Vec<Pid>>,
}

impl GatewayProcess {
    /// All requests go to these nodes, by the native round robin.
    pub fn before(nodes: &[&TestNode]) -> GatewayProcess {
        GatewayProcess::with("[route.all]\npool = \"main\"\n[pool.main]\nnodes = [{nodes}]", nodes)
    }

    /// A configuration; without a table [gateway] there is one worker.
    pub fn with(text: &str, nodes: &[&TestNode]) -> GatewayProcess {
        GatewayProcess::with_files(text, nodes, &[])
    }

    /// The same, with files in the plugin folder.
    pub fn with_files(text: &str, nodes: &[&TestNode], files: &[(&str, &[u8])]) -> GatewayProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write_configuration(folder.path(), text, nodes);
        for (name, content) in files {
            put_whole(&folder.path().join("plugins").join(name), content);
        }
        let mut program = Command::new(env!("CARGO_BIN_EXE_bascule"));
        program.args(["run", "--config"]).arg(path);
        GatewayProcess::start(program, folder)
    }

    /// The same, started by a name in its own folder, which leads to the program as it is now: see [`Self::replace_program`].
    pub fn by_name(text: &str, nodes: &[&TestNode]) -> GatewayProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write_configuration(folder.path(), text, nodes);
        let name = folder.path().join("bascule");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bascule"), &name).expect("a link");
        let mut program = Command::new(name);
        program.args(["run", "--config"]).arg(path);
        GatewayProcess::start(program, folder)
    }

    /// Lets that name lead to a script of the shell.
    pub fn replace_program(&self, script: &str) {
        let beside = self.folder.path().join("script");
        fs::write(&beside, format!("#!/bin/sh\n{script}\n")).expect("the script is written");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o700)).expect("it may be run");
        fs::rename(beside, self.folder.path().join("bascule")).expect("it takes the place");
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration without a table [gateway]; it may have so many files and sockets open.
    pub fn with_descriptors(most: u32, text: &str, nodes: &[&TestNode]) -> GatewayProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write_configuration(folder.path(), text, nodes);
        let mut program = Command::new("sh");
        program.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string()]);
        program.args([env!("CARGO_BIN_EXE_bascule"), "run", "--config"]).arg(path);
        GatewayProcess::start(program, folder)
    }

    /// Starts a gateway and waits until it accepts. The folder has its configuration.
    pub fn start(mut program: Command, folder: TempDir) -> GatewayProcess {
        let child = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the gateway starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&log);
        // A full pipe would stop it.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        let mut found = (None, None);
        wait_until("the gateway says where it listens", || {
            let lines = log.lock().unwrap();
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the gateway ended with {status}: {}", lines.join("\n"));
            }
            let find = |of: &str| lines.iter().find_map(|line| address_in(line, of));
            found = (find("admin="), find("listener=public"));
            found.0.is_some() && found.1.is_some()
        });
        let (Some(admin), Some(address)) = found else { unreachable!("it was waited for") };
        GatewayProcess { child, address, admin, log, folder, successors: Mutex::default() }
    }

    /// The process that is the gateway now.
    pub fn pid(&self) -> Pid {
        self.successors.lock().unwrap().last().copied().unwrap_or(Pid::from_child(&self.child))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it runs");
    }

    /// Lets another process take over, and waits until it has.
    pub fn upgrade(&self) {
        self.signal(Signal::USR2);
        self.wait_for_successor();
    }

    /// Waits until another process is the gateway.
    pub fn wait_for_successor(&self) {
        let before = self.pid();
        wait_until("another process is the gateway", || {
            let pid = self.snapshot()["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32));
            let pid = pid.filter(|pid| *pid != before);
            self.successors.lock().unwrap().extend(pid);
            pid.is_some()
        });
    }

    /// Waits until a process that took over has ended.
    pub fn wait_for_end(&self) {
        let is_there =
            || fs::read(format!("/proc/{}/cmdline", self.pid())).is_ok_and(|line| !line.is_empty());
        wait_until("the gateway ends", || !is_there());
    }

    /// Waits until it ends by itself, and answers its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the gateway ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// The lines that it has logged with these words.
    pub fn logged(&self, words: &str) -> Vec<String> {
        let lines = self.log.lock().unwrap();
        lines.iter().filter(|line| line.contains(words)).cloned().collect()
    }

    /// Whether it has logged a line with these words.
    pub fn has_logged(&self, words: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(words))
    }

    /// Replaces the configuration file; the gateway notices by itself.
    pub fn rewrite_configuration(&self, text: &str, nodes: &[&TestNode]) {
        write_configuration(self.folder.path(), text, nodes);
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin API listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// One GET to the admin API.
    pub fn admin(&self, path: &str) -> Response {
        TestClient::connect(self.admin).get_with(path, "Connection: close\r\n")
    }

    /// Puts a file into the plugin folder, whole.
    pub fn drop_plugin(&self, name: &str, content: &[u8]) {
        put_whole(&self.folder.path().join("plugins").join(name), content);
    }

    /// The gateway's tables and its nodes' live state.
    pub fn snapshot(&self) -> serde_json::Value {
        serde_json::from_slice(&self.admin("/snapshot").body.bytes).expect("/snapshot is JSON")
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
        let folder = self.folder.path().to_string_lossy().into_owned();
        for pid in self.successors.get_mut().unwrap() {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&folder) {
                let _ = rustix::process::kill_process(*pid, Signal::KILL); // likewise
            }
        }
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
