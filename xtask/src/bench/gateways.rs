//! Gateways that are told their whole configuration, each a process of its own, and what their /snapshot says of nodes.
//!
//! A gateway may be killed; what it kept is lost then, as when its machine loses power.

use super::faults::ports::Ports;
use super::servers::{self, Server};
use crate::client::{self, Connection};
use crate::{plugins, tools};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take before the bench gives up on it; far above what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway with the listener `bench`; it ends when this is dropped.
pub(super) struct Gateway {
    server: Server,
}

/// A node, as /snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeState {
    pub(super) id: String,
    pub(super) candidate: bool,
    /// As it is picked with now.
    pub(super) weight: u64,
}

/// What all gateways of a bench share.
pub(super) struct Place<'a> {
    /// The gateway's program.
    pub(super) program: &'a Path,
    /// Where configurations and logs lie.
    pub(super) folder: &'a Path,
}

impl Place<'_> {
    /// Starts a gateway with these tables beside `[admin]`, `[plugins]` and `[listener.bench]`, and waits until it takes traffic.
    ///
    /// # Errors
    /// When it does not; its log is shown.
    pub(super) fn start(&self, name: &str, ports: &mut Ports, tables: &str) -> Result<Gateway> {
        let (port, admin) = (ports.free()?, ports.free()?);
        let plugins = plugins::folder();
        let text = format!(
            "{tables}\n[admin]\naddress = \"127.0.0.1:{admin}\"\n[plugins]\ndirectory = \"{}\"\n[listener.bench]\naddress = \
             \"127.0.0.1:{port}\"\n",
            plugins.display()
        );
        let path = self.folder.join(format!("{name}.toml"));
        std::fs::write(&path, text)?;
        let words = [&self.program.display().to_string(), "run", "--config", &path.display().to_string()];
        let command: Vec<String> = words.map(str::to_owned).into();
        let server = servers::start(self.folder, name, None, [port, admin], &command)?;
        let ready =
            || client::get(admin, "/readyz", &[]).is_ok_and(|answer| answer.status == 200).then_some(());
        if tools::poll(PATIENCE, ready).is_none() {
            let log = std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
            bail!("{name} does not become ready:\n{log}");
        }
        Ok(Gateway { server })
    }
}

impl Gateway {
    pub(super) fn port(&self) -> u16 {
        self.server.port
    }

    /// Ends it without a chance to finish anything (SIGKILL).
    pub(super) fn kill(mut self) {
        tools::signal(self.server.pid(), "KILL");
        _ = tools::poll(PATIENCE, || self.server.has_ended().then_some(()));
    }

    /// The lines of /metrics about faults of plugins, of which there were any.
    ///
    /// # Errors
    /// When the admin API is not there.
    pub(super) fn faults(&self) -> Result<Vec<String>> {
        let metrics = client::get(self.server.admin, "/metrics", &[])?.body;
        let faults = metrics.lines().filter(|line| line.starts_with("bascule_plugin_faults_total{"));
        Ok(faults.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect())
    }

    /// Looks at its nodes on a connection that is kept.
    ///
    /// # Errors
    /// When the admin API is not there.
    pub(super) fn watch(&self) -> Result<Watch> {
        Ok(Watch { admin: Connection::open(self.server.admin)? })
    }
}

/// A connection to the admin API of a gateway.
pub(super) struct Watch {
    admin: Connection,
}

impl Watch {
    /// The nodes of the pool `bench`.
    ///
    /// # Errors
    /// When the admin API does not answer as it should.
    pub(super) fn nodes(&mut self) -> Result<Vec<NodeState>> {
        let answer = self.admin.get("/snapshot", &[])?;
        let snapshot: Value = serde_json::from_str(&answer.body)?;
        read(&snapshot).context("/snapshot shows no pool \"bench\" with nodes as they should be")
    }

    /// Waits until the nodes are so; how long that took.
    ///
    /// # Errors
    /// When they do not come to be so within a minute: what they are.
    #[allow(clippy::disallowed_methods, reason = "the gateway can only be asked again")]
    pub(super) fn until(&mut self, what: &str, is_so: impl Fn(&[NodeState]) -> bool) -> Result<Duration> {
        /// Small against what is measured, and pause enough for the gateway to do something else.
        const LOOK: Duration = Duration::from_millis(2);
        let start = Instant::now();
        loop {
            let nodes = self.nodes()?;
            if is_so(&nodes) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > PATIENCE {
                let some: Vec<_> = nodes.iter().take(12).collect();
                bail!("waited {} s in vain until {what}; nodes: {some:?}", PATIENCE.as_secs());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn read(snapshot: &Value) -> Option<Vec<NodeState>> {
    let pool = snapshot["pools"].as_array()?.iter().find(|pool| pool["name"] == "bench")?;
    let node = |node: &Value| {
        Some(NodeState {
            id: node["id"].as_str()?.to_owned(),
            candidate: node["candidate"].as_bool()?,
            weight: node["effective_weight"].as_u64()? / 1000,
        })
    };
    pool["nodes"].as_array()?.iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_read_from_the_pool() {
        let node = json!({ "id": "a", "candidate": true, "effective_weight": 2000 });
        let snapshot =
            json!({ "pools": [{ "name": "x", "nodes": [] }, { "name": "bench", "nodes": [node] }] });
        let expected = NodeState { id: "a".to_owned(), candidate: true, weight: 2 };
        assert_eq!(read(&snapshot), Some(vec![expected]));
        assert_eq!(read(&json!({ "pools": [] })), None);
    }
}
