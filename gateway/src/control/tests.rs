//! The control path with real files: a configuration in a folder of its own, and plugins that were really compiled.
#![allow(clippy::unwrap_used)]

mod reload;
mod running;
mod versions;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use super::attempt::Prepared;
use super::config::{self, Errors};
use super::prepare::Builder;
use super::status::Status;
use crate::plugin::Engine;
use crate::transport::ports::Ports;

/// One engine for all tests: it costs more than they do.
pub(super) static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Arc::new(Engine::new().unwrap()));

/// A configuration file and a folder of plugins, which are gone in the end.
pub(super) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A site with this configuration besides a listener and the admin API on free ports.
    pub(super) fn new(configuration: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(site.folder.path().join("plugins")).unwrap();
        site.write(configuration);
        site
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("bascule.toml")
    }

    pub(super) fn plugin(&self, file: &str) -> PathBuf {
        self.folder.path().join("plugins").join(file)
    }

    /// Replaces the configuration.
    pub(super) fn write(&self, configuration: &str) {
        let ground = "[admin]\naddress = \"127.0.0.1:0\"\n[listener.public]\naddress = \"127.0.0.1:0\"\n";
        replace(&self.path(), format!("{configuration}\n{ground}").as_bytes());
    }

    /// Puts a shipped plugin into the folder under this name.
    pub(super) fn ship(&self, plugin: &str, name: &str) {
        replace(&self.plugin(name), &shipped(plugin));
    }

    /// Puts anything else there.
    pub(super) fn put(&self, name: &str, content: &[u8]) {
        replace(&self.plugin(name), content);
    }

    pub(super) fn builder(&self) -> Result<(Builder, Arc<Status>), Errors> {
        let status = Arc::<Status>::default();
        let config = config::load(&self.path())?;
        let builder = Builder::start(
            Some(self.path()),
            config,
            ENGINE.clone(),
            Arc::default(),
            ports(),
            status.clone(),
        )?;
        Ok((builder, status))
    }
}

/// What listeners are opened with.
pub(super) fn ports() -> Arc<Ports> {
    Arc::new(Ports::new(1, Vec::new()))
}

/// Writes a file as a careful deployment does: beside it, then renamed. It looks ten seconds old, so that nobody has to
/// wait until it is settled.
fn replace(path: &Path, content: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    let file = File::options().write(true).open(&beside).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// The content of a shipped plugin.
pub(super) fn shipped(plugin: &str) -> Vec<u8> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(Path::new("../target").to_owned(), PathBuf::from);
    let file = target.join("plugins").join(plugin);
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): run `cargo xtask plugins` first", file.display())
    })
}

/// The same plugin in another version: with one more custom section (id 0, two bytes: a name of one letter).
pub(super) fn newer(mut content: Vec<u8>) -> Vec<u8> {
    content.extend([0, 2, 1, b'x']);
    content
}

/// The version that the only use runs.
fn version(prepared: &Prepared) -> String {
    prepared.uses[0].module.version.to_string()
}
