//! What the builder thread does: looks at the configuration and the plugins, and makes what a snapshot needs of them.
//!
//! All that is slow or may fail on the control path happens here, at low priority. Nothing here touches what is
//! published: a [`Prepared`] goes to the writer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::addresses::Addresses;
use super::attempt::{Prepared, same_ground, try_all, wanted_files};
use super::config::{Config, Errors};
use super::folder::{Next, folders_of};
use super::library::Library;
use super::sources::{self, Sources};
use super::status::{FileOutcome, Status};
use super::uses::Uses;
use crate::plugin::{Engine, Services};

/// What the builder thread keeps from one look to the next.
pub(super) struct Builder {
    sources: Option<Sources>,
    library: Library,
    uses: Uses,
    status: Arc<Status>,
    /// What was handed on last.
    current: Prepared,
    /// The configuration as it is written now; none if it cannot be read.
    written: Option<Arc<Config>>,
    /// Whether something changed that was not tried yet.
    untried: bool,
}

impl Builder {
    /// Makes the first snapshot's parts.
    ///
    /// # Errors
    /// All that is wrong with the plugins and the names, at their places in the configuration.
    pub(super) fn start(
        path: Option<PathBuf>,
        config: Config,
        engine: Arc<Engine>,
        services: Arc<Services>,
        status: Arc<Status>,
    ) -> Result<Self, Errors> {
        let config = Arc::new(config);
        let mut library = Library::new(engine, config.plugins.directory.value.clone());
        let mut uses = Uses::new(services);
        library.look(&wanted_files(&config), false);
        let current = try_all(&config, &mut library, &mut uses, &Addresses::new(), &status)?;
        let sources = path.map(Sources::new);
        Ok(Self { sources, library, uses, status, written: Some(config), untried: false, current })
    }

    /// What was handed on last.
    pub(super) fn current(&self) -> &Prepared {
        &self.current
    }

    /// Looks at the configuration and the folder of plugins; answers new parts if something changed for the better.
    pub(super) fn look(&mut self) -> (Option<Prepared>, Next) {
        let mut soon = false;
        let mut changed = false;
        match self.sources.as_mut().map(Sources::look) {
            None | Some(sources::Look::Same) => {}
            Some(sources::Look::NotYet) => soon = true,
            Some(sources::Look::Read(read)) => {
                changed = true;
                self.written = read.inspect_err(|errors| self.status.refused(errors)).ok();
            }
        }
        let written = self.written.as_ref().unwrap_or(&self.current.config);
        let files = &wanted_files(written) | &wanted_files(&self.current.config);
        let found = self.library.look(&files, true);
        for name in found.gone {
            self.status.file(&name, FileOutcome::Deleted);
        }
        self.untried |= changed || found.changed;
        // What is still being copied may be what the rest waits for: it all changes together.
        soon |= found.not_yet;
        let prepared = if self.untried && !soon { self.prepare() } else { None };
        (prepared, Next { folders: self.folders(), soon })
    }

    /// Tries the configuration as it is written; if that fails, the one that rules, with what is new of its plugins.
    fn prepare(&mut self) -> Option<Prepared> {
        let ruling = Arc::clone(&self.current.config);
        self.untried = false;
        let prepared = match self.written.clone().map(|written| self.attempt(&written)) {
            Some(Ok(prepared)) => prepared,
            failed => {
                if let Some(Err(errors)) = failed {
                    self.status.refused(&errors);
                }
                let again = self.attempt(&ruling);
                let again =
                    again.inspect_err(|errors| warn!("what runs could not be prepared again: {errors}"));
                Prepared { as_written: false, ..again.ok()? }
            }
        };
        self.current = prepared.clone();
        Some(prepared)
    }

    fn attempt(&mut self, config: &Arc<Config>) -> Result<Prepared, Errors> {
        same_ground(config, &self.current.config)?;
        let earlier = &self.current.addresses;
        try_all(config, &mut self.library, &mut self.uses, earlier, &self.status)
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let plugins = self.library.folder();
        let mut folders: BTreeSet<PathBuf> = folders_of(plugins).collect();
        folders.insert(plugins.to_owned());
        folders.extend(self.sources.iter().flat_map(Sources::folders));
        folders
    }
}

/// Loads every plugin that the configuration names and hands it its configuration: `bascule check --plugins`.
///
/// # Errors
/// All that is wrong, at the places in the configuration.
pub fn check_plugins(config: &Config, engine: Arc<Engine>, services: Arc<Services>) -> Result<(), Errors> {
    let mut config = config.clone();
    // Unlike the gateway, a check looks at uses that nothing mentions too.
    config.uses.values_mut().for_each(|used| used.mentioned = true);
    Builder::start(None, config, engine, services, Arc::default()).map(drop)
}
