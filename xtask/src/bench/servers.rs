//! The servers of a benchmark: nodes (nginx), and the proxies in front of them, each with one worker on one core.
//!
//! Their configuration is generated into a temporary folder, on free ports; everything ends with the benchmark.

use super::configuration::{self, Front, Setup};
use super::process;
use super::tls::Certificate;
use crate::{client, plugins, tools};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Proxies run here; the load and the nodes on `LOAD_CORE`.
const PROXY_CORE: &str = "0";
pub(super) const LOAD_CORE: &str = "1";
/// The most client connections that a scenario holds.
pub(crate) const MOST_CONNECTIONS: u64 = 10_000;

/// What can be measured.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Proxy {
    Nginx,
    Haproxy,
    /// least-connections in wasm and one header-rewrite filter.
    Bascule,
    /// No plugin: the native round robin.
    BasculeNative,
}

impl Proxy {
    /// Its name in the tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Proxy::Nginx => "nginx",
            Proxy::Haproxy => "haproxy",
            Proxy::Bascule => "bascule (wasm least-connections + header-rewrite)",
            Proxy::BasculeNative => "bascule (native only)",
        }
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Where bascule's admin API listens.
    pub(crate) admin: u16,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether its process is gone.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.has_ended() {
            return; // its number may be another's by now
        }
        // SIGTERM, not Child::kill: nginx's master has to end its worker.
        tools::signal(self.child.id(), "TERM");
        let ended = tools::poll(Duration::from_secs(5), || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// The temporary folder and the running nodes.
pub(crate) struct Ground {
    // Dropped in this order: the nodes end before their folder goes.
    _nodes: Server,
    nodes: [u16; 2],
    /// The same behind TLS.
    tls_nodes: [u16; 2],
    /// What proxies and nodes show under TLS.
    pub(crate) certificate: Certificate,
    /// What is measured.
    pub(crate) gateway: PathBuf,
    /// How many client connections a proxy may hold, at most `MOST_CONNECTIONS`: the limit of open files rules.
    pub(crate) connections: u64,
    folder: tempfile::TempDir,
}

impl Ground {
    /// Starts the nodes.
    ///
    /// # Errors
    /// When nginx does not start.
    pub(crate) fn prepare(gateway: PathBuf) -> Result<Ground> {
        // What a proxy, or this process, has open beside the clients' connections: generous.
        const BESIDE: u64 = 1_000;
        // bascule keeps as many for connections to nodes.
        let files = process::raise_open_files(2 * MOST_CONNECTIONS + BESIDE)?;
        let connections = MOST_CONNECTIONS.min(files.saturating_sub(BESIDE) / 2);
        let folder = tempfile::Builder::new().prefix("bascule-bench-").tempdir()?;
        // nginx's worker is another user when root starts it.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(folder.path().join("b"), vec![b'x'; 100_000])?;
        std::fs::create_dir(folder.path().join("no-plugins"))?;
        let certificate = Certificate::make(folder.path())?;
        let [first, second, third, fourth] = free_ports()?;
        let (nodes, tls_nodes) = ([first, second], [third, fourth]);
        let text = configuration::nginx::nodes(&folder.path().join("nodes"), nodes, tls_nodes, folder.path());
        let command = nginx(folder.path(), "nodes", &text)?;
        let running = start(folder.path(), "nodes", Some(LOAD_CORE), nodes, &command)?;
        Ok(Ground { _nodes: running, nodes, tls_nodes, certificate, gateway, connections, folder })
    }

    /// Starts a proxy in front of the nodes.
    ///
    /// # Errors
    /// When it does not start; its log is shown.
    pub(crate) fn start(&self, proxy: Proxy, front: Front) -> Result<Server> {
        let folder = self.folder.path();
        let ports = free_ports()?;
        let setup = self.setup(ports, front);
        let (name, command) = match proxy {
            Proxy::Nginx => {
                let stream = stream_module().unwrap_or_default();
                let text = configuration::nginx::proxy(&folder.join("nginx"), &setup, &stream);
                ("nginx", nginx(folder, "nginx", &text)?)
            }
            Proxy::Haproxy => {
                let file = write(folder, "haproxy.cfg", &configuration::haproxy::proxy(&setup))?;
                ("haproxy", vec![program("haproxy"), "-db".into(), "-f".into(), file])
            }
            Proxy::Bascule => {
                let text = configuration::bascule::with_plugins(&setup, &plugins::folder());
                ("bascule", self.bascule("bascule", &text)?)
            }
            Proxy::BasculeNative => {
                let text = configuration::bascule::native(&setup, &folder.join("no-plugins"));
                ("bascule-native", self.bascule("bascule-native", &text)?)
            }
        };
        start(folder, name, Some(PROXY_CORE), ports, &command)
    }

    /// Starts bascule without plugins under a program that watches it, whose command this is; on no core of its own.
    ///
    /// # Errors
    /// When it does not start; its log is shown.
    pub(crate) fn native_under(&self, watcher: &[String]) -> Result<Server> {
        let ports = free_ports()?;
        let folder = self.folder.path();
        let text =
            configuration::bascule::native(&self.setup(ports, Front::Http), &folder.join("no-plugins"));
        let command = [watcher, &self.bascule("bascule-under", &text)?].concat();
        start(folder, "bascule-under", None, ports, &command)
    }

    fn setup(&self, [port, admin]: [u16; 2], front: Front) -> Setup<'_> {
        let nodes = if front == Front::Tcp { self.tls_nodes } else { self.nodes };
        let certificate = self.folder.path();
        Setup { port, admin, front, nodes, certificate, connections: self.connections }
    }

    /// Starts bascule in front of the nodes with plugins from a folder; the rest as [`configuration::bascule::with`] has it.
    ///
    /// # Errors
    /// When it does not start; its log is shown.
    pub(crate) fn bascule_with(
        &self,
        plugins: &Path,
        uses: &str,
        policy: &str,
        filters: &str,
    ) -> Result<Server> {
        let [port, admin] = free_ports()?;
        let setup = self.setup([port, admin], Front::Http);
        let text = configuration::bascule::with(&setup, plugins, uses, policy, filters);
        let command = self.bascule("bascule-with", &text)?;
        let server = start(self.folder.path(), "bascule-with", Some(PROXY_CORE), [port, admin], &command)?;
        // Its sockets are bound before its plugins are compiled.
        let ready =
            || client::get(admin, "/readyz", &[]).is_ok_and(|answer| answer.status == 200).then_some(());
        tools::poll(Duration::from_secs(15), ready).context("the gateway does not become ready")?;
        Ok(server)
    }

    fn bascule(&self, name: &str, text: &str) -> Result<Vec<String>> {
        let file = write(self.folder.path(), &format!("{name}.toml"), text)?;
        Ok(vec![self.gateway.display().to_string(), "run".into(), "--config".into(), file])
    }
}

