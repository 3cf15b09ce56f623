//! A proxy that runs, and what its operator does with it: reload, drain a node, replace the program.

use super::contender::{Contender, Maker};
use super::texts::{self, Setup};
use crate::bench::process;
use crate::bench::servers::{self, Server};
use crate::{client, plugins, tools};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a step of an operator may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy; it ends when this is dropped.
pub(super) struct Running {
    contender: Contender,
    folder: PathBuf,
    setup: Setup,
    server: Server,
    /// The process that serves: another than the server's own once it was replaced.
    pid: u32,
}

impl Running {
    /// Writes the configuration, starts the proxy and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become so; its log is shown.
    pub(super) fn start(
        contender: Contender,
        folder: &Path,
        gateway: &Path,
        setup: Setup,
    ) -> Result<Running> {
        std::fs::create_dir_all(folder)?;
        let configuration = write(contender, folder, &setup)?.display().to_string();
        let program = |name: &str| tools::find(name).unwrap_or_else(|| name.into()).display().to_string();
        let command = match contender.maker() {
            Maker::Bascule => {
                vec![gateway.display().to_string(), "run".into(), "--config".into(), configuration]
            }
            Maker::Nginx => vec![program("nginx"), "-c".into(), configuration],
            Maker::Haproxy => {
                vec![program("haproxy"), "-W".into(), "-db".into(), "-f".into(), configuration]
            }
        };
        let server = servers::start(folder, "proxy", None, [setup.port, setup.admin], &command)?;
        let pid = server.pid();
        let running = Running { contender, folder: folder.to_owned(), setup, server, pid };
        if contender.maker() == Maker::Bascule {
            running.wait_until_ready()?;
        }
        Ok(running)
    }

    pub(super) fn port(&self) -> u16 {
        self.setup.port
    }

    /// A configuration that differs a little takes over.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn reload(&mut self) -> Result<()> {
        self.setup.edition += 1;
        write(self.contender, &self.folder, &self.setup)?;
        match self.contender.maker() {
            Maker::Bascule => {} // it watches its file
            Maker::Nginx => tools::signal(self.pid, "HUP"),
            Maker::Haproxy => tools::signal(self.pid, "USR2"),
        }
        Ok(())
    }

    /// From the next reload on these nodes serve: the number of each, and its port.
    pub(super) fn set_nodes(&mut self, nodes: Vec<(usize, u16)>) {
        self.setup.nodes = nodes;
    }

    /// The node gets no new requests.
    ///
    /// # Errors
    /// When the proxy does not take the order.
    pub(super) fn drain(&mut self, number: usize) -> Result<()> {
        match self.contender.maker() {
            Maker::Bascule => self.post(&format!("/pools/bench/nodes/n{number}/drain?timeout=30s")),
            Maker::Nginx => {
                self.setup.drained = Some(number);
                self.reload()
            }
            Maker::Haproxy => self.order(&format!("set server nodes/n{number} state drain\n")),
        }
    }

    /// The node gets requests again.
    ///
    /// # Errors
    /// When the proxy does not take the order.
    pub(super) fn undrain(&mut self, number: usize) -> Result<()> {
        match self.contender.maker() {
            Maker::Bascule => self.post(&format!("/pools/bench/nodes/n{number}/undrain")),
            Maker::Nginx => {
                self.setup.drained = None;
                self.reload()
            }
            Maker::Haproxy => self.order(&format!("set server nodes/n{number} state ready\n")),
        }
    }

    /// A new process of the program takes the place of the running one.
    ///
    /// # Errors
    /// When it does not within half a minute.
    pub(super) fn replace(&mut self) -> Result<()> {
        let old = self.pid;
        tools::signal(old, "USR2");
        if self.contender.maker() == Maker::Haproxy {
            return Ok(()); // the master executes itself anew, and keeps its number
        }
        // The gateway's only child is who shall take over: plugins run inside of the process.
        let successor = || process::children(old).first().copied();
        self.pid = tools::poll(PATIENCE, successor).context("no new process was started")?;
        let gone = tools::poll(PATIENCE, || self.has_ended(old).then_some(()));
        gone.with_context(|| format!("the old process {old} does not end"))
    }

    fn has_ended(&mut self, pid: u32) -> bool {
        if pid == self.server.pid() { self.server.has_ended() } else { process::has_ended(pid) }
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = || {
            client::get(self.setup.admin, "/readyz", &[])
                .is_ok_and(|answer| answer.status == 200)
                .then_some(())
        };
        tools::poll(PATIENCE, ready).context("the gateway does not become ready")
    }

    fn post(&self, target: &str) -> Result<()> {
        let answer = client::post(self.setup.admin, target)?;
        ensure!(answer.status == 200, "POST {target} was answered with {}: {}", answer.status, answer.body);
        Ok(())
    }

    /// Says something to haproxy's socket; it answers orders that it likes with an empty line.
    fn order(&self, order: &str) -> Result<()> {
        let mut socket = UnixStream::connect(self.folder.join("haproxy.sock"))?;
        socket.write_all(order.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        if answer.trim().is_empty() {
            Ok(())
        } else {
            bail!("haproxy refuses \"{}\": {answer}", order.trim())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid != self.server.pid() && !process::has_ended(self.pid) {
            tools::signal(self.pid, "TERM");
            if tools::poll(PATIENCE, || process::has_ended(self.pid).then_some(())).is_none() {
                tools::signal(self.pid, "KILL");
            }
        }
    }
}

/// Lets everybody read a folder: nginx's workers are another user when root starts it.
///
/// # Errors
/// When it is not ours.
pub(super) fn readable(folder: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

/// Puts the configuration in its place, whole; answers where that is.
fn write(contender: Contender, folder: &Path, setup: &Setup) -> Result<PathBuf> {
    let (name, text) = match contender.maker() {
        Maker::Bascule => ("bascule.toml", texts::bascule(setup, &plugins::folder(), contender.policy())),
        Maker::Nginx => {
            let balance = if contender == Contender::NginxRandomTwo { "random two least_conn;" } else { "" };
            ("nginx.conf", texts::nginx(setup, &folder.join("nginx"), balance))
        }
        Maker::Haproxy => ("haproxy.cfg", texts::haproxy(setup, &folder.join("haproxy.sock"))),
    };
    let place = folder.join(name);
    let part = folder.join("part");
    std::fs::write(&part, text)?;
    std::fs::rename(part, &place)?;
    Ok(place)
}
