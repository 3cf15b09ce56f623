//! Nodes that are found while the gateway runs.

mod consul;
mod dns;
mod etcd;
mod file;
mod keyed;
mod register;
mod zookeeper;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Load, TestGateway, TestNode, wait_until};

/// A pool "main" with these keys, to which all requests go.
fn configuration(keys: &str) -> String {
    format!("[route.all]\npool = \"main\"\n[pool.main]\nattempts = 1\n{keys}")
}

/// What /snapshot tells of the pool.
fn pool(gateway: &TestGateway) -> Value {
    gateway.snapshot()["pools"][0].clone()
}

/// The ids of the pool's nodes, with the weights that they are picked with.
fn nodes(gateway: &TestGateway) -> Vec<(String, u64)> {
    let pool = pool(gateway);
    let nodes = pool["nodes"].as_array().expect("a list");
    let node = |node: &Value| {
        let weight = node["effective_weight"].as_u64().expect("a number");
        (node["id"].as_str().expect("a text").to_owned(), weight / 1000)
    };
    nodes.iter().map(node).collect()
}

fn wait_for_nodes(gateway: &TestGateway, wanted: &[(&str, u64)]) {
    let wanted: Vec<_> = wanted.iter().map(|(id, weight)| ((*id).to_owned(), *weight)).collect();
    wait_until(&format!("the nodes are {wanted:?}"), || nodes(gateway) == wanted);
}

/// A file with nodes, in a folder of its own.
struct NodesFile {
    folder: TempDir,
    name: &'static str,
}

impl NodesFile {
    fn new(name: &'static str, text: &str) -> NodesFile {
        let file = NodesFile { folder: tempfile::tempdir().expect("a temporary folder"), name };
        file.put(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// Replaces it, whole.
    fn put(&self, text: &str) {
        let beside = self.path().with_extension("part");
        fs::write(&beside, text).expect("the file is written");
        fs::rename(&beside, self.path()).expect("the file is put in place");
    }

    /// The keys of a pool that is told its nodes by it.
    fn discovery(&self, more: &str) -> String {
        format!("discovery = {{ provider = \"file\", path = {:?}{more} }}", self.path())
    }
}
