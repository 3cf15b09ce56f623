//! A file of nodes that is replaced whole, as who writes such files should.

use super::{Announced, Registry, Running};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) struct File {
    path: PathBuf,
    /// By id, as they stand in the file.
    nodes: BTreeMap<String, String>,
}

impl File {
    pub(super) fn new(folder: &Path) -> Result<File> {
        let file = File { path: folder.join("nodes.json"), nodes: BTreeMap::new() };
        file.write()?;
        Ok(file)
    }

    fn write(&self) -> Result<()> {
        let nodes: Vec<&str> = self.nodes.values().map(String::as_str).collect();
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, format!("{{\"nodes\":[\n{}\n]}}\n", nodes.join(",\n")))?;
        Ok(std::fs::rename(beside, &self.path)?)
    }
}

impl Registry for File {
    fn title(&self) -> &'static str {
        "file"
    }

    fn tables(&self) -> String {
        format!("[pool.bench.discovery]\nprovider = \"file\"\npath = \"{}\"\n", self.path.display())
    }

    fn put(&mut self, node: &Announced) -> Result<()> {
        let id = format!(r#","id":"{}""#, node.id);
        self.nodes.insert(node.id.clone(), node.json(&id));
        self.write()
    }

    fn has_leases(&self) -> bool {
        false
    }

    fn remove(&mut self, id: &str) -> Result<()> {
        ensure!(self.nodes.remove(id).is_some(), "{id} does not stand in the file");
        self.write()
    }

    fn server(&self) -> Option<Running> {
        None
    }
}
