//! The nodes that were found, in the state directory, so that a gateway that starts while a registry is down has some.
//!
//! One JSON file a pool, with the registry's own schema. A change is written within about a second, by a task of its own;
//! what is lost of it costs nothing, since a registry that answers has the last word. A file that cannot be read is as
//! good as none.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tracing::{info, warn};

use super::Found;
use super::schema::Announced;
use crate::control::config::Config;
use crate::name::Name;
use crate::node::NodeSpec;

/// The folder in the state directory.
const FOLDER: &str = "nodes";
/// How often a pool's file is written at most.
const PACE: Duration = Duration::from_secs(1);

/// What a pool's nodes are now.
type Change = (Name, Arc<[NodeSpec]>);

/// The files.
#[derive(Debug)]
pub(super) struct Memory {
    folder: Option<PathBuf>,
    changes: Option<UnboundedSender<Change>>,
}

impl Memory {
    /// In this configuration's state directory, which is there if it is named.
    pub(super) fn new(config: &Config) -> Self {
        let state = config.plugins.state_directory.as_ref();
        Self { folder: state.map(|state| state.join(FOLDER)), changes: None }
    }

    /// What was known of the pools that find nodes; the files of all others are removed.
    pub(super) fn recall(&self, config: &Config) -> Found {
        let Some(folder) = &self.folder else { return Found::new() };
        let mut found = Found::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let name: Option<Name> = stem.and_then(|stem| stem.parse().ok());
            let pool = name.as_ref().and_then(|name| config.pools.get(name));
            match (name, pool.is_some_and(|pool| pool.discovery.is_some())) {
                (Some(name), true) => match read(&path) {
                    Ok(nodes) => {
                        info!(pool = %name, nodes = nodes.len(), "the nodes known last go on until the registry answers");
                        found.insert(name, nodes.into());
                    }
                    Err(error) => warn!(file = %path.display(), "nodes known last cannot be read: {error}"),
                },
                // What cannot be removed is not read next time either.
                _ => drop(fs::remove_file(path)),
            }
        }
        found
    }

    /// These are a pool's nodes now. It may only be called on a runtime.
    pub(super) fn keep(&mut self, pool: &Name, nodes: &Arc<[NodeSpec]>) {
        let Some(folder) = &self.folder else { return };
        let changes = self.changes.get_or_insert_with(|| {
            let (changes, changed) = unbounded_channel();
            tokio::spawn(keep_writing(folder.clone(), changed));
            changes
        });
        // The task ends with the runtime only.
        let _stopping = changes.send((pool.clone(), Arc::clone(nodes)));
    }
}

/// Writes what changed, until nobody can change anything.
async fn keep_writing(folder: PathBuf, mut changed: UnboundedReceiver<Change>) {
    let mut failed = false;
    while let Some(first) = changed.recv().await {
        let mut newest = BTreeMap::from([first]);
        while let Ok((pool, nodes)) = changed.try_recv() {
            newest.insert(pool, nodes);
        }
        let folder = folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            newest.iter().try_for_each(|(pool, nodes)| write(&folder, pool, nodes))
        });
        let error = written.await.map_err(io::Error::other).and_then(|written| written).err();
        if let (Some(error), false) = (&error, failed) {
            warn!("the nodes that were found cannot be kept in the state directory: {error}");
        }
        failed = error.is_some();
        sleep(PACE).await;
    }
}

/// Writes a pool's file whole: beside it, then renamed.
fn write(folder: &Path, pool: &Name, nodes: &[NodeSpec]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let entries: Vec<String> = nodes.iter().map(|node| Announced::of(node).to_json()).collect();
    // A gateway that takes over may write at the same time.
    let beside = folder.join(format!("{pool}.{}", std::process::id()));
    fs::write(&beside, format!("[{}]\n", entries.join(",\n")))?;
    fs::rename(&beside, folder.join(format!("{pool}.json")))
}

fn read(path: &Path) -> Result<Vec<NodeSpec>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let entries: Vec<Json> = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let node = |entry| {
        let node = Announced::from_value("", entry)?;
        // Names were looked up before they were written.
        let address = node.address.as_str().parse().map_err(|_| format!("{} is no address", node.address))?;
        Ok(node.spec(address))
    };
    entries.into_iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::control::discovery::tests::{node, pool_config};

    #[test]
    fn what_was_kept_is_recalled_for_pools_that_find_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[plugins]\nstate_directory = {:?}\n", folder.path());
        let config = pool_config(&text);
        let memory = Memory::new(&config);
        assert!(memory.recall(&config).is_empty());
        let place = folder.path().join(FOLDER);
        let nodes =
            vec![node("a", 1, 3), NodeSpec { zone: Some("z".into()), drain: true, ..node("b", 2, 1) }];
        write(&place, &"p".parse().unwrap(), &nodes).unwrap();
        write(&place, &"gone".parse().unwrap(), &nodes).unwrap();
        assert_eq!(memory.recall(&config), Found::from([("p".parse().unwrap(), nodes.into())]));
        assert!(!place.join("gone.json").exists() && place.join("p.json").exists());
        fs::write(place.join("p.json"), "[{").unwrap();
        assert!(memory.recall(&config).is_empty(), "a broken file is as good as none");
    }

    #[test]
    fn a_change_is_written_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let config = pool_config(&format!("[plugins]\nstate_directory = {:?}\n", folder.path()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let nodes: Arc<[NodeSpec]> = vec![node("a", 1, 1)].into();
        runtime.block_on(async {
            let mut memory = Memory::new(&config);
            memory.keep(&"p".parse().unwrap(), &nodes);
            while memory.recall(&config).is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(memory.recall(&config)["p"], nodes);
        });
    }
}
