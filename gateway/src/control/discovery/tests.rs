//! Any sequence of what registries do, against a model of what is promised; and what a change costs.
#![allow(clippy::unwrap_used)]

mod cost;
mod property;

use std::env::VarError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::board::Board;
use super::schema::{Announced, NodeSet};
use super::supervise::Supervisor;
use crate::control::config::{self, Config, Outside};
use crate::node::NodeSpec;

/// A configuration that exists only here.
struct Text(String);

impl Outside for Text {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn environment(&self, _: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }
}

/// The tables of a pool "p" that is told its nodes.
pub(super) const POOL: &str =
    "[pool.p]\ndiscovery = { provider = \"file\", path = \"/nowhere/nodes.toml\", empty = \"10s\" }\n";

/// A configuration with that pool and this.
pub(super) fn pool_config(more: &str) -> Config {
    let text = format!("{more}[listener.a]\naddress = \"127.0.0.1:0\"\n{POOL}");
    config::load_from(Path::new("bascule.toml"), &Text(text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A node on a port of this machine.
pub(super) fn node(id: &str, port: u16, weight: u32) -> NodeSpec {
    let text = format!("{{\"address\": \"127.0.0.1:{port}\", \"weight\": {weight}}}");
    let node = Announced::from_json(id, text.as_bytes()).unwrap();
    node.spec(([127, 0, 0, 1], port).into())
}

/// These nodes, as a registry tells them.
fn set(nodes: &[NodeSpec]) -> NodeSet {
    NodeSet { nodes: nodes.iter().map(Announced::of).collect(), bad: Vec::new() }
}

/// The task of that pool, of which these nodes are known.
fn supervisor(board: &Board, known: Arc<[NodeSpec]>) -> Supervisor {
    let config = pool_config("");
    let discovery = config.pools["p"].discovery.clone().unwrap();
    let name = "p".parse().unwrap();
    let row = board.row(&name, "file");
    Supervisor::new(name, discovery, row, known)
}
