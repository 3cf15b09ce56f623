//! The proxies that stand against each other, and how one of them is started.

use super::ports::Ports;
use super::running::Running;
use super::texts::Setup;
use crate::{plugins, tools};
use anyhow::Result;
use clap::ValueEnum;
use std::path::Path;

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Maker {
    Bascule,
    Nginx,
    Haproxy,
}

/// A proxy with one way to balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    Prequal,
    PowerOfTwo,
    LeastConnections,
    RoundRobin,
    NginxRandomTwo,
    NginxRoundRobin,
    HaproxyLeastConnections,
}

impl Contender {
    pub(super) const ALL: [Contender; 7] = [
        Contender::Prequal,
        Contender::PowerOfTwo,
        Contender::LeastConnections,
        Contender::RoundRobin,
        Contender::NginxRandomTwo,
        Contender::NginxRoundRobin,
        Contender::HaproxyLeastConnections,
    ];

    pub(super) fn maker(self) -> Maker {
        match self {
            Contender::NginxRandomTwo | Contender::NginxRoundRobin => Maker::Nginx,
            Contender::HaproxyLeastConnections => Maker::Haproxy,
            _ => Maker::Bascule,
        }
    }

    /// Its name in the tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Contender::Prequal => "bascule, prequal",
            Contender::PowerOfTwo => "bascule, power-of-two",
            Contender::LeastConnections => "bascule, least-connections",
            Contender::RoundRobin => "bascule, native round robin",
            Contender::NginxRandomTwo => "nginx, random two least_conn",
            Contender::NginxRoundRobin => "nginx, round robin",
            Contender::HaproxyLeastConnections => "haproxy, leastconn",
        }
    }

    /// bascule's policy; none is the native round robin.
    pub(super) fn policy(self) -> Option<&'static str> {
        match self {
            Contender::Prequal => Some("prequal"),
            Contender::PowerOfTwo => Some("power-of-two"),
            Contender::LeastConnections => Some("least-connections"),
            _ => None,
        }
    }

    /// Why it cannot take part on this machine, if so.
    pub(super) fn missing(self) -> Option<String> {
        let program = match self.maker() {
            Maker::Bascule => None,
            Maker::Nginx => Some("nginx"),
            Maker::Haproxy => Some("haproxy"),
        };
        if let Some(program) = program.filter(|program| tools::find(program).is_none()) {
            return Some(format!("{program} is not on PATH (`apt-get install {program}`)"));
        }
        let file = plugins::folder().join(format!("{}.wasm", self.policy()?.replace('-', "_")));
        (!file.is_file()).then(|| format!("there is no {}: run `cargo xtask plugins`", file.display()))
    }

    /// Starts it in front of these nodes; its files lie in `folder`.
    ///
    /// # Errors
    /// When it does not start; its log is shown.
    pub(super) fn start(
        self,
        folder: &Path,
        gateway: &Path,
        ports: &mut Ports,
        nodes: Vec<(usize, u16)>,
        overload: bool,
    ) -> Result<Running> {
        let [port, admin] = [ports.free()?, ports.free()?];
        let setup = Setup { port, admin, nodes, drained: None, edition: 0, overload };
        Running::start(self, folder, gateway, setup)
    }
}