/// Writes nginx's configuration; answers its command.
fn nginx(folder: &Path, name: &str, text: &str) -> Result<Vec<String>> {
    Ok(vec![program("nginx"), "-c".into(), write(folder, &format!("{name}.conf"), text)?])
}

/// What lets nginx pass TCP through, as [`configuration::nginx::stream`] has it; nothing if it cannot.
pub(crate) fn stream_module() -> Option<String> {
    let output = Command::new(tools::find("nginx")?).arg("-V").output().ok()?;
    configuration::nginx::stream(&String::from_utf8_lossy(&output.stderr))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn program(name: &str) -> String {
    tools::find(name).unwrap_or_else(|| name.into()).display().to_string()
}

/// Starts a server, on one core if it is named, and waits until it listens.
///
/// # Errors
/// When it does not; its log is shown.
pub(crate) fn start(
    folder: &Path,
    name: &str,
    core: Option<&str>,
    [port, admin]: [u16; 2],
    command: &[String],
) -> Result<Server> {
    let log = folder.join(format!("{name}.log"));
    let file = File::create(&log)?;
    let words = core.map_or_else(Vec::new, |core| ["taskset", "-c", core].map(str::to_owned).to_vec());
    let words = [&words, command].concat();
    let (program, arguments) = words.split_first().context("a server has a command")?;
    let mut started = Command::new(program);
    started.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let child = started.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut server = Server { child, port, admin };
    let listens = tools::poll(Duration::from_secs(15), || match server.child.try_wait() {
        Ok(Some(_)) => Some(false),
        _ => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(true),
    });
    if listens == Some(true) {
        return Ok(server);
    }
    bail!("{name} does not listen on port {port}:\n{}", std::fs::read_to_string(&log).unwrap_or_default())
}

/// Ports that nothing listens on now.
///
/// # Errors
/// When no port is free.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    // All are held until the last is found, so that none comes twice.
    let mut held = Vec::with_capacity(COUNT);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// What nginx and haproxy say of themselves.
pub(crate) fn versions() -> String {
    let there = ["nginx", "haproxy"].into_iter().filter(|name| tools::find(name).is_some());
    there.map(version).collect::<Vec<_>>().join(", ")
}

/// The name of one of them, with its version as far as it says one.
pub(crate) fn version(name: &str) -> String {
    let first = || {
        let output = Command::new(tools::find(name)?).arg("-v").output().ok()?;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).ok()?;
        let word = text
            .split_whitespace()
            .find(|word| word.trim_start_matches("nginx/").starts_with(char::is_numeric))?;
        Some(word.trim_start_matches("nginx/").to_owned())
    };
    first().map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
}
